"""Multi-label classification: which classes an image has, from batches of a detection data set.

Kayhan, chapter 4, Table 4.1, row "MCML": binary cross-entropy, the mean over images and classes; a
class is in an image if its sigmoid is more than a half.

*Deviations*. None known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.detection.multi_label import MultiLabelNet, presence
from thesisbench.errors import UserError
from thesisbench.tasks.base import Task
from thesisbench.tasks.detection import Batch, check_classes


class MultiLabelTask(Task):
    """Trains a network of images to a logit for each class.

    Args:
        network: a `MultiLabelNet` (detector=multi_label).
        optimizer: parameters -> optimiser. scheduler: optimiser -> schedule, stepped every epoch.

    Raises:
        UserError: another network.
    """

    batch_free = True

    def __init__(
        self,
        network: nn.Module,
        *,
        optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
    ) -> None:
        if not isinstance(network, MultiLabelNet):
            raise UserError("task=multi_label needs detector=multi_label around the backbone")
        super().__init__(network, optimizer=optimizer, scheduler=scheduler)

    def on_fit_start(self) -> None:
        """Compares the classes of the network with those of the data.

        Raises:
            UserError: there are more or fewer.
        """
        check_classes(self.network, self.trainer.datamodule)  # type: ignore[attr-defined]

    def forward(self, *images: Tensor) -> Tensor:
        """Logits of images given one by one."""
        logits: Tensor = self.network(*images)
        return logits

    def measure(self, batch: Batch, split: str) -> Tensor:
        """Loss of a batch; logs it and the accuracy."""
        images, targets = batch
        logits = self(*images)
        truth = presence(targets, logits.shape[1])
        loss = F.binary_cross_entropy_with_logits(logits, truth)
        right = ((logits > 0) == (truth > 0)).float().mean() * 100
        measured = {f"{split}_loss": loss.detach(), f"{split}_class_accuracy": right.detach()}
        self.log_means(measured, len(targets))
        return loss
