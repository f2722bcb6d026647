"""Spectral pool: the low frequencies of a map, on a grid of half the side.

Zhao, chapter 3, Table 3.4 (SpectralPool); paper: Rippel, Snoek and Adams, NeurIPS 2015, arXiv
1506.03767: Fourier transform, crop to the central half of the frequencies, inverse transform.
Values keep their scale: a map without higher frequencies comes out subsampled.

*Deviations*. Of an even output side the frequency of half the sampling rate has no partner: the
paper treats it as a special case, here it is left out, which keeps the output real.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from thesisbench.layers.pools.even import pad_even


def _crop_rows(spectrum: Complex[Tensor, "b c h w"], side: int) -> Complex[Tensor, "b c side w"]:
    """Rows of the frequencies below half the sampling rate of an output side."""
    highest = (side - 1) // 2
    count = spectrum.shape[2]
    none = spectrum.new_zeros(*spectrum.shape[:2], side - 2 * highest - 1, spectrum.shape[3])
    positive, negative = spectrum[:, :, : highest + 1], spectrum[:, :, count - highest :]
    return torch.cat([positive, none, negative], dim=2)


def low_frequencies(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """A map of even sides on a grid of half its sides, without what that grid cannot hold."""
    height, width = x.shape[2] // 2, x.shape[3] // 2
    spectrum = torch.fft.rfft2(x, norm="forward")[..., : (width - 1) // 2 + 1]
    return torch.fft.irfft2(_crop_rows(spectrum, height), s=(height, width), norm="forward")


class SpectralPool(nn.Module):
    """Keeps the lower half of the frequencies of each axis.

    Args:
        channels: of the map; any.
    """

    batch_free = True

    def __init__(self, channels: int) -> None:  # noqa: ARG002  (all pools are made of channels)
        super().__init__()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Pools a map of any sides; computed in single precision at least."""
        wide = torch.promote_types(x.dtype, torch.float32)
        return low_frequencies(pad_even(x).to(wide)).to(x.dtype)
