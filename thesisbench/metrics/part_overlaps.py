"""How well each part of each image was found: the best overlap of a detection with its box.

Kayhan, chapter 4: a part counts as found if there is a detection of it with an IoU of at least T;
at T = 0 the place does not matter. Several detections of a part count once. All images, parts, IoUs
and scores are done together: of each part only its best overlap matters, by threshold of the score,
and recalls at all IoUs follow from one count of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from thesisbench.data.targets import MISSING, Prediction, Target
from thesisbench.errors import UserError

UNKNOWN = -1  # the state of a part that an image has no annotation of


@dataclass(frozen=True)
class Overlaps:
    """How well each part of each image was found.

    Attributes:
        best: largest IoU of a detection of the part with its box, by threshold of the score; -1
            where there is none.
        state: of the part: 0 intact, 1 damaged, 2 absent, 3 occluded, -1 not annotated.
    """

    best: Float[Tensor, "s i c"]
    state: Int[Tensor, "i c"]

    @property
    def present(self) -> Bool[Tensor, "i c"]:
        """Parts that are there."""
        return (self.state >= 0) & (self.state < MISSING)

    @property
    def missing(self) -> Bool[Tensor, "i c"]:
        """Parts that are not."""
        return self.state >= MISSING

    def recall(
        self, among: Bool[Tensor, "i c"], thresholds: Sequence[float]
    ) -> Float[Tensor, "s t"]:
        """Share of the parts that were found, from 0 to 1; NaN without parts.

        Args:
            among: the parts.
            thresholds: least IoUs; 0 for a detection anywhere.
        """
        best = self.best[:, among]
        levels, order = torch.tensor(list(thresholds), dtype=best.dtype).sort(stable=True)
        reached = torch.bucketize(best, levels, right=True)  # how many levels an overlap reaches
        steps = len(levels) + 1
        rows = torch.arange(len(best))[:, None] * steps
        counts = torch.bincount((reached + rows).flatten(), minlength=steps * len(best))
        below = counts.reshape(-1, steps).cumsum(1)[:, :-1]
        recall = torch.empty(below.shape, dtype=torch.double)
        recall[:, order] = 1 - below.double() / best.shape[1]
        return recall


def overlaps(
    predictions: Sequence[Prediction],
    targets: Sequence[Target],
    *,
    parts: int,
    scores: Sequence[float],
) -> Overlaps:
    """The best overlap of each part of each image with a detection of it.

    Args:
        predictions: of each image: `boxes` [m 4] (xyxy), `scores` [m], `labels` [m].
        targets: of each image: `boxes` [n 4], `labels` [n] and `state` [n], each part at most once.
        parts: number of kinds of parts.
        scores: thresholds; a detection counts with this score or a larger one.

    Raises:
        UserError: targets without states, a part twice, or a label that is no part.
    """
    boxes, state = _layout(targets, parts)
    counts = torch.tensor([p["labels"].shape[0] for p in predictions], dtype=torch.long)
    image = torch.arange(len(predictions)).repeat_interleave(counts)
    found, values, labels = (_joined(predictions, k) for k in ("boxes", "scores", "labels"))
    place = image * parts + labels.long()
    levels, order = torch.tensor(list(scores), dtype=values.dtype).sort(stable=True)
    reached = torch.bucketize(values, levels, right=True)  # how many thresholds a score reaches
    keep = (labels >= 0) & (labels < parts) & (reached > 0)
    if not bool(keep.all()):
        found, place, reached = found.reshape(-1, 4)[keep], place[keep], reached[keep]
    overlap = _pair_iou(found.reshape(-1, 4), boxes.reshape(-1, 4)[place])
    best = torch.full((len(scores), state.numel()), -1.0, dtype=torch.double)
    best.view(-1).scatter_reduce_(0, (reached - 1) * state.numel() + place, overlap, "amax")
    for level in range(len(best) - 2, -1, -1):  # what reaches a threshold reaches all lower ones
        torch.maximum(best[level], best[level + 1], out=best[level])
    rows = best.reshape(len(scores), *state.shape)
    return Overlaps(rows[order.argsort()], state)


def _layout(
    targets: Sequence[Target], parts: int
) -> tuple[Float[Tensor, "i c 4"], Int[Tensor, "i c"]]:
    """Boxes and states by image and part."""
    if any("state" not in target for target in targets):
        text = "visual verification needs the state of each part (intact, absent, ...)"
        raise UserError(f"{text}, which this data set does not have; choose one of bicycle parts")
    counts = torch.tensor([t["labels"].shape[0] for t in targets], dtype=torch.long)
    labels = _joined(targets, "labels").long()
    odd = labels[(labels < 0) | (labels >= parts)]
    if len(odd):
        raise UserError(f"a target has part {int(odd[0])}, but there are {parts} kinds of parts")
    place = torch.arange(len(targets)).repeat_interleave(counts) * parts + labels
    if len(place) and int(torch.bincount(place).max()) > 1:
        raise UserError("an image has a part twice; visual verification takes each at most once")
    boxes = torch.zeros(len(targets) * parts, 4, dtype=torch.double)
    state = torch.full((len(targets) * parts,), UNKNOWN)
    boxes[place] = _joined(targets, "boxes").reshape(-1, 4).double()
    state[place] = _joined(targets, "state").long()
    return boxes.reshape(-1, parts, 4), state.reshape(-1, parts)


def _joined(items: Sequence[Prediction], key: str) -> Tensor:
    return torch.cat([item[key] for item in items]) if items else torch.zeros(0)


def _pair_iou(a: Float[Tensor, "m 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, " m"]:
    """IoU of pairs of boxes; 0 where both are empty."""
    a, b = a.double(), b.double()
    sides = torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])
    common = sides.clamp(min=0).prod(1)
    areas = [(x[:, 2:] - x[:, :2]).clamp(min=0).prod(1) for x in (a, b)]
    return common / (areas[0] + areas[1] - common).clamp(min=1e-12)
