"""How YOLOv3 writes boxes, which prior answers for an object, and its loss.

Paper: Redmon and Farhadi, arXiv 1804.02767, section 2. A prior of width p_w and height p_h in the
cell (row, column) of a grid with stride s predicts t = (t_x, t_y, t_w, t_h), which stand for

    b_x = s (column + sigmoid(t_x))    b_w = p_w e^t_w
    b_y = s (row + sigmoid(t_y))       b_h = p_h e^t_h

The prior that answers for an object is the one of the nearest form, of all scales, in the cell of
the object's centre. Coordinates and classes are trained there, objectness everywhere but where
another prior overlaps an object by more than a threshold.

*Deviations*. The paper's gradient for a coordinate is "the ground truth value minus our
prediction", a squared error of t (`offset_loss="squared"`). As in the authors' code t_x and t_y are
compared behind the sigmoid, by cross-entropy, whose gradient with respect to t_x is sigmoid(t_x)
minus the truth, and small boxes weigh more: 2 - area of the box / area of the image. The paper
ignores priors that overlap an object; the authors' code asks this of the predicted boxes
(`ignored="predictions"`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torchvision.ops import box_convert, box_iou

OffsetLoss = Literal["cross_entropy", "squared"]
Ignored = Literal["priors", "predictions"]
_EDGE = 1e-4  # distance from the edge of a cell, in cells, that a finite logit can stand for


class Grid(NamedTuple):
    """All priors of all scales of an image, one after another.

    Attributes:
        corners: x and y of the upper left corner of each prior's cell, in pixels.
        strides: of each prior's scale. priors: width and height of each, in pixels.
        cells: scale, row and column of each.
    """

    corners: Float[Tensor, "a 2"]
    strides: Float[Tensor, " a"]
    priors: Float[Tensor, "a 2"]
    cells: Int[Tensor, "a 3"]


def grid_of(
    sizes: list[tuple[int, int]], strides: tuple[int, ...], priors: Float[Tensor, "l p 2"]
) -> Grid:
    """The priors of maps of these sizes; within a scale row by row, then by column, then by prior.

    Args:
        sizes: rows and columns of the map of each scale.
        strides: pixels between two cells of each scale.
        priors: width and height of those of each scale.
    """
    cells = []
    for scale, (rows, columns) in enumerate(sizes):
        row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        one = torch.stack([torch.full_like(row, scale), row, column], dim=-1).flatten(0, 1)
        cells.append(one.repeat_interleave(priors.shape[1], dim=0))
    each = torch.cat(cells).to(priors.device)
    stride = torch.tensor(strides, dtype=priors.dtype, device=priors.device)[each[:, 0]]
    count = len(each) // priors.shape[1]
    number = torch.arange(priors.shape[1], device=priors.device).repeat(count)
    corners = each[:, [2, 1]] * stride[:, None]
    return Grid(corners, stride, priors[each[:, 0], number], each)


def decode(t: Float[Tensor, "*b 4"], grid: Grid) -> Float[Tensor, "*b 4"]:
    """Boxes (x1, y1, x2, y2) in pixels that predictions stand for; rows as those of the grid."""
    centres = grid.corners + grid.strides[:, None] * t[..., :2].sigmoid()
    sides = grid.priors * t[..., 2:].exp()
    return torch.cat([centres - sides / 2, centres + sides / 2], dim=-1)


def encode(boxes: Float[Tensor, "n 4"], grid: Grid) -> Float[Tensor, "n 4"]:
    """What predictions must be for `decode` to give these boxes; rows as those of the grid.

    Centres at the edge of a cell, which no finite number stands for, move inwards a little.
    """
    centres, sides = box_convert(boxes, "xyxy", "cxcywh").split(2, dim=-1)
    inside = ((centres - grid.corners) / grid.strides[:, None]).clamp(_EDGE, 1 - _EDGE)
    return torch.cat([inside.logit(), (sides / grid.priors).log()], dim=-1)


def responsible(
    boxes: Float[Tensor, "n 4"], sizes: list[tuple[int, int]], grid: Grid, scales: Tensor
) -> Int[Tensor, " n"]:
    """Number of the prior that answers for each object.

    Args:
        boxes: of the objects.
        sizes: rows and columns of the map of each scale.
        grid: of these maps.
        scales: Float[l p 2], width and height of the priors of each scale.
    """
    centres, sides = box_convert(boxes, "xyxy", "cxcywh").split(2, dim=-1)
    best = form_overlap(sides, scales.flatten(0, 1)).argmax(1)
    per_cell = scales.shape[1]
    scale, prior = best // per_cell, best % per_cell
    shapes = torch.tensor(sizes, device=boxes.device)
    starts = torch.cat([shapes.new_zeros(1), (shapes.prod(1) * per_cell).cumsum(0)])
    stride = grid.strides[starts[:-1]][scale]
    cell = (centres / stride[:, None]).long().clamp(min=0)
    row, column = (torch.minimum(cell[:, 1 - i], shapes[scale, i] - 1) for i in (0, 1))
    return starts[scale] + (row * shapes[scale, 1] + column) * per_cell + prior


def form_overlap(sides: Float[Tensor, "n 2"], priors: Float[Tensor, "p 2"]) -> Float[Tensor, "n p"]:
    """Intersection over union of boxes and priors put on one centre."""
    common = torch.minimum(sides[:, None], priors).prod(-1)
    return common / (sides.prod(-1)[:, None] + priors.prod(-1) - common)


@dataclass(frozen=True)
class YoloLoss:
    """The loss of one image: sums over its objects and priors.

    Attributes:
        threshold: overlap from which on a prior that does not answer for an object is ignored.
        offset_loss: of t_x and t_y: cross_entropy or squared.
        ignored: whose overlap counts: that of priors or of predictions.
    """

    threshold: float = 0.5
    offset_loss: OffsetLoss = "cross_entropy"
    ignored: Ignored = "priors"

    def __call__(
        self,
        predicted: Float[Tensor, "a values"],
        boxes: Float[Tensor, "n 4"],
        labels: Int[Tensor, " n"],
        grid: Grid,
        answers: Int[Tensor, " n"],
        area: float,
    ) -> dict[str, Tensor]:
        """Losses `loss_box`, `loss_objectness` and `loss_class` of an image.

        Args:
            predicted: t, objectness and class logits of each prior.
            boxes: of the objects.
            labels: their classes.
            grid: of the priors.
            answers: the prior of each object.
            area: of the image, in pixels.
        """
        own = Grid(*(part[answers] for part in grid))
        found = predicted[answers]
        box = self._box(found[:, :4], boxes, own, area)
        truth = F.one_hot(labels, predicted.shape[1] - 5).to(predicted.dtype)
        classes = F.binary_cross_entropy_with_logits(found[:, 5:], truth, reduction="sum")
        objectness = self._objectness(predicted, boxes, grid, answers)
        return {"loss_box": box, "loss_objectness": objectness, "loss_class": classes}

    def _box(self, t: Tensor, boxes: Tensor, own: Grid, area: float) -> Tensor:
        wanted = encode(boxes, own)
        sides = boxes[:, 2:] - boxes[:, :2]
        weight = (2 - sides.prod(1) / area)[:, None]
        if self.offset_loss == "squared":
            offsets = (t[:, :2] - wanted[:, :2]) ** 2 / 2
        else:
            target = wanted[:, :2].sigmoid()
            offsets = F.binary_cross_entropy_with_logits(t[:, :2], target, reduction="none")
        forms = (t[:, 2:] - wanted[:, 2:]) ** 2 / 2
        return (weight * (offsets + forms)).sum()

    def _objectness(self, predicted: Tensor, boxes: Tensor, grid: Grid, answers: Tensor) -> Tensor:
        wanted = torch.zeros_like(predicted[:, 4])
        wanted[answers] = 1
        counts = torch.ones_like(wanted)
        if len(boxes):
            with torch.no_grad():
                t = torch.zeros_like(predicted[:, :4])
                placed = decode(t if self.ignored == "priors" else predicted[:, :4], grid)
                counts[box_iou(placed, boxes).amax(1) > self.threshold] = 0
            counts[answers] = 1
        each = F.binary_cross_entropy_with_logits(predicted[:, 4], wanted, reduction="none")
        return (counts * each).sum()
