"""YOLOv3: boxes and classes of all objects in one pass, from the cells of three grids.

Kayhan, chapters 3 (evaluated as trained on COCO) and 4 (trained from scratch on DelftBikes); paper:
Redmon and Farhadi, arXiv 1804.02767, written from it and from the authors' published layer list
(75 convolutions with Darknet-53). Maps of the last stages, the coarsest first, go through five
convolutions each, whose result is also enlarged and joined with the next finer map. Any backbone of
the image tasks may take Darknet's place, with as many scales as there are lists of priors.

*Deviations*. Images are resized bilinearly without the authors' alignment of corners. Boxes of one
class that overlap by `overlap` go (the paper does not say; 0.45 is the default of the authors'
code). Training at several sizes is off; `sides=[320,352,...,608]` is the paper's, but with a draw
for every batch, not every tenth. Objectness starts at 1%, so that the thousands of empty cells do
not rule the first epoch (`first_objectness=0.5`: at a half, as the authors' code). See
`thesisbench.detection.yolo_boxes` for the loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.backbones.darknet import conv_unit
from thesisbench.data.targets import Prediction, Target
from thesisbench.detection.detector import Detector, suppress, trained_on
from thesisbench.detection.features import Levels, keep_border
from thesisbench.detection.letterbox import Placing, letterboxed
from thesisbench.detection.yolo_boxes import (
    Grid,
    Ignored,
    OffsetLoss,
    YoloLoss,
    decode,
    grid_of,
    responsible,
)
from thesisbench.errors import UserError

PRIORS = (  # width and height in pixels of an image of 416, the finest grid first
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
CANDIDATES = 1000  # most boxes and classes of an image among which overlapping ones are looked for


class Scale(nn.Module):
    """The part of YOLOv3 that works on one grid.

    Args:
        channels_in: of the backbone's map. channels: that convolutions are reduced to.
        joined: channels of the coarser scale's result; 0 at the coarsest.
        outputs: numbers predicted in a cell.
    """

    def __init__(self, channels_in: int, channels: int, joined: int, outputs: int) -> None:
        super().__init__()
        self.lateral = conv_unit(joined, channels, 1) if joined else None
        narrow = channels_in + (channels if joined else 0)
        units = []
        for _ in range(2):
            units += [conv_unit(narrow, channels, 1), conv_unit(channels, 2 * channels, 3)]
            narrow = 2 * channels
        self.reduce = nn.Sequential(*units, conv_unit(narrow, channels, 1))
        self.widen = conv_unit(channels, 2 * channels, 3)
        self.output = nn.Conv2d(2 * channels, outputs, 1)

    def forward(
        self, maps: Float[Tensor, "b c h w"], coarser: Tensor | None
    ) -> tuple[Float[Tensor, "b d h w"], Float[Tensor, "b o h w"]]:
        """What the next finer scale takes, and the predictions."""
        if self.lateral is not None and coarser is not None:
            enlarged = F.interpolate(self.lateral(coarser), size=maps.shape[-2:], mode="nearest")
            maps = torch.cat([enlarged, maps], dim=1)
        reduced = self.reduce(maps)
        return reduced, self.output(self.widen(reduced))


class YoloV3(Detector):
    """YOLOv3; its predictions say which cell made each.

    `cells` Int[m 3] are scale (0 is the finest), row and column, in the resized image.

    Args:
        backbone: a classifier.
        classes: number of classes.
        priors: width and height in pixels of those of each scale, the finest first.
        side: longer side that images are resized to, with grey around them to a square; None
            leaves them as they are, with zeros up to a multiple of the largest stride.
        sides: in place of `side` while training: each batch takes one at random.
        threshold: overlap from which on a prior is not trained to find nothing.
        offset_loss, ignored: of `YoloLoss`.
        first_objectness: probability of an object that each prior gives before training.
        score_threshold: of objectness times class probability.
        overlap: from which on the worse of two boxes of a class goes.
        limit: most detections of an image.

    Attributes:
        strides: pixels of the resized image between two cells of each scale.

    Raises:
        UserError: no class, a prior that is no pair of numbers, scales with different numbers of
            them, a side of no pixel, or a probability of 0 or 1.
    """

    priors: Float[Tensor, "l p 2"]

    def __init__(
        self,
        backbone: nn.Module,
        *,
        classes: int,
        priors: Sequence[Sequence[Sequence[float]]] = PRIORS,
        side: int | None = 416,
        sides: Sequence[int] = (),
        threshold: float = 0.5,
        offset_loss: OffsetLoss = "cross_entropy",
        ignored: Ignored = "priors",
        first_objectness: float = 0.01,
        score_threshold: float = 0.25,
        overlap: float = 0.45,
        limit: int = 100,
    ) -> None:
        super().__init__()
        if classes < 1 or not 0 < first_objectness < 1:
            text = f"classes={classes} must be at least 1, first_objectness={first_objectness}"
            raise UserError(f"{text} between 0 and 1")
        if len({len(one) for one in priors}) != 1:
            raise UserError(f"each scale needs as many priors; got {[len(x) for x in priors]}")
        if any(len(prior) != 2 or min(prior) <= 0 for one in priors for prior in one):
            raise UserError("each of the priors is a width and a height in pixels")
        if any(one < 1 for one in sides):
            raise UserError(
                f"each of the sides is a number of pixels, at least 1; got {list(sides)}"
            )
        self.classes, self.score_threshold, self.limit = classes, score_threshold, limit
        self.side, self.sides, self.overlap = side, tuple(sides), overlap
        self.backbone = Levels(backbone, levels=len(priors))
        self.strides = self.backbone.strides
        self.register_buffer("priors", torch.tensor(priors).float(), persistent=False)
        self.values = 5 + classes
        self.scales = nn.ModuleList(self._scales(len(priors[0]), first_objectness))
        keep_border(self.scales)
        last = len(self.scales) - 1
        self.class_layers = tuple(f"scales.{i}.output" for i in range(last + 1))
        self.loss = YoloLoss(threshold, offset_loss, ignored)

    def _scales(self, per_cell: int, objectness: float) -> list[Scale]:
        """One for each map of the backbone, the coarsest first."""
        made: list[Scale] = []
        joined = 0
        for channels_in in reversed(self.backbone.channels):
            scale = Scale(channels_in, channels_in // 2, joined, per_cell * self.values)
            bias = scale.output.bias
            assert bias is not None
            with torch.no_grad():
                bias.view(per_cell, self.values)[:, 4] = math.log(objectness / (1 - objectness))
            made.append(scale)
            joined = channels_in // 2
        return made

    @property
    def varied(self) -> nn.Module:
        """The backbone; the scales keep theirs, since their maps are joined."""
        return self.backbone

    def losses(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """`loss_box`, `loss_objectness` and `loss_class`: sums of an image, means over images."""
        batch, placings = self._batch(images)
        predicted, sizes = self._predict(batch)
        grid = grid_of(sizes, self.strides, self.priors)
        area = float(batch.shape[-2] * batch.shape[-1])
        found: list[dict[str, Tensor]] = []
        for one, target, placing in zip(predicted, targets, placings, strict=True):
            trained = trained_on(target)
            boxes, labels = placing.there(trained["boxes"]), trained["labels"].long()
            answers = responsible(boxes, sizes, grid, self.priors)
            found.append(self.loss(one, boxes, labels, grid, answers, area))
        return {name: torch.stack([one[name] for one in found]).mean() for name in found[0]}

    def find(self, images: list[Tensor], score_threshold: float) -> list[Prediction]:
        """Boxes whose objectness times class probability is more than the threshold."""
        batch, placings = self._batch(images)
        predicted, sizes = self._predict(batch)
        grid = grid_of(sizes, self.strides, self.priors)
        rows = zip(predicted, placings, strict=True)
        return [self._of_image(one, grid, placing, score_threshold) for one, placing in rows]

    def cells_of(
        self, boxes: Float[Tensor, "n 4"], size: Sequence[int], scale: Int[Tensor, " n"]
    ) -> Int[Tensor, "n 2"]:
        """Row and column of the cells that hold the centres of boxes, as in `cells`.

        Args:
            boxes: in pixels of an image as it is given to `detect`.
            size: height and width of that image.
            scale: number of the grid for each box, 0 for the finest.
        """
        placed = Placing.of(size[0], size[1], self.side).there(boxes)
        centres = (placed[:, :2] + placed[:, 2:]) / 2
        strides = torch.tensor(self.strides, device=boxes.device)[scale.long()]
        return torch.div(centres, strides[:, None], rounding_mode="floor").long().flip(1)

    def _batch(self, images: Sequence[Tensor]) -> tuple[Tensor, list[Placing]]:
        side = self.side
        if self.training and self.sides:
            side = self.sides[int(torch.randint(len(self.sides), ()))]
        return letterboxed(images, side=side, multiple=max(self.strides))

    def _predict(self, batch: Tensor) -> tuple[Float[Tensor, "b a v"], list[tuple[int, int]]]:
        """t, objectness and class logits of all priors, and the sizes of the grids."""
        maps: list[Tensor] = list(self.backbone(batch).values())
        found: list[Tensor] = []
        coarser: Any = None
        for scale, one in zip(self.scales, reversed(maps), strict=True):
            coarser, predicted = scale(one, coarser)
            found.insert(0, predicted)
        sizes = [(one.shape[2], one.shape[3]) for one in found]
        rows = [rearrange(one, "b (p v) h w -> b (h w p) v", v=self.values) for one in found]
        return torch.cat(rows, dim=1), sizes

    def _of_image(
        self, predicted: Float[Tensor, "a v"], grid: Grid, placing: Placing, threshold: float
    ) -> Prediction:
        scores = predicted[:, 4:5].sigmoid() * predicted[:, 5:].sigmoid()
        prior, label = (scores > threshold).nonzero(as_tuple=True)
        best = scores[prior, label].topk(min(CANDIDATES, len(prior)))
        prior, label = prior[best.indices], label[best.indices]
        own = Grid(*(part[prior] for part in grid))
        boxes = placing.back(decode(predicted[prior, :4], own))
        found = {"boxes": boxes, "scores": best.values, "labels": label, "cells": own.cells}
        keep = (boxes[:, 2:] > boxes[:, :2]).all(1)
        found = {name: value[keep] for name, value in found.items()}
        return suppress(found, overlap=self.overlap, limit=self.limit)
