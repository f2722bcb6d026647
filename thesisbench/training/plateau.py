"""A learning rate that falls when the monitored value stops improving, resumable bit for bit.

torch's `ReduceLROnPlateau`, stepped inside the training epoch and before its checkpoint: Lightning
would step it after the checkpoint, so that a resumed fit would have missed an epoch. Two things
are ours: after each fall the fit may go on from its best weights, and it ends once the rate has
fallen to `min_lr`.

*Deviations*. As in Kayhan, chapter 2, experiment 1 as released, momentum is kept at a reload, and
the rate falls at the epoch after `patience` epochs without a better value. But 1e-3 cut to a tenth
three times counts as 1e-6, where the released loop compares floating-point numbers and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from thesisbench.errors import UserError
from thesisbench.instantiate import make
from thesisbench.training.ranks import from_first
from thesisbench.training.selection import KeepBest

TARGET = "torch.optim.lr_scheduler.ReduceLROnPlateau"
RELOAD = "reload_best"  # beside torch's own arguments
_ROUNDING = 1 + 1e-6


class Plateau(Callback):
    """Lowers the learning rate when the value that `KeepBest` monitors stops improving.

    To be put before `KeepBest`, which writes the checkpoint.

    Args:
        make_schedule: optimiser -> schedule; its `mode` is set to that of `KeepBest`.
        reload_best: go on from the best epoch's weights after each fall.
    """

    def __init__(
        self, make_schedule: Callable[..., ReduceLROnPlateau], *, reload_best: bool = False
    ) -> None:
        self.make_schedule, self.reload_best = make_schedule, reload_best
        self.schedule: ReduceLROnPlateau | None = None
        self._loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed fit must know; the rate itself is in the optimiser's state."""
        return {} if self.schedule is None else self.schedule.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Kept until there is an optimiser."""
        self._loaded = state_dict

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Makes the schedule; ends a resumed fit at once whose rate had fallen as far as it may.

        Raises:
            UserError: the best weights are wanted and not kept.
        """
        keep = _keeper(trainer)
        if self.reload_best and keep.select != "best":
            raise UserError(f"scheduler.{RELOAD}=true needs schedule.select=best")
        self.schedule = self.make_schedule(trainer.optimizers[0], mode=keep.mode)
        if self._loaded:
            self.schedule.load_state_dict(self._loaded)
        self._stop_at_least(trainer)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Judges the epoch; after a fall of the rate, goes on from the best weights."""
        keep = _keeper(trainer)
        if keep.monitor not in trainer.callback_metrics:
            return  # KeepBest says what is wrong
        assert self.schedule is not None
        before = _rates(trainer)
        self.schedule.step(from_first(float(trainer.callback_metrics[keep.monitor])))
        if _rates(trainer) == before:
            return
        if self.reload_best:
            module.load_state_dict(from_first(_kept(keep)))
        self._stop_at_least(trainer)

    def _stop_at_least(self, trainer: Trainer) -> None:
        assert self.schedule is not None
        least = self.schedule.min_lrs
        if all(r <= m * _ROUNDING for r, m in zip(_rates(trainer), least, strict=True)):
            trainer.should_stop = True


def plateau_of(node: Mapping[str, Any] | None) -> list[Plateau]:
    """The callback that a `scheduler` node asks for; none where it names another schedule."""
    if not node or node.get("_target_") != TARGET:
        return []
    torchs = {k: v for k, v in node.items() if k != RELOAD}
    return [Plateau(make({**torchs, "_partial_": True}), reload_best=bool(node.get(RELOAD)))]


def _keeper(trainer: Trainer) -> KeepBest:
    return next(c for c in trainer.callbacks if isinstance(c, KeepBest))  # type: ignore[attr-defined]


def _kept(keep: KeepBest) -> dict[str, Any]:
    """The best weights, as rank 0 has written them; nothing on another rank."""
    if not keep.writes:
        return {}
    state: dict[str, Any] = torch.load(keep.weights, weights_only=True, map_location="cpu")
    return state


def _rates(trainer: Trainer) -> list[float]:
    return [float(group["lr"]) for group in trainer.optimizers[0].param_groups]
