"""What all tasks share: their optimiser, and means that are right however a batch is shared out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn


class Task(LightningModule):
    """A network with its optimiser and schedule.

    Args:
        network: what is trained.
        optimizer: parameters -> optimiser. scheduler: optimiser -> schedule, stepped every epoch.

    Attributes:
        counted: samples of the current part of a batch that count, where these are not all of it.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.counted: int | None = None
        self._optimizer, self._scheduler = optimizer, scheduler

    def configure_optimizers(self) -> Any:
        """The optimiser and, where there is one, its schedule."""
        assert self._optimizer is not None, "a task without an optimiser cannot be trained"
        optimizer = self._optimizer(self.network.parameters())
        if self._scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self._scheduler(optimizer)}

    def log_means(self, values: Mapping[str, Tensor], size: int) -> None:
        """Logs means over a batch, as means over the samples of an epoch on all devices.

        Args:
            values: name -> mean over this process's part of the batch.
            size: samples of the part.
        """
        count = size if self.counted is None else self.counted
        ranks = self._trainer.world_size if self._trainer is not None else 1
        # Lightning averages the counts of the ranks as whole numbers: times ranks, none is lost.
        self.log_dict(
            dict(values),
            on_step=False,
            on_epoch=True,
            batch_size=count * ranks,
            sync_dist=ranks > 1,
        )
