"""Visual verification: recall of parts that are there and of parts that are missing, and F_vv.

Kayhan, chapter 4, equation 4.1, Table 4.1 and Figure 4.6; arXiv 2106.02523. Parts that are intact
or damaged are present, absent or occluded ones are missing; missing ones have a box at their most
likely place. A part counts as found if there is a detection of it with an IoU of at least T; at
T = 0 the place does not matter. Several detections of a part count once.

All images, parts, IoUs and scores are done together: of each part only its best overlap matters,
by threshold of the score, and recalls at all IoUs follow from one count of these.

*Deviations*. None known. The threshold of the score, which decides R_M, is not in the thesis: give
several. F_vv of 0 / 0 (R_P = 0 and R_M = 1) is 0. `usual_place_chance` is ours (claim C4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from thesisbench.data.arrays import mix
from thesisbench.data.targets import MISSING, Prediction, Target
from thesisbench.errors import UserError

UNKNOWN = -1  # the state of a part that an image has no annotation of


def f_vv(r_p: float, r_m: float, beta: float = 0.1) -> float:
    """Equation 4.1: F_beta with 1 - R_M as precision and R_P as recall.

    Args:
        r_p: recall of present parts, 0 to 1.
        r_m: recall of missing parts.
        beta: below 1, missing parts that are found cost more than present ones that are not.

    >>> round(f_vv(0.83, 0.28), 2)
    0.72
    """
    weight, precision = beta**2, 1 - r_m
    below = weight * precision + r_p
    return (1 + weight) * r_p * precision / below if below > 0 else 0.0


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


def visual_verification(
    predictions: Sequence[Prediction],
    targets: Sequence[Target],
    *,
    parts: int,
    t_present: float = 0.5,
    t_missing: float = 0.1,
    beta: float = 0.1,
    score_threshold: float = 0.05,
) -> dict[str, float]:
    """`r_present`, `r_missing` and `f_vv`, from 0 to 1; NaN where no part decides.

    Args:
        predictions: see `overlaps`.
        targets: see `overlaps`.
        parts: number of kinds of parts.
        t_present: least IoU of a found part that is there.
        t_missing: least IoU of one that is not.
        beta: of `f_vv`.
        score_threshold: least score of a detection.
    """
    found = overlaps(predictions, targets, parts=parts, scores=[score_threshold])
    return verified(found, t_present=t_present, t_missing=t_missing, beta=beta)[0]


def verified(
    found: Overlaps, *, t_present: float, t_missing: float, beta: float = 0.1
) -> list[dict[str, float]]:
    """`r_present`, `r_missing` and `f_vv` for each threshold of the score."""
    r_p = found.recall(found.present, [t_present])[:, 0].tolist()
    r_m = found.recall(found.missing, [t_missing])[:, 0].tolist()
    return [
        {"r_present": p, "r_missing": m, "f_vv": f_vv(p, m, beta) if p == p and m == m else p + m}
        for p, m in zip(r_p, r_m, strict=True)
    ]


def missing_recall_curve(found: Overlaps, thresholds: Sequence[float]) -> Float[Tensor, "s t"]:
    """Figure 4.6: recall of missing parts over the least IoU, for each threshold of the score."""
    return found.recall(found.missing, thresholds)


def usual_place_chance(
    predictions: Sequence[Prediction],
    targets: Sequence[Target],
    *,
    parts: int,
    thresholds: Sequence[float],
    score_threshold: float = 0.05,
    draws: int = 5,
    seed: int = 0,
) -> Float[Tensor, " t"]:
    """Recall of missing parts if detections had their scores and sizes, but any place.

    False detections that land on the usual place of a missing part give a recall far above it; at
    an IoU of 0 both are the same.

    Args:
        predictions: see `overlaps`.
        targets: see `overlaps`, with `size` and `number`.
        parts: number of kinds of parts.
        thresholds: least IoUs.
        score_threshold: least score of a detection.
        draws: of the places; the mean over them is given.
        seed: of the draws.
    """
    curves = []
    for draw in range(draws):
        moved = at_random_places(predictions, targets, seed=mix(seed, draw))
        found = overlaps(moved, targets, parts=parts, scores=[score_threshold])
        curves.append(missing_recall_curve(found, thresholds)[0])
    return torch.stack(curves).mean(0)


def at_random_places(
    predictions: Sequence[Prediction], targets: Sequence[Target], *, seed: int
) -> list[dict[str, Tensor]]:
    """The same detections, each somewhere else in its image, all places being equally likely.

    Scores, labels and sides of the boxes stay.

    Args:
        predictions: of each image.
        targets: of each image, with its `size` [2] (height, width) and `number` [].
        seed: the places are a function of it and of the number of the image.
    """
    return [_moved(p, t, seed) for p, t in zip(predictions, targets, strict=True)]


def _moved(prediction: Prediction, target: Target, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(mix(seed, int(target["number"])))
    boxes = prediction["boxes"].double()
    sides = boxes[:, 2:] - boxes[:, :2]
    room = (target["size"].flip(0).double() - sides).clamp(min=0)
    corners = torch.rand(len(boxes), 2, generator=generator, dtype=torch.double) * room
    return {**prediction, "boxes": torch.cat([corners, corners + sides], 1)}
