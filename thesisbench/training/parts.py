"""Batches done in parts: what makes a step over parts the step over the whole batch."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from thesisbench.data.shares import ShareSampler
from thesisbench.errors import UserError


class WeighParts(Callback):
    """Gives each part of a batch its weight, in the gradient and in the means that are logged.

    Gradients of parts are averaged over ranks and turns; the parts of a last, smaller batch are not
    equally large, so each counts by its samples.
    """

    def __init__(self) -> None:
        self.weight = 1.0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Refuses data whose batches nobody cuts."""
        if _sampler(trainer.train_dataloader) is None:
            name = type(trainer.datamodule).__name__  # type: ignore[attr-defined]
            text = "does not cut its batches into parts, as several devices or accumulation need"
            raise UserError(f"the data set {name} {text}; let thesisbench.data.arrays load it")

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, batch_index: int
    ) -> None:
        """Looks at the part of a training batch."""
        sampler = _sampler(trainer.train_dataloader)
        assert sampler is not None
        self.weight = sampler.weight(batch_index)
        _tell(module, sampler.count(batch_index))

    def on_before_backward(self, trainer: Trainer, module: LightningModule, loss: Tensor) -> None:
        """Weighs the gradient."""
        if self.weight != 1.0:
            weight = self.weight
            loss.register_hook(lambda gradient: gradient * weight)

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        module: LightningModule,
        batch: Any,
        batch_index: int,
        dataloader_index: int = 0,
    ) -> None:
        """Looks at the part of a validation batch."""
        loaders = trainer.val_dataloaders
        loader = loaders[dataloader_index] if isinstance(loaders, list | tuple) else loaders
        sampler = _sampler(loader)
        _tell(module, None if sampler is None else sampler.count(batch_index))


def _tell(module: Any, count: int | None) -> None:
    """Tells a task how many samples of the part count (`tasks.base.Task`)."""
    module.counted = count


def _sampler(loader: Any) -> ShareSampler | None:
    found = getattr(loader, "batch_sampler", None)
    return found if isinstance(found, ShareSampler) else None
