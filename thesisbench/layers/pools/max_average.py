"""Mixed and gated pools: learned blends of maximum and average.

Zhao, chapter 3, Table 3.4 (MixedPool, GatedPool); paper: Lee, Gallagher and Tu, AISTATS 2016, arXiv
1509.08985:

    mixed: y = a max(x) + (1 - a) mean(x),   a learned
    gated: the same with a = sigmoid(sum of w x over the window),   w learned

*Deviations*. The paper bounds a mixed pool's share a to [0, 1] without saying how; here it is free.
The thesis does not say which of the paper's options it runs: one share, or one mask, for each layer
is taken; `per="channel"` learns one for each channel.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.pools.even import pad_even

Per = Literal["layer", "channel"]


def _how_many(per: Per, channels: int) -> int:
    """Number of shares or masks of a layer."""
    if per not in get_args(Per):
        raise ValueError(f"unknown per {per!r}; valid: {', '.join(get_args(Per))}")
    return channels if per == "channel" else 1


def blend(x: Float[Tensor, "b c h w"], share: Tensor) -> Float[Tensor, "b c h2 w2"]:
    """A share of each window's maximum and the rest of its mean.

    Args:
        x: a map with even sides.
        share: of the maximum; of a shape that broadcasts against the result.
    """
    return torch.lerp(F.avg_pool2d(x, 2), F.max_pool2d(x, 2), share)


class MixedPool(nn.Module):
    """A learned share of the maximum of each 2x2 window, the rest of its mean.

    Args:
        channels: of the map.
        share: of the maximum at the start.
        per: whether a layer or each of its channels learns a share.

    Raises:
        ValueError: unknown word.
    """

    batch_free = True

    def __init__(self, channels: int, *, share: float = 0.5, per: Per = "layer") -> None:
        super().__init__()
        self.share = nn.Parameter(torch.full((_how_many(per, channels), 1, 1), share))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Pools a map of any sides."""
        return blend(pad_even(x), self.share)


class GatedPool(nn.Module):
    """As mixed, but each window has a share of its own, by a mask over it.

    Args:
        channels: of the map.
        per: whether a layer or each of its channels learns a mask; masks start at 0 (share 1/2).

    Raises:
        ValueError: unknown word.
    """

    batch_free = True

    def __init__(self, channels: int, *, per: Per = "layer") -> None:
        super().__init__()
        self.mask = nn.Parameter(torch.zeros(_how_many(per, channels), 1, 2, 2))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Pools a map of any sides."""
        x = pad_even(x)
        channels = x.shape[1]
        gate = F.conv2d(x, self.mask.expand(channels, 1, 2, 2), stride=2, groups=channels)
        return blend(x, gate.sigmoid())
