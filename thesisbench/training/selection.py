"""Which epoch is kept, when to stop, and the two checkpoints that make a fit resumable.

`last.ckpt` (everything, every epoch) names the weights file of the best epoch so far; a kill
between the writing of the two leaves a `last.ckpt` whose best file is still there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.io import TorchCheckpointIO

from thesisbench.errors import UserError
from thesisbench.step import LostRunError
from thesisbench.store.files import written_whole
from thesisbench.training.ranks import from_first, true_for_any

LAST = "last.ckpt"
_STATE = ("best", "kept_epoch", "waited", "epochs", "metrics")


class KeepBest(Callback):
    """Keeps the weights of the best epoch and a full checkpoint of the last, and stops early.

    Args:
        folder: where both are written. monitor, mode: what "better" means ("min" or "max").
        patience: epochs without a better value before the fit stops; None never stops early.
        select: "best" or "last" epoch's weights are kept for evaluation.
        allowed: asked before each write; False ends the fit (another owner has the run).
        writes: False on a rank other than 0, which judges the same and writes nothing.

    Attributes:
        best: value of the best epoch. kept_epoch: whose weights are kept. waited: epochs since.
        epochs: number of epochs done. metrics: what the last of them logged.
    """

    def __init__(
        self,
        folder: Path,
        *,
        monitor: str = "val_loss",
        mode: str = "min",
        patience: int | None = None,
        select: str = "best",
        allowed: Callable[[], bool] = lambda: True,
        writes: bool = True,
    ) -> None:
        if mode not in ("min", "max") or select not in ("best", "last"):
            raise ValueError(f"mode must be min or max, select best or last; got {mode}, {select}")
        self.folder, self.monitor, self.mode = folder, monitor, mode
        self.patience, self.select, self.allowed = patience, select, allowed
        self.writes = writes
        self.best: float | None = None
        self.kept_epoch = -1
        self.waited = 0
        self.epochs = 0
        self.metrics: dict[str, float] = {}

    @property
    def weights(self) -> Path:
        """File of the kept weights."""
        return self.folder / f"weights-{self.kept_epoch}.pt"

    def state_dict(self) -> dict[str, Any]:
        """What a resumed fit must know."""
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up where the checkpoint left off."""
        for name in _STATE:
            setattr(self, name, state_dict[name])

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Lets checkpoints be written beside their place, and not by way of the system's /tmp."""
        trainer.strategy.checkpoint_io = WholeFiles()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stops at once when a resumed fit had already used up its patience."""
        if self._exhausted:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Judges the epoch, writes both files, stops when patience is used up."""
        if not self.allowed():
            raise LostRunError("another process owns this run now")
        self.epochs = trainer.current_epoch + 1
        self.metrics = from_first({k: float(v) for k, v in trainer.callback_metrics.items()})
        improved = self._improved(trainer)
        self.waited = 0 if improved else self.waited + 1
        if improved or self.select == "last":
            self.kept_epoch = trainer.current_epoch
            if self.writes:
                _save(module.state_dict(), self.weights)
        trainer.save_checkpoint(self.folder / LAST)  # called on all ranks, written by rank 0
        if self.writes:
            self._tidy()
        if self._exhausted:
            trainer.should_stop = True

    def _tidy(self) -> None:
        """Drops weights that the new checkpoint does not name."""
        for old in self.folder.glob("weights-*.pt"):
            if old != self.weights:
                old.unlink()

    @property
    def _exhausted(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    def _improved(self, trainer: Trainer) -> bool:
        if self.monitor not in self.metrics:
            if self.select == "last" and self.patience is None:
                return True
            logged = ", ".join(sorted(self.metrics))
            raise UserError(f"schedule.monitor {self.monitor!r} is not logged; logged: {logged}")
        value = self.metrics[self.monitor]
        if not math.isfinite(value):  # the last step of an epoch can do that
            raise DivergedError(trainer.current_epoch, trainer.global_step, self.monitor)
        sign = 1 if self.mode == "min" else -1
        improved = self.best is None or sign * value < sign * self.best
        if improved:
            self.best = value
        return improved


class StopWhenDiverged(Callback):
    """Ends the fit when the training loss leaves the finite range: a result, not a failure."""

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Looks at the loss of every batch."""
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if loss is None:
            return
        if true_for_any(not math.isfinite(float(loss)), loss.device):
            raise DivergedError(trainer.current_epoch, trainer.global_step)


class DivergedError(Exception):
    """The loss left the finite range.

    Attributes:
        epoch, step: where.
    """

    def __init__(self, epoch: int, step: int, what: str = "the loss") -> None:
        super().__init__(f"{what} left the finite range in epoch {epoch}, step {step}")
        self.epoch, self.step = epoch, step


class WholeFiles(TorchCheckpointIO):
    """Writes checkpoints that are complete or not there, in their own folder."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Replaces a checkpoint.

        Raises:
            StorageError: it cannot be written; the former one is still there.
        """
        _save(checkpoint, Path(path))


def _save(state: dict[str, Any], path: Path) -> None:
    with written_whole(path) as temporary, temporary.open("xb") as file:
        torch.save(state, file)
