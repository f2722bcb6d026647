"""Maximum, average and Haar wavelet pools: no parameters.

Zhao, chapter 3, Table 3.4 (MaxPool, AveragePool, WaveletPool). The wavelet pool of Williams and Li,
ICLR 2018, keeps the low-pass band of an orthonormal Haar transform, which is twice the average:
they transform two levels and invert one of them, and what comes out is the first level's band.

*Deviations*. Gradients of the wavelet pool are those of this operation; the paper propagates back
through its second level, leaving out the details of the first.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class MaxPool(nn.MaxPool2d):
    """Maximum of each 2x2 window.

    Args:
        channels: of the map; any.
    """

    batch_free = True

    def __init__(self, channels: int) -> None:  # noqa: ARG002  (all pools are made of channels)
        super().__init__(2, ceil_mode=True)  # a window that is cut off has its maximum repeated


class AvgPool(nn.AvgPool2d):
    """Mean of each 2x2 window.

    Args:
        channels: of the map; any.
    """

    batch_free = True

    def __init__(self, channels: int) -> None:  # noqa: ARG002
        super().__init__(2, ceil_mode=True)  # a window that is cut off has the mean of its rest


class HaarPool(AvgPool):
    """Low-pass band of an orthonormal Haar transform: twice the mean of each 2x2 window."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Half the sum of each window."""
        return 2 * super().forward(x)
