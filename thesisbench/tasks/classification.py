"""Classification: cross-entropy training and top-1 accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.arrays import Batch
from thesisbench.tasks.base import Task


def top1(logits: Float[Tensor, "b k"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
    """Share of samples whose largest logit is the label's, in percent."""
    return (logits.argmax(1) == labels).float().mean() * 100


class ClassificationTask(Task):
    """Trains a network of any inputs to class logits with cross-entropy.

    Args:
        network: inputs -> logits of shape [b, k].
        optimizer: parameters -> optimiser. scheduler: optimiser -> schedule, stepped every epoch.
        label_smoothing: of the cross-entropy.
    """

    batch_free = True

    def __init__(
        self,
        network: nn.Module,
        *,
        optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(network, optimizer=optimizer, scheduler=scheduler)
        self.label_smoothing = label_smoothing

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits of a batch."""
        logits: Tensor = self.network(*inputs)
        return logits

    def measure(self, batch: Batch, split: str) -> Tensor:
        """Loss of a batch; logs it and the accuracy."""
        inputs, labels = batch
        logits = self(*inputs)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        measured = {f"{split}_loss": loss.detach(), f"{split}_top1": top1(logits.detach(), labels)}
        self.log_means(measured, len(labels))
        return loss
