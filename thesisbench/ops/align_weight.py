"""WeightAlign: the weights of each filter brought to mean 0 and standard deviation sqrt(2/n).

Liu, chapter 5, Eq. 5.3 to 5.10; arXiv 2010.07160. A filter has n weights (k*k*c of a convolution, c
its input channels per group). A response x = w . y has mean n E[w] E[y] (5.4), which E[w] = 0
(5.6) makes zero, and then the variance n Var[w] E[y^2] = n/2 Var[w] Var[z] (5.7, 5.8) for
y = ReLU(z), z symmetric; n/2 Var[w] = 1 (5.9) keeps it. Weight standardisation (Qiao et al., arXiv
1903.10520) is the same without the factor sqrt(2/n) and without gamma.

*Deviations*. None from the equations: Var has the denominator n. eps is added to the variance,
which the thesis does not say. A filter of mean exactly 0 takes the mean of y out of x as well, so
x has the variance n Var[w] Var[y], not n Var[w] E[y^2]: the variance is kept only nearly.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)


def standardise_weight(
    w: Float[Tensor, "o ..."], gain: Float[Tensor, " o"] | None = None, *, eps: float = 1e-8
) -> Float[Tensor, "o ..."]:
    """Each filter with mean 0 and standard deviation 1, times its gain.

    Group normalisation of one sample with a group a filter computes just this, in one kernel
    forward and one backward.

    Args:
        w: filters along the first axis, each of at least two weights.
        gain: factor of each filter; None for 1.
        eps: added to the variances.
    """
    channels_last = not w.is_contiguous() and w.movedim(1, -1).is_contiguous()
    laid = w.movedim(1, -1) if channels_last else w  # as it lies in memory: nothing is copied
    rows = laid.reshape(1, len(w), -1)  # [1, o, n]
    standard = F.group_norm(rows, len(w), gain, eps=eps).reshape(laid.shape)
    return standard.movedim(-1, 1) if channels_last else standard


def align_weight(
    w: Float[Tensor, "o ..."],
    gamma: Float[Tensor, " g"],
    *,
    center: bool = True,
    scale: bool = True,
    scale_mult: float = 1.0,
    eps: float = 1e-8,
) -> Float[Tensor, "o ..."]:
    """The aligned weights of Eq. 5.10, or of one of its two components (Table 5.4).

    Args:
        w: filters along the first axis: of a linear layer or a convolution over any axes.
        gamma: factor of each filter, or one for all.
        center: whether means are subtracted.
        scale: whether the weights are divided by sqrt(n/2 Var[w]).
        scale_mult: factor on sqrt(n/2) (Figure 5.6).
        eps: added to the variances.

    Raises:
        ValueError: a scale_mult other than 1 without scale.
    """
    if not scale and scale_mult != 1:
        raise ValueError(f"scale_mult={scale_mult} needs scale=True")
    gamma = gamma.expand(len(w))
    target = math.sqrt(2 / w[0].numel()) / scale_mult  # 1 / (s sqrt(n/2))
    if center and scale:
        return standardise_weight(w, gamma * target, eps=eps)  # (5.10)
    rows = w.flatten(1)
    if center:
        rows = rows - rows.mean(1, keepdim=True)  # (5.6) alone
    if scale:
        gamma = gamma * target / (rows.var(1, correction=0) + eps).sqrt()  # (5.9) alone
    return (gamma[:, None] * rows).reshape(w.shape)
