"""False positive rate at a given recall of matching pairs (FPR95): lower is better.

Kayhan, chapter 2, Figure 2.7 (right); arXiv 2003.07064; the usual number of the Brown patches.

*Deviations*. The released evaluation orders tied distances arbitrarily and leaves the pair at the
threshold out; here all pairs at the threshold are accepted, so that the order of the pairs does not
matter. Where all distances differ the two are equal.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesisbench.errors import UserError


def fpr_at_recall(
    dist: Float[Tensor, " n"], label: Int[Tensor, " n"], *, recall: float = 0.95
) -> float:
    """Share of non-matching pairs that are accepted where `recall` of the matching ones are.

    A pair is accepted when its distance is at most a threshold: the smallest one that accepts at
    least this share of the matching pairs.

    Args:
        dist: distances of the pairs; small means alike.
        label: 1 for a matching pair, 0 for another.
        recall: share of matching pairs, above 0 and at most 1.

    Returns:
        A fraction.

    Raises:
        UserError: a recall outside (0, 1], no pair of one kind, or a distance that is no number.

    >>> fpr_at_recall(torch.tensor([0.1, 0.2, 0.15, 0.9]), torch.tensor([1, 1, 0, 0]))
    0.5
    """
    if not 0 < recall <= 1:
        raise UserError(f"recall={recall} must be above 0 and at most 1")
    if not torch.isfinite(dist).all():
        raise UserError("distances of pairs that are not finite: the descriptors have diverged")
    matching, other = dist[label == 1], dist[label == 0]
    if not len(matching) or not len(other):
        counts = f"{len(matching)} matching and {len(other)} other pairs"
        raise UserError(f"the false positive rate needs pairs of both kinds; got {counts}")
    wanted = math.ceil(recall * len(matching) - 1e-9)  # 0.95 of 20 is 19, whatever its last bit
    threshold = matching.kthvalue(max(wanted, 1)).values
    return int((other <= threshold).sum()) / len(other)
