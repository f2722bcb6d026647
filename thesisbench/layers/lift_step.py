"""Predictor, updater and lifting step of LiftPool as modules.

Zhao, chapter 3, equations 3.2 to 3.7 and 3.10 to 3.11. Both filters are grouped convolutions of K
taps, ReLU, grouped 1x1 convolutions and tanh; along the height the same taps are transposed.

*Deviations*. The thesis gives neither groups nor biases nor the reduction of its norms: here both
convolutions are depthwise (the only reading near its count of parameters), without biases, and the
regularisers are means of squares. `groups1` and `groups2` choose other groups. Borders are padded
with zeros; even kernels reach one sample further to the right.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.ops.fused_lifting import lift_depthwise
from thesisbench.ops.lifting import WIDTH, lift, unlift


class Lifted(NamedTuple):
    """What a step gives: approximation, details, and the regularisers c_u and c_p of both."""

    s: Tensor
    d: Tensor
    c_u: Tensor
    c_p: Tensor


class LiftFilter(nn.Module):
    """A predictor or updater: channels stay, and so does the size; values from -1 to 1.

    Args:
        channels: of input and output. kernel: taps K.
        groups1: of the convolution over space. groups2: of the one over channels.
    """

    def __init__(self, channels: int, kernel: int, groups1: int, groups2: int) -> None:
        super().__init__()
        self.groups1, self.groups2 = groups1, groups2
        self.taps = nn.Parameter(torch.empty(channels, channels // groups1, kernel))
        self.mix = nn.Parameter(torch.empty(channels, channels // groups2))
        for weight in (self.taps, self.mix):
            nn.init.kaiming_uniform_(weight, a=math.sqrt(5))  # as torch's convolutions

    def oriented(self, dim: int) -> Float[Tensor, "c g kh kw"]:
        """The taps along an axis, an odd number of them: an even kernel gets a zero in front."""
        taps = F.pad(self.taps, (1, 0)) if self.taps.shape[-1] % 2 == 0 else self.taps
        return taps[:, :, None, :] if dim == WIDTH else taps[:, :, :, None]

    def forward(self, z: Float[Tensor, "b c h w"], dim: int) -> Float[Tensor, "b c h w"]:
        """Filters along an axis, -1 for the width and -2 for the height (equations 3.4, 3.5)."""
        taps = self.oriented(dim)
        padding = (taps.shape[2] // 2, taps.shape[3] // 2)
        hidden = F.conv2d(z, taps, padding=padding, groups=self.groups1).relu()
        return F.conv2d(hidden, self.mix[:, :, None, None], groups=self.groups2).tanh()


class LiftStep(nn.Module):
    """A predictor P and an updater U, and the invertible step that they make.

    Args:
        channels: of the maps.
        kernel: taps of both filters.
        groups1: of their convolutions over space; None for depthwise.
        groups2: of their convolutions over channels; None for one factor a channel.

    Raises:
        ValueError: groups that do not divide the channels; no taps.
    """

    batch_free = True

    def __init__(
        self,
        channels: int,
        kernel: int = 5,
        groups1: int | None = None,
        groups2: int | None = None,
    ) -> None:
        super().__init__()
        first, second = groups1 or channels, groups2 or channels
        if kernel < 1:
            raise ValueError(f"kernel must be at least 1, got {kernel}")
        if channels % first or channels % second:
            text = f"groups1={first} and groups2={second} must divide the {channels} channels"
            raise ValueError(text)
        self.predict = LiftFilter(channels, kernel, first, second)
        self.update = LiftFilter(channels, kernel, first, second)
        self.depthwise = first == second == channels

    def forward(self, pair: Float[Tensor, "n2 c h w"], dim: int) -> Lifted:
        """Lifts along an axis, -1 for the width and -2 for the height.

        Args:
            pair: odd samples and, behind them along the batch axis, even ones.
            dim: the axis that they are samples of.
        """
        if self.depthwise:
            filters = [(f.oriented(dim), f.mix[:, :, None]) for f in (self.predict, self.update)]
            return Lifted(*lift_depthwise(pair, *filters))
        odd, even = pair.chunk(2)
        s, d = lift(even, odd, lambda z: self.predict(z, dim), lambda z: self.update(z, dim))
        return Lifted(s, d, F.mse_loss(s, odd), d.square().mean())

    def inverse(
        self, s: Float[Tensor, "n c h w"], d: Float[Tensor, "n c h w"], dim: int
    ) -> Float[Tensor, "n2 c h w"]:
        """The pair that `forward` maps to s and d."""
        even, odd = unlift(s, d, lambda z: self.predict(z, dim), lambda z: self.update(z, dim))
        return torch.cat([odd, even])
