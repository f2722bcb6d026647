"""Stops a fit after a few training steps and writes down what they took."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class StepClock(Callback):
    """Times batches from end to end, so that loading counts, and what an epoch ends with.

    Args:
        path: JSON file that it writes. steps: training batches after which the fit ends.
        warm_up: share of these that is left out (the first ones are slow).
    """

    def __init__(self, *, path: str, steps: int, warm_up: float = 0.25) -> None:
        self.path, self.steps, self.warm_up = Path(path), steps, warm_up
        self.training: list[float] = []
        self.validation: list[float] = []
        self.epoch_ends: list[float] = []
        self.mark = 0.0
        self.began = 0.0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """The training begins."""
        self.began = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """An epoch begins, and what the one before ended with is over."""
        self._lap(self.epoch_ends if self.mark else None)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Ends the fit when the last step is made."""
        self._lap(self.training)
        if len(self.training) >= self.steps:
            trainer.should_stop = True

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """A validation begins."""
        self._lap(None)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_index: int,
        dataloader_index: int = 0,
    ) -> None:
        """A validation batch is over."""
        self._lap(self.validation)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Writes down what was measured."""
        if not trainer.is_global_zero:
            return
        self._lap(self.epoch_ends)
        skipped = int(len(self.training) * self.warm_up)
        loaders = trainer.val_dataloaders or []
        measured = {
            "count": len(self.training),
            "steps": self.training[skipped:],
            "validation": statistics.median(self.validation) if self.validation else 0.0,
            "epoch_end": statistics.median(self.epoch_ends),
            "loop": time.perf_counter() - self.began,
            "batches": len(trainer.train_dataloader),  # type: ignore[arg-type]
            "validation_batches": sum(map(len, _listed(loaders))),
            "every": trainer.check_val_every_n_epoch or 1,
        }
        self.path.write_text(json.dumps(measured), encoding="utf-8")

    def _lap(self, times: list[float] | None) -> None:
        """Starts the clock anew; what it showed is added to `times`."""
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        now = time.perf_counter()
        if times is not None:
            times.append(now - self.mark)
        self.mark = now


def _listed(loaders: Any) -> list[Any]:
    return list(loaders) if isinstance(loaders, list | tuple) else [loaders]
