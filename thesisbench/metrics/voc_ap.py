"""Average precision of PASCAL VOC: 11 points of recall (2007), or the area under the curve (2010).

Everingham et al., IJCV 2010 and its development kit. Detections of a class are ranked over all
images. Each belongs to the object of its class that it overlaps most; the first one with an IoU of
at least the threshold is right, later ones are wrong, and those of difficult objects do not count.

*Deviations*. Boxes are of numbers without the +1 rule; `inclusive=True` restores that of the kit,
whose last pixels are inside. Equal scores keep the order of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from thesisbench.data.targets import Prediction, Target
from thesisbench.errors import UserError, unknown
from thesisbench.metrics.detection_ap import ignored, there

Points = Literal["11", "area"]


def voc_ap(
    predictions: Sequence[Prediction],
    targets: Sequence[Target],
    *,
    points: Points = "area",
    iou: float = 0.5,
    inclusive: bool = False,
) -> dict[int, float]:
    """AP in percent of each class with an object that counts; the mean over these is the mAP.

    Args:
        predictions: of each image: `boxes` [m 4] (xyxy), `scores` [m], `labels` [m].
        targets: of each image: `boxes` [n 4], `labels` [n]; where there, `difficult` and `crowd`
            [n] (neither wanted nor wrong) and `state` [n] (parts that are not there are left out).
        points: 11 (mean of the best precision at recalls 0, 0.1, ..., 1) or area.
        iou: that a right detection has at least.
        inclusive: the corner (x2, y2) is a pixel of the box, as in the kit.

    Raises:
        UserError: other points.
    """
    if points not in ("11", "area"):
        raise UserError(unknown("points of AP", str(points), ("11", "area")))
    counts = _counts(targets)
    found = [_matched(*x, inclusive) for x in zip(predictions, targets, strict=True)]
    firsts = torch.tensor([0, *(len(t["labels"]) for t in targets)]).cumsum(0)
    places = zip(found, firsts.tolist(), strict=False)
    overlaps = torch.cat([x[0] for x in found] or [torch.zeros(0)])
    objects = torch.cat([x[1] + first for x, first in places] or [torch.zeros(0).long()])
    skipped = torch.cat([ignored(t) for t in targets] or [torch.zeros(0).bool()])
    scores = torch.cat([p["scores"] for p in predictions] or [torch.zeros(0)])
    labels = torch.cat([p["labels"] for p in predictions] or [torch.zeros(0).long()])
    result = {}
    for label, wanted in counts.items():
        mine = torch.where(labels == label)[0]
        mine = mine[scores[mine].argsort(descending=True, stable=True)]
        hit = overlaps[mine] >= iou
        counted = ~hit
        counted[hit] = ~skipped[objects[mine][hit]]
        right = hit & _first(objects[mine], hit)
        result[label] = 100 * _average(right[counted], wanted, points)
    return result


def _counts(targets: Sequence[Target]) -> dict[int, int]:
    """Objects that count, by class."""
    kept = [t["labels"][there(t) & ~ignored(t)] for t in targets]
    labels, counts = torch.cat(kept or [torch.zeros(0).long()]).unique(return_counts=True)
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))


def _matched(prediction: Prediction, target: Target, inclusive: bool) -> tuple[Tensor, Tensor]:
    """Largest IoU of each detection with an object of its class, and which object that is."""
    if not len(target["labels"]):
        count = len(prediction["labels"])
        return torch.full((count,), -1.0), torch.zeros(count, dtype=torch.long)
    overlap = _iou(prediction["boxes"], target["boxes"], inclusive)
    same = (prediction["labels"][:, None] == target["labels"]) & there(target)
    best = overlap.masked_fill(~same, -1).max(1)
    return best.values, best.indices


def _iou(a: Float[Tensor, "m 4"], b: Float[Tensor, "n 4"], inclusive: bool) -> Float[Tensor, "m n"]:
    extra = float(inclusive)
    a, b = a.double(), b.double()
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    common = (high - low + extra).clamp(min=0).prod(2)
    areas = [(x[:, 2:] - x[:, :2] + extra).prod(1) for x in (a, b)]
    return common / (areas[0][:, None] + areas[1] - common).clamp(min=1e-12)


def _first(objects: Tensor, hit: Bool[Tensor, " m"]) -> Bool[Tensor, " m"]:
    """Which hits, in this order, are the first of their object."""
    ranks = torch.arange(len(objects))
    among = torch.full((int(objects.max()) + 1 if len(objects) else 0,), len(objects))
    among.scatter_reduce_(0, objects[hit], ranks[hit], "amin")
    return ranks == among[objects] if len(objects) else hit


def _average(right: Bool[Tensor, " m"], wanted: int, points: Points) -> float:
    """Area under the curve of the best precision at a recall or a larger one, or its 11 points."""
    hits = right.double().cumsum(0)
    recall = hits / wanted
    precision = hits / torch.arange(1, len(hits) + 1)
    best = precision.flip(0).cummax(0).values.flip(0) if len(hits) else precision
    if points == "11":
        levels = torch.arange(11).double() / 10
        places = torch.searchsorted(recall, levels - 1e-9)  # 3 of 10 are a recall of 0.3
        return float(torch.cat([best, best.new_zeros(1)])[places].mean())
    steps = recall - torch.cat([recall.new_zeros(1), recall[:-1]]) if len(hits) else recall
    return float((steps * best).sum())
