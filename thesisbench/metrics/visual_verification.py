"""Visual verification: recall of parts that are there and of parts that are missing, and F_vv.

Kayhan, chapter 4, equation 4.1, Table 4.1 and Figure 4.6; arXiv 2106.02523. Parts that are intact
or damaged are present, absent or occluded ones are missing; missing ones have a box at their most
likely place. `thesisbench.metrics.part_overlaps` says which are found.

*Deviations*. None known. The threshold of the score, which decides R_M, is not in the thesis: give
several. F_vv of 0 / 0 (R_P = 0 and R_M = 1) is 0. `usual_place_chance` is ours (claim C4).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from thesisbench.data.arrays import mix
from thesisbench.data.targets import Prediction, Target
from thesisbench.metrics.part_overlaps import Overlaps, overlaps


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
