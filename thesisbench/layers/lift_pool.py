"""LiftPool: pooling by a lifting scheme, and its exact inverse as unpooling.

Zhao, chapter 3; Zhao and Snoek, ICLR 2021. LiftDownPool gives one sub-band of a map, or the sum of
some; LiftUpPool (`thesisbench.layers.unpool`) takes a map for LL and puts back the other three that
were recorded. One predictor and one updater serve both directions (K + 1 weights a channel each, if
depthwise), and two regularisers join the loss of training, weighted 0.01 and 0.1 (equation 3.8).

Bands are named as in the thesis: of the approximation s come LL and LH, of the details d HL and HH,
so LH holds the high frequencies along the height. Maps of odd sides are padded with their last row
and column.

*Deviations*. The regularisers are means of squares over the three steps of a layer, and sums over
layers; the thesis prints plain norms. See also `thesisbench.layers.lift_step`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from thesisbench.layers.lift_step import Lifted, LiftStep
from thesisbench.ops.lifting import (
    Bands,
    LiftBorder,
    Operator,
    Step,
    from_phases,
    lift,
    lift_2d,
    linear_predict,
    linear_update,
    pad_to_even,
    to_phases,
    unlift,
    unlift_2d,
)

Reduce = Literal["sum", "concat"]
BANDS = Bands._fields


class LiftPool2d(nn.Module, ABC):
    """What learned and fixed lifting share: the choice of bands, and the record of the others.

    Args:
        bands: those that are pooled, of LL, LH, HL and HH.
        reduce: sum, or concat along the channels, in the order of `bands`.

    Attributes:
        keep_details: whether a forward pass records LH, HL and HH; a `LiftUpPool2d` asks for it.
        last_details: these bands of the last forward pass. last_size: height and width of its map.

    Raises:
        ValueError: no band, an unknown one, or one named twice; an unknown way to reduce.
    """

    batch_free = True

    def __init__(self, bands: Sequence[str] = BANDS, reduce: Reduce = "sum") -> None:
        super().__init__()
        chosen = (bands,) if isinstance(bands, str) else tuple(bands)
        if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(BANDS):
            raise ValueError(f"bands must be some of {', '.join(BANDS)}, each once; got {chosen}")
        if reduce not in get_args(Reduce):
            raise ValueError(f"unknown reduce {reduce!r}; valid: {', '.join(get_args(Reduce))}")
        self.bands, self.reduce = chosen, reduce
        self.keep_details = False
        self.last_details: tuple[Tensor, Tensor, Tensor] | None = None
        self.last_size: tuple[int, int] = (0, 0)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """The pooled map; an odd side of n gives (n + 1) / 2."""
        every = self.lift(x)
        self.last_size = (x.shape[-2], x.shape[-1])
        self.last_details = every[1:] if self.keep_details else None
        chosen = [getattr(every, band) for band in self.bands]
        pooled = _sum(chosen) if self.reduce == "sum" else torch.cat(chosen, dim=1)
        return pooled if _is_channels_last(x) else pooled.contiguous()

    @abstractmethod
    def lift(self, x: Float[Tensor, "b c h w"]) -> Bands:
        """All four sub-bands of a map."""

    def _lift(self, x: Tensor, step: Step) -> Bands:
        # On a CPU, depthwise kernels are several times as fast with their channels last.
        last = x.device.type == "cpu" or _is_channels_last(x)
        return lift_2d(to_phases(pad_to_even(x), channels_last=last), step)

    def unlift(self, bands: Bands, size: tuple[int, int]) -> Float[Tensor, "b c h w"]:
        """The map of this height and width with these sub-bands."""
        return from_phases(unlift_2d(bands, self._inverse_step))[..., : size[0], : size[1]]

    @abstractmethod
    def _inverse_step(self, s: Tensor, d: Tensor, dim: int) -> Tensor:
        """The pair (odd, then even samples along the batch) that gave s and d along an axis."""

    def __getstate__(self) -> dict[str, Any]:
        """Copies have no record of a forward pass, whose graph cannot be copied."""
        return {**self.__dict__, "last_details": None}

    def extra_repr(self) -> str:
        """Shows the bands."""
        return f"bands={'+'.join(self.bands)}, reduce={self.reduce}"


class LiftDownPool2d(LiftPool2d):
    """Pooling by a learned lifting scheme.

    Args:
        channels: of the map.
        kernel: taps of predictor and updater.
        bands: those that are pooled, of LL, LH, HL and HH.
        reduce: sum, or concat along the channels, in the order of `bands`.
        groups1: groups of the convolutions over space; None for depthwise.
        groups2: groups of the 1x1 convolutions; None for one factor a channel.
        weight_u: of the regulariser that draws the approximation to the odd samples.
        weight_p: of the one that makes the details small.

    Raises:
        ValueError: bands, groups or a kernel that are not valid.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel: int = 5,
        bands: Sequence[str] = BANDS,
        reduce: Reduce = "sum",
        groups1: int | None = None,
        groups2: int | None = None,
        weight_u: float = 0.01,
        weight_p: float = 0.1,
    ) -> None:
        super().__init__(bands, reduce)
        self.channels, self.weight_u, self.weight_p = channels, weight_u, weight_p
        self.step = LiftStep(channels, kernel, groups1, groups2)
        self._losses: dict[str, Tensor] = {}

    def lift(self, x: Float[Tensor, "b c h w"]) -> Bands:
        """All four sub-bands of a map; in training, takes down the regularisers as well."""
        steps: list[Lifted] = []

        def step(pair: Tensor, dim: int) -> tuple[Tensor, Tensor]:
            steps.append(self.step(pair, dim))
            return steps[-1].s, steps[-1].d

        with _full_precision(x):
            bands = self._lift(x.to(self.step.predict.taps.dtype), step)
        self._losses = self._weighted(steps) if self.training else {}
        return bands

    def unlift(self, bands: Bands, size: tuple[int, int]) -> Float[Tensor, "b c h w"]:
        """The map of this height and width with these sub-bands."""
        dtype = self.step.predict.taps.dtype
        with _full_precision(bands.LL):
            return super().unlift(Bands(*(band.to(dtype) for band in bands)), size)

    def _inverse_step(self, s: Tensor, d: Tensor, dim: int) -> Tensor:
        return self.step.inverse(s, d, dim)

    def _weighted(self, steps: Sequence[Lifted]) -> dict[str, Tensor]:
        losses = {}
        if self.weight_u:
            losses["lift_u"] = self.weight_u * _sum([step.c_u for step in steps]) / len(steps)
        if self.weight_p:
            losses["lift_p"] = self.weight_p * _sum([step.c_p for step in steps]) / len(steps)
        return losses

    def extra_losses(self) -> dict[str, Tensor]:
        """The weighted regularisers of the last forward pass in training, by name.

        `lift_u` and `lift_p` are means over the samples of its batch.
        """
        return dict(self._losses)

    def __getstate__(self) -> dict[str, Any]:
        """Copies have no record of a forward pass, whose graph cannot be copied."""
        return {**super().__getstate__(), "_losses": {}}


class FixedLift2d(LiftPool2d):
    """Pooling by the lifting scheme of the CDF(2,2) wavelet, untrained (appendix A).

    Args:
        border: periodic, or replicate for the samples next to the border.
        bands: those that are pooled, of LL, LH, HL and HH.
        reduce: sum, or concat along the channels, in the order of `bands`.

    Raises:
        ValueError: bands or a border that are not valid.
    """

    def __init__(
        self,
        *,
        border: LiftBorder = "replicate",
        bands: Sequence[str] = ("LL",),
        reduce: Reduce = "sum",
    ) -> None:
        super().__init__(bands, reduce)
        if border not in get_args(LiftBorder):
            text = f"unknown border {border!r}; valid: {', '.join(get_args(LiftBorder))}"
            raise ValueError(text)
        self.border = border

    def lift(self, x: Float[Tensor, "b c h w"]) -> Bands:
        """All four sub-bands of a map."""
        return self._lift(x, self._step)

    def _step(self, pair: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        odd, even = pair.chunk(2)
        return lift(even, odd, *self._filters(dim))

    def _inverse_step(self, s: Tensor, d: Tensor, dim: int) -> Tensor:
        even, odd = unlift(s, d, *self._filters(dim))
        return torch.cat([odd, even])

    def _filters(self, dim: int) -> tuple[Operator, Operator]:
        return (
            partial(linear_predict, dim=dim, border=self.border),
            partial(linear_update, dim=dim, border=self.border),
        )


def _sum(terms: Sequence[Tensor]) -> Tensor:
    """The sum, in one new tensor."""
    total = terms[0] + terms[1] if len(terms) > 1 else terms[0]
    for term in terms[2:]:
        total += term
    return total


def _is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """Turns mixed precision off, which would leave the inverse inexact."""
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)
