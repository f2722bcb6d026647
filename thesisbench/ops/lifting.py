"""The lifting scheme: a signal split into a coarse half and a detail half, and merged again.

Zhao, chapter 3, equations 3.1 to 3.3 and 3.9 to 3.12, appendix A; Sweldens 1998. As in the thesis
positions are numbered from 1, so the odd samples are `x[0::2]` and the even ones `x[1::2]`. A
*pair* holds the odd samples and, behind them along the batch axis, the even ones; a lifting step
maps a pair to the approximation s and the details d, whatever its predictor P and updater U are.

Images are lifted along the width first, then both halves along the height. All four phases are laid
out at once, each dense in memory, so that s and d of the first step are pairs of the second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

Operator = Callable[[Tensor], Tensor]
Step = Callable[[Tensor, int], tuple[Tensor, Tensor]]  # pair, axis -> s, d
InverseStep = Callable[[Tensor, Tensor, int], Tensor]  # s, d, axis -> pair
LiftBorder = Literal["periodic", "replicate"]
WIDTH, HEIGHT = -1, -2


class Bands(NamedTuple):
    """The sub-bands of an image: the first letter for the width, L low (s) and H high (d)."""

    LL: Tensor
    LH: Tensor
    HL: Tensor
    HH: Tensor


def split(x: Float[Tensor, ...], dim: int = -1) -> tuple[Tensor, Tensor]:
    """The even and the odd samples along an axis, counted from 1.

    Args:
        x: of even length along the axis.
        dim: the axis.

    >>> [part.tolist() for part in split(torch.tensor([1, 2, 3, 4]))]
    [[2, 4], [1, 3]]
    """
    if x.shape[dim] % 2:
        raise ValueError(f"an axis of {x.shape[dim]} samples has no equal halves; pad it first")
    odd, even = x.unflatten(dim, (-1, 2)).unbind(dim if dim < 0 else dim + 1)
    return even, odd


def merge(even: Float[Tensor, ...], odd: Float[Tensor, ...], dim: int = -1) -> Tensor:
    """The signal that `split` splits into these samples (equation 3.12)."""
    after = dim if dim < 0 else dim + 1
    return torch.stack([odd, even], dim=after).flatten(after - 1, after)


def lift(even: Tensor, odd: Tensor, predict: Operator, update: Operator) -> tuple[Tensor, Tensor]:
    """Approximation s and details d of a signal."""
    d = odd - predict(even)  # equation 3.2
    s = even + update(d)  # equation 3.3
    return s, d


def unlift(s: Tensor, d: Tensor, predict: Operator, update: Operator) -> tuple[Tensor, Tensor]:
    """The even and odd samples that `lift` maps to s and d, whatever predictor and updater do."""
    even = s - update(d)  # equation 3.10
    odd = d + predict(even)  # equation 3.11
    return even, odd


def pad_to_even(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """The map with its last row and column repeated where their number is odd."""
    height, width = x.shape[-2:]
    if height % 2 or width % 2:
        return F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
    return x


def to_phases(x: Float[Tensor, "b c h w"], *, channels_last: bool) -> Float[Tensor, "n c h2 w2"]:
    """The four phases of a map of even sides, along the batch axis: a pair of pairs.

    The phases of odd columns come first, and in each half those of odd rows.

    Args:
        x: the map.
        channels_last: lay the phases out with their channels last in memory.
    """
    if not channels_last:
        return rearrange(x, "b c (h p) (w q) -> (q p b) c h w", p=2, q=2)
    dense = rearrange(x, "b c (h p) (w q) -> (q p b) h w c", p=2, q=2).contiguous()
    return rearrange(dense, "n h w c -> n c h w")


def from_phases(phases: Float[Tensor, "n c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """The map that `to_phases` takes apart."""
    return rearrange(phases, "(q p b) c h w -> b c (h p) (w q)", p=2, q=2)


def lift_2d(phases: Float[Tensor, "n c h w"], step: Step) -> Bands:
    """The sub-bands of a map: along its width, then both halves along its height."""
    s, d = step(phases, WIDTH)
    return Bands(*step(s, HEIGHT), *step(d, HEIGHT))


def unlift_2d(bands: Bands, step: InverseStep) -> Float[Tensor, "n c h w"]:
    """The phases that `lift_2d` maps to these sub-bands."""
    s = step(bands.LL, bands.LH, HEIGHT)
    d = step(bands.HL, bands.HH, HEIGHT)
    return step(s, d, WIDTH)


def linear_predict(even: Tensor, dim: int, border: LiftBorder) -> Tensor:
    """The mean of the two even neighbours of each odd sample: CDF(2,2), appendix A."""
    return (_previous(even, dim, border) + even) / 2


def linear_update(d: Tensor, dim: int, border: LiftBorder) -> Tensor:
    """A quarter of the two details beside each even sample, which keeps the mean: CDF(2,2)."""
    return (d + _previous(d.flip(dim), dim, border).flip(dim)) / 4


def _previous(x: Tensor, dim: int, border: LiftBorder) -> Tensor:
    """Each sample's predecessor; before the first stands the last one, or the first itself."""
    before = x.narrow(dim, -1 if border == "periodic" else 0, 1)
    return torch.cat([before, x.narrow(dim, 0, x.shape[dim] - 1)], dim=dim)
