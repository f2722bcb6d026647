"""Segmentation metrics from confusion matrices: mean intersection over union, also near borders.

Zhao, chapter 3, Tables 3.6 and 3.7 ("mIoU across the 21 classes"): the confusion matrix is summed
over all pixels of all images; a class's IoU is its true positives by the pixels that are of it or
taken for it; the mean is over classes. Pixels of the label 255 (void) do not count.

*Deviations*. A class that is neither there nor predicted has no IoU and is left out of the mean;
none of VOC's is. The boundary mIoU is ours (the thesis shows borders in Figure 3.5 only): the same
on the trimap of Kohli et al. (2009), pixels near a change of label, measured with square windows.
"""

from __future__ import annotations

from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torchmetrics.classification import MulticlassConfusionMatrix

from thesisbench.errors import UserError

IGNORED = 255  # the label of pixels that do not count


def trimap(masks: Int[Tensor, "b h w"], *, width: int) -> Bool[Tensor, "b h w"]:
    """Pixels with another label no more than `width` rows and columns away.

    The border of an image is no change of label, void is a label like others.

    Args:
        masks: labels from 0 to 255.
        width: of the band on either side of a border, in pixels.

    Raises:
        UserError: a width below 1.

    >>> trimap(torch.tensor([[[0, 0, 0, 1, 1, 1]]]), width=1).int().tolist()
    [[[0, 0, 1, 1, 0, 0]]]
    """
    if width < 1:
        raise UserError(f"a band of {width} pixels along borders is empty; use at least 1")
    labels, side = masks[:, None].float(), 2 * width + 1
    largest, smallest = (
        F.max_pool2d(sign * labels, side, stride=1, padding=width)[:, 0] * sign for sign in (1, -1)
    )
    return largest != smallest


class SegmentationScore(MulticlassConfusionMatrix):
    """Counts pixels by true and predicted class; scores in percent, on several devices too.

    Args:
        classes: number of classes, background included.
        band: count only pixels so near a border of the true mask (see `trimap`); None for all.

    >>> metric = SegmentationScore(classes=2)
    >>> metric.update(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 1]]]))
    >>> metric.compute()["iou"].tolist()
    [50.0, 50.0]
    """

    def __init__(self, *, classes: int, band: int | None = None) -> None:
        super().__init__(classes, ignore_index=IGNORED, validate_args=False)
        self.band = band

    def update(self, predicted: Int[Tensor, "b h w"], masks: Int[Tensor, "b h w"]) -> None:
        """Counts a batch.

        Args:
            predicted: classes.
            masks: true classes, or 255 for pixels that do not count.

        Raises:
            UserError: a label of the masks that is no class.
        """
        truth = masks.long()
        if ((truth != IGNORED) & ((truth < 0) | (truth >= self.num_classes))).any():
            odd = sorted(set(truth.unique().tolist()) - {*range(self.num_classes), IGNORED})
            text = f"masks have label {odd[0]}, but there are {self.num_classes} classes"
            raise UserError(f"{text}; set backbone.classes and evaluation.classes")
        if self.band is not None:
            truth = truth.masked_fill(~trimap(truth, width=self.band), IGNORED)
        if len(truth):
            super().update(predicted.long(), truth)

    def compute(self) -> dict[str, Tensor]:  # type: ignore[override]
        """`scores` of the pixels counted on all devices, and these as `counts`."""
        counts: Int[Tensor, "k k"] = super().compute()
        return {**scores(counts), "counts": counts}


def scores(counts: Int[Tensor, "k k"]) -> dict[str, Tensor]:
    """`miou`, `pixel_accuracy` and `iou` of each class (NaN without a pixel), in percent.

    Args:
        counts: pixels by true (row) and predicted class (column).
    """
    counts = counts.double()
    right = counts.diag()
    iou = 100 * right / (counts.sum(0) + counts.sum(1) - right)
    accuracy = 100 * right.sum() / counts.sum()
    return {"miou": iou.nanmean(), "pixel_accuracy": accuracy, "iou": iou}
