"""The test of a segmentation network: mean IoU, mean IoU near borders, and pictures of masks.

Zhao, chapter 3, Tables 3.6 and 3.7 (mIoU) and Figure 3.5 (masks beside images).

*Deviations*. Images are tested as they are, at one scale and not mirrored; the thesis does not say.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from thesisbench.metrics.segmentation import SegmentationScore
from thesisbench.pictures import mask_colours, save_picture
from thesisbench.step import StepContext

GAP, LEAST = 2, 192  # pixels between panels; height below which a picture is enlarged


class SegmentationTest:
    """Metrics, in percent: `miou`, `boundary_miou`, `pixel_accuracy` and `iou_K` of class K.

    The data are the step's own data set, or the fit's where the step has none. A class without a
    pixel, true or predicted, has no `iou_K`. The confusion matrices (everywhere, near borders) are
    kept as the predictions of the run.

    Args:
        split: images with masks.
        classes: number of classes, background included.
        band: a pixel is near a border if another label is so many rows and columns away at most.
        pictures: of the first images: image, true and predicted mask side by side; 0 for none.
    """

    def __init__(
        self, *, split: str = "val", classes: int = 21, band: int = 3, pictures: int = 4
    ) -> None:
        self.split, self.classes, self.band, self.pictures = split, classes, band, pictures

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Evaluates the fit that is the input `weights`."""
        data = context.dataset() if context.config.get("dataset") else context.fitted_dataset()
        network = context.fitted()
        everywhere, near = (metric.compute() for metric in self.measure(network, data))
        counts = torch.stack([everywhere["counts"], near["counts"]])
        context.save_predictions(f"{self.split}_confusion", counts.numpy())
        context.result.facts["data"] = data.fingerprint()
        context.result.facts["evaluated"] = {self.split: _evaluated(data, self.split)}
        self.draw(context, network, data)
        each = {f"iou_{k}": v for k, v in enumerate(everywhere["iou"].tolist()) if v == v}
        return {
            "miou": float(everywhere["miou"]),
            "boundary_miou": float(near["miou"]),
            "pixel_accuracy": float(everywhere["pixel_accuracy"]),
            **each,
        }

    @torch.no_grad()
    def measure(self, network: nn.Module, data: Any) -> tuple[SegmentationScore, SegmentationScore]:
        """Pixels counted everywhere, and near borders.

        Where several processes work on the run, each counts its share; `compute` adds them up.
        """
        metrics = (
            SegmentationScore(classes=self.classes),
            SegmentationScore(classes=self.classes, band=self.band),
        )
        loader, limit = data.share(self.split), data.loading.limit
        for index, ((images,), masks) in enumerate(islice(loader, limit)):
            count = loader.batch_sampler.count(index)
            predicted = network(images).argmax(1)[:count]
            for metric in metrics:
                metric.update(predicted, masks[:count])
        return metrics

    @torch.no_grad()
    def draw(self, context: StepContext, network: nn.Module, data: Any) -> None:
        """Leaves pictures of the first images; only the first process of a run does."""
        if context.rank.number:
            return
        split = data.split(self.split)
        for index in range(min(self.pictures, len(split))):
            ((image,),), (mask,) = split[(0, index)]
            predicted = network(image[None]).argmax(1)[0]
            save_picture(context, f"{self.split}_{index}", side_by_side(image, mask, predicted))


def side_by_side(
    image: Float[Tensor, "c h w"], mask: Int[Tensor, "h w"], predicted: Int[Tensor, "h w"]
) -> UInt8[Tensor, "3 h2 w2"]:
    """An image, its true and its predicted mask in one picture, enlarged where they are small.

    Args:
        image: grey or RGB; its smallest number becomes black, its largest white.
        mask: true classes.
        predicted: classes.
    """
    low, high = image.min(), image.max()
    shown = ((image - low) / (high - low).clamp(min=1e-12) * 255).round().to(torch.uint8)
    panels = [shown.expand(3, -1, -1), mask_colours(mask), mask_colours(predicted)]
    gap = torch.full((3, image.shape[1], GAP), 255, dtype=torch.uint8)
    row = torch.cat([panels[0], gap, panels[1], gap, panels[2]], dim=2)
    factor = max(1, LEAST // image.shape[1])
    return row.repeat_interleave(factor, 1).repeat_interleave(factor, 2)


def _evaluated(data: Any, split: str) -> dict[str, int]:
    """How many images were tested, of how many there are."""
    sizes = data.share(split).batch_sampler.sizes[: data.loading.limit]
    return {"on": sum(sizes), "of": len(data.split(split))}
