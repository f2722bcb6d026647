"""The triplet margin loss with the hardest negative of the batch, for patch descriptors.

Kayhan, chapter 2 (Figure 2.7, right) trains HardNet with it; Mishchuk et al., arXiv 1705.10872,
equations 1 to 4. For anchors a_i and positives p_i of a batch, i = 1..b, with D_ij = |a_i - p_j|:

    loss = mean_i max(0, margin + D_ii - min(min_j D_ij, min_k D_ki))     with j, k of other points

The second inner minimum is the *anchor swap*: the positive may lie nearer to a negative than the
anchor does.

*Deviations*. The release draws its triplets so that no batch of its fixed order holds a point
twice, and takes no patch nearer than 0.008 as a negative. Here the order is permuted, and pairs of
one point are never negatives of each other, which needs neither.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

SAFE = 1e-6  # under the root, so that its slope is at most 500


def unit_distances(a: Float[Tensor, "n d"], p: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Euclidean distances between unit vectors; the gradient is finite where two are equal.

    The root is taken of the squared distance + 1e-6, so equal vectors are 0.001 apart.

    Args:
        a: vectors of length 1.
        p: vectors of length 1.
    """
    squared = 2.0 - 2.0 * a @ p.T
    return torch.sqrt(squared.clamp(min=0.0) + SAFE)


def hardest_triplet_loss(
    anchors: Float[Tensor, "b d"],
    positives: Float[Tensor, "b d"],
    points: Int[Tensor, " b"],
    *,
    margin: float = 1.0,
    anchor_swap: bool = True,
) -> Float[Tensor, ""]:
    """Mean triplet margin loss of a batch of matching pairs.

    A pair without any negative, as in a batch of one point, adds nothing.

    Args:
        anchors: descriptors of length 1.
        positives: descriptors of the same points, alike.
        points: which point each pair shows; pairs of one point are no negatives of each other.
        margin: by which the negative should be further away than the positive.
        anchor_swap: look for negatives of the positive too.
    """
    distances = unit_distances(anchors, positives)
    same_point = points[:, None] == points[None, :]
    others = distances.masked_fill(same_point, torch.inf)
    negative = others.min(dim=1).values
    if anchor_swap:
        negative = torch.minimum(negative, others.min(dim=0).values)
    return (margin + distances.diagonal() - negative).clamp(min=0.0).mean()
