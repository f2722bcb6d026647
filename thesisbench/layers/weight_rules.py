"""How a kernel is computed from a weight: WeightAlign, weight normalisation, standardisation.

Liu, chapter 5, Eq. 5.10 (arXiv 2010.07160); Salimans and Kingma, arXiv 1602.07868; Qiao et al.,
arXiv 1903.10520. `thesisbench.layers.weight_align` gives layers such a rule.

*Deviations*. The thesis calls gamma "a learnable scalar" like that of BN: here one a filter, with
`gamma_per="layer"` one a layer. Weight standardisation adds eps to the variance, the paper to the
standard deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_args

from torch import Tensor

from thesisbench.ops.align_weight import align_weight, standardise_weight

GammaPer = Literal["filter", "layer"]


class Rule(Protocol):
    """How a kernel comes from a weight."""

    @property
    def scale_free(self) -> bool:
        """Whether a multiple of a filter gives the same kernel."""

    def kernel(self, weight: Tensor, gamma: Tensor | None) -> Tensor:
        """The kernel."""

    def start(self, weight: Tensor) -> Tensor | None:
        """What gamma starts from; None for a rule without it."""


@dataclass(frozen=True)
class Align:
    """Mean 0 and standard deviation gamma sqrt(2/n) of each filter (5.10); gamma starts at 1.

    Attributes:
        center, scale, scale_mult, eps: of `align_weight`. gamma_per: filter or layer.

    Raises:
        ValueError: options that do not go together or are unknown.
    """

    center: bool = True
    scale: bool = True
    scale_mult: float = 1.0
    eps: float = 1e-8
    gamma_per: GammaPer = "filter"

    def __post_init__(self) -> None:
        if self.gamma_per not in get_args(GammaPer):
            raise ValueError(f"unknown gamma_per {self.gamma_per!r}; valid: filter, layer")
        if not self.scale_mult > 0:
            raise ValueError(f"scale_mult={self.scale_mult} must be positive")
        if self.scale_mult != 1 and not self.scale:
            raise ValueError(f"scale_mult={self.scale_mult} needs scale=true")

    @property
    def scale_free(self) -> bool:
        """With scaling."""
        return self.scale

    def kernel(self, weight: Tensor, gamma: Tensor | None) -> Tensor:
        """The aligned weight."""
        assert gamma is not None
        return align_weight(
            weight,
            gamma,
            center=self.center,
            scale=self.scale,
            scale_mult=self.scale_mult,
            eps=self.eps,
        )

    def start(self, weight: Tensor) -> Tensor:
        """Ones."""
        return weight.new_ones(len(weight) if self.gamma_per == "filter" else 1)


@dataclass(frozen=True)
class WeightNorm:
    """gamma w / |w| for each filter; gamma starts at |w|, so that the kernel is the weight."""

    scale_free: ClassVar[bool] = False

    def kernel(self, weight: Tensor, gamma: Tensor | None) -> Tensor:
        """Filters of length gamma."""
        assert gamma is not None
        factors = gamma / weight.flatten(1).norm(dim=1)
        return weight * factors.reshape(-1, *(1 for _ in weight.shape[1:]))

    def start(self, weight: Tensor) -> Tensor:
        """The lengths of the filters."""
        return weight.detach().flatten(1).norm(dim=1)


@dataclass(frozen=True)
class Standardise:
    """Mean 0 and standard deviation 1 of each filter; no gamma.

    Attributes:
        eps: added to the variances.
    """

    eps: float = 1e-8
    scale_free: ClassVar[bool] = True

    def kernel(self, weight: Tensor, gamma: Tensor | None) -> Tensor:
        """The standardised weight."""
        del gamma
        return standardise_weight(weight, eps=self.eps)

    def start(self, weight: Tensor) -> None:
        """It has none."""
        del weight
