"""What pools make of single frequencies: how much is kept and how much turns up as another one.

Zhao, chapter 3, appendix A, on the stand-in `sinusoid_alias`: sinusoids of every frequency that a
signal can hold and at evenly spaced phases, a chirp taken apart. A pool that halves the side can
hold frequencies up to a quarter of a cycle a pixel; of higher ones everything that comes out is
aliased. A pool that is not linear makes harmonics, which count as well; a constant does not.

*Deviations*. The thesis shows its fixed lifting on drawn signals and measures nothing. Pools are
scaled to keep a constant, so that Haar's low-pass band is the average.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from thesisbench.errors import UserError, unknown
from thesisbench.layers.lift_pool import FixedLift2d
from thesisbench.layers.pools.plain import AvgPool, HaarPool, MaxPool

BANDS = ("LL", "LH", "HL", "HH")
Pool = Callable[[Tensor], Tensor]
POOLS: Mapping[str, Callable[[], Pool]] = {
    "subsample": lambda: lambda x: x[..., 1::2, 1::2],
    "max": lambda: MaxPool(1),
    "average": lambda: AvgPool(1),
    "haar": lambda: lambda x: HaarPool(1)(x) / 2,
    "cdf22": lambda: FixedLift2d(border="periodic", bands=("LL",)),
    "cdf22_sum": lambda: FixedLift2d(border="periodic", bands=BANDS),
}


def sinusoids(
    frequencies: Int[Tensor, "f 2"], *, side: int, phases: int
) -> Float[Tensor, "f p h w"]:
    """Periodic waves of amplitude 1.

    Args:
        frequencies: cycles down and across an image.
        side: of the images.
        phases: of each, evenly over a cycle.
    """
    place = torch.arange(side, dtype=torch.float64) / side
    down, across = frequencies.double().unbind(1)
    cycles = down[:, None, None] * place[:, None] + across[:, None, None] * place
    phase = torch.arange(phases, dtype=torch.float64) / phases
    return torch.cos(2 * math.pi * (cycles[:, None] + phase[:, None, None]))


def spectra_after(
    pool: Pool, frequencies: Int[Tensor, "f 2"], *, side: int, phases: int = 8
) -> Float[Tensor, "f two"]:
    """Energy kept at a wave's own frequency, and energy elsewhere, as shares of the wave's own.

    Means over phases; a constant in the output counts as neither.

    Args:
        pool: halves the sides of a map [b, 1, h, w].
        frequencies: cycles down and across; those of side / 4 have no place of their own.
        side: of the waves.
        phases: of each.
    """
    waves = sinusoids(frequencies, side=side, phases=phases)
    pooled = pool(rearrange(waves, "f p h w -> (f p) 1 h w"))
    spectrum = torch.fft.fft2(pooled, norm="forward").abs().square()
    spectrum = rearrange(spectrum, "(f p) 1 h w -> f p h w", p=phases).mean(1)
    spectrum[:, 0, 0] = 0  # the constant
    total = spectrum.sum((1, 2))
    half = side // 2
    fits = (frequencies.abs() < side // 4).all(1)
    down, across = frequencies.unbind(1)
    each = torch.arange(len(frequencies))
    own = spectrum[each, down % half, across % half] + spectrum[each, -down % half, -across % half]
    kept = torch.where(fits, own, 0.0)
    energy = waves.square().mean((1, 2, 3))
    return torch.stack([kept / energy, (total - kept) / energy], 1)


class Aliasing:
    """Kept and aliased energy of a pool over all frequencies, along one axis and along both.

    Metrics, shares of the input's energy: `kept_1d`, `aliased_1d`, `kept_2d`, `aliased_2d`, and
    `aliased_<n>`: of n cycles an image along one axis.

    Args:
        pool: subsample, max, average, haar, cdf22 (its low-pass band) or cdf22_sum (all bands).
        side: of the waves, a multiple of 4.

    Raises:
        UserError: an unknown pool or another side.
    """

    def __init__(self, *, pool: str = "subsample", side: int = 32) -> None:
        if pool not in POOLS:
            raise UserError(unknown("pool", pool, POOLS))
        if side < 8 or side % 4:
            raise UserError(f"side={side} must be a multiple of 4, at least 8")
        self.pool, self.side = pool, side

    def __call__(self, context: object = None) -> dict[str, float]:
        """Measures it; the context of the step is not needed."""
        del context
        cycles = [n for n in range(1, self.side // 2) if n != self.side // 4]
        across = torch.tensor([[0, n] for n in cycles])
        both = torch.tensor([[m, n] for m in cycles for n in cycles])
        pool = POOLS[self.pool]()
        line, plane = (spectra_after(pool, f, side=self.side) for f in (across, both))
        found: dict[str, float] = {}
        for name, shares in (("1d", line), ("2d", plane)):
            kept, aliased = shares.mean(0).tolist()
            found |= {f"kept_{name}": kept, f"aliased_{name}": aliased}
        each = line[:, 1].tolist()
        return found | {f"aliased_{n}": share for n, share in zip(cycles, each, strict=True)}
