"""Semantic segmentation: cross-entropy of every pixel, except those of label 255.

Zhao, chapter 3, Tables 3.6 and 3.7. The loss of a batch is the mean over all its pixels that count.

*Deviations*. None known: the thesis does not state its loss. As the mean is over the pixels of a
batch, parts of a batch are not the same experiment.
"""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.arrays import Batch
from thesisbench.metrics.segmentation import IGNORED
from thesisbench.tasks.base import Task


def pixel_loss(
    logits: Float[Tensor, "b k h w"], masks: Int[Tensor, "b h w"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean cross-entropy and accuracy (in percent) of the pixels that count; 0 where none does.

    Args:
        logits: of every class.
        masks: true classes, or 255 for pixels that do not count.
    """
    truth = masks.long()
    counted = truth != IGNORED
    number = counted.sum().clamp(min=1)
    loss = F.cross_entropy(logits, truth, ignore_index=IGNORED, reduction="sum") / number
    right = ((logits.argmax(1) == truth) & counted).sum()
    return loss, 100 * right / number


class SegmentationTask(Task):
    """Trains a network of images to class logits of every pixel.

    Args:
        network: images -> logits of shape [b, k, h, w].
        optimizer: parameters -> optimiser. scheduler: optimiser -> schedule, stepped every epoch.
    """

    batch_free = False

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Logits of every pixel."""
        logits: Tensor = self.network(images)
        return logits

    def measure(self, batch: Batch, split: str) -> Tensor:
        """Loss of a batch; logs it and the pixel accuracy."""
        (images,), masks = batch
        loss, accuracy = pixel_loss(self(images), masks)
        measured = {f"{split}_loss": loss.detach(), f"{split}_pixel_accuracy": accuracy}
        self.log_means(measured, len(masks))
        return loss
