"""Gaussian-based pool and global feature guided pool: parameters from the mean of the whole map.

Zhao, chapter 3, Table 3.4 (GaussPool and GFGP, both measured with their author's code) and the
parameter counts in its text; papers: Kobayashi, NeurIPS 2019 ("Gaussian-Based Pooling") and ICCV
2019 ("Global Feature Guided Local Pooling"). With m and s mean and deviation of a 2x2 window,

    Gauss: y = m + softplus(u + v e) s,   e ~ N(0, 1) in training, 0 at test time
    GFGP:  y = sum(x exp(l x)) / sum(exp(l x)),   0 <= l: from the mean (l = 0) to the maximum

u, v (a sigmoid) and l (a sigmoid) belong to each sample and channel: the global mean of the map
goes through a hidden layer of half the channels and a linear layer, both with batch normalisation.

*Deviations*. None from the released code; `noise` names its stochasticity (HWCN, CN, none), and
`limit="softplus"` its other bound of l. As for dropout, e comes from torch's generator. The
normalisation mixes samples, so a training batch needs two of them.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.pools.even import pad_even

Noise = Literal["position", "channel", "none"]
Limit = Literal["sigmoid", "softplus"]


def _linear(channels_in: int, channels: int) -> nn.Sequential:
    """A linear layer of global features and its normalisation."""
    return nn.Sequential(nn.Conv2d(channels_in, channels, 1), nn.BatchNorm2d(channels))


def _hidden(channels: int) -> nn.Sequential:
    """The hidden features of a map: from its mean, half as many as channels."""
    linear = _linear(channels, max(1, channels // 2))
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), *linear, nn.ReLU())


def gaussian(
    x: Float[Tensor, "b c h w"], share: Tensor, *, eps: float = 1e-6
) -> Float[Tensor, "b c h2 w2"]:
    """Mean of each window and a share of its standard deviation.

    Args:
        x: a map with even sides.
        share: how many deviations above the mean; broadcasts against the result.
        eps: the least variance.
    """
    mean = F.avg_pool2d(x, 2)
    variance = F.avg_pool2d(x**2, 2) - mean**2
    return mean + share * variance.clamp(min=eps).sqrt()


def maximum_entropy(x: Float[Tensor, "b c h w"], slope: Tensor) -> Float[Tensor, "b c h2 w2"]:
    """Mean of each window with weights that grow exponentially with the values.

    Args:
        x: a map with even sides.
        slope: l, of shape (b, c, 1, 1) or what broadcasts to it.
    """
    windows = rearrange(x, "b c (h i) (w j) -> b c h w (i j)", i=2, j=2)
    return ((slope[..., None] * windows).softmax(dim=-1) * windows).sum(dim=-1)


class GaussPool(nn.Module):
    """Gaussian-based pool.

    Args:
        channels: of the map.
        noise: drawn for each position, each channel, or not at all.

    Raises:
        ValueError: unknown noise.
    """

    def __init__(self, channels: int, *, noise: Noise = "position") -> None:
        super().__init__()
        if noise not in get_args(Noise):
            raise ValueError(f"unknown noise {noise!r}; valid: {', '.join(get_args(Noise))}")
        self.noise = noise
        self.hidden = _hidden(channels)
        self.centre = _linear(max(1, channels // 2), channels)
        self.spread = None if noise == "none" else _linear(max(1, channels // 2), channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Pools a map of any sides."""
        features = self.hidden(x)
        share = self.centre(features)
        x = pad_even(x)
        if self.training and self.spread is not None:
            h, w = (n // 2 for n in x.shape[2:]) if self.noise == "position" else (1, 1)
            drawn = torch.randn(*x.shape[:2], h, w, dtype=x.dtype, device=x.device)
            share = share + self.spread(features).sigmoid() * drawn
        return gaussian(x, F.softplus(share))


class GuidedPool(nn.Module):
    """Global feature guided pool (GFGP) with maximum-entropy windows.

    Args:
        channels: of the map.
        limit: what keeps l above zero: sigmoid (below 1) or softplus.

    Raises:
        ValueError: unknown limit.
    """

    def __init__(self, channels: int, *, limit: Limit = "sigmoid") -> None:
        super().__init__()
        if limit not in get_args(Limit):
            raise ValueError(f"unknown limit {limit!r}; valid: {', '.join(get_args(Limit))}")
        self.limit = limit
        self.hidden = _hidden(channels)
        self.slope = _linear(max(1, channels // 2), channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Pools a map of any sides."""
        slope = self.slope(self.hidden(x))
        limited = slope.sigmoid() if self.limit == "sigmoid" else F.softplus(slope)
        return maximum_entropy(pad_even(x), limited)
