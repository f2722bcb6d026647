"""Detail-preserving pool (DPP): a mean that gives more weight to what differs from its window.

Zhao, chapter 3, Table 3.4 (DPP, measured with its authors' code); paper: Saeedan, Weber, Goesele
and Roth, CVPR 2018, arXiv 1804.04076. With m the mean of a 2x2 window ("lite", the released form),

    y = sum(w x) / sum(w),   w = alpha + r^lambda,   r = ((x - m)^2 + eps) / (mean (x - m)^2 + eps)

where alpha > 0 and lambda > 0 are learned for each channel as exponentials. With lambda = 0 it is
the average; the larger lambda, the closer it comes to the value that differs most.

*Deviations*. As in the released code r is a ratio; in the paper it is sqrt((x - m)^2 + eps^2):
`ratio=False`. `upward=True` is the paper's asymmetric form, max(0, x - m) in place of x - m. The
full form (m from learned 3x3 weights) is not built.
"""

from __future__ import annotations

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.pools.even import pad_even


def _means(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """The mean of its 2x2 window at each position."""
    return repeat(F.avg_pool2d(x, 2), "b c h w -> b c (h 2) (w 2)")


def detail_preserving(
    x: Float[Tensor, "b c h w"],
    *,
    alpha: Tensor,
    exponent: Tensor,
    ratio: bool = True,
    upward: bool = False,
    eps: float = 1e-3,
) -> Float[Tensor, "b c h2 w2"]:
    """Mean of each window, weighed by what details deserve.

    Args:
        x: a map with even sides.
        alpha: weight that everything has; of a shape that broadcasts against x.
        exponent: lambda of the reward of a detail, likewise.
        ratio: details relative to those of their window, else absolute.
        upward: only what exceeds the mean is a detail.
        eps: keeps details above zero.
    """
    detail = x - _means(x)
    detail = detail.clamp(min=0) if upward else detail
    if ratio:
        square = detail**2 + eps
        reward = (square / _means(square)) ** exponent
    else:
        reward = (detail**2 + eps**2) ** (exponent / 2)
    weight = alpha + reward
    return F.avg_pool2d(weight * x, 2) / F.avg_pool2d(weight, 2)


class DetailPreservingPool(nn.Module):
    """DPP with an alpha and a lambda for each channel, both 1 at the start.

    Args:
        channels: of the map.
        ratio: as released, else as in the paper.
        upward: only what exceeds the mean is a detail.
    """

    batch_free = True

    def __init__(self, channels: int, *, ratio: bool = True, upward: bool = False) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.zeros(channels, 1, 1))
        self.log_exponent = nn.Parameter(torch.zeros(channels, 1, 1))
        self.ratio, self.upward = ratio, upward

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Pools a map of any sides."""
        return detail_preserving(
            pad_even(x),
            alpha=self.log_alpha.exp(),
            exponent=self.log_exponent.exp(),
            ratio=self.ratio,
            upward=self.upward,
        )
