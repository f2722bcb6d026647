"""Layers whose kernel is computed from their weight: WeightAlign and two relatives.

Liu, chapter 5, Eq. 5.10 (WeightAlign, arXiv 2010.07160), compared there with weight normalisation
(Salimans and Kingma, arXiv 1602.07868); weight standardisation: Qiao et al., arXiv 1903.10520. A
layer keeps the parameters `weight` and `bias` under their names; WeightAlign and weight
normalisation add `gamma`, one number a filter. State dicts of the plain layer load too: gamma then
starts anew. `thesisbench.layers.reparameterize` rewrites networks with them and folds them back.

*Deviations*. Those of the rules (`thesisbench.layers.weight_rules`).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.weight_rules import Align, GammaPer, Rule, WeightNorm


class Reparameterized(nn.Module):
    """What such layers share; to be put before a torch layer among the base classes.

    Attributes:
        plain: class of the layer it is without the rule.
        rule: how its kernel is computed. gamma: its parameter, None where the rule has none.
        undecayed: names of its parameters on which weight decay does not act.
    """

    plain: ClassVar[type[nn.Module]]
    batch_free = True
    starts_anew = ("gamma",)  # weights of the plain network may lack it
    undecayed: tuple[str, ...] = ()
    weight: Tensor
    gamma: Tensor | None
    rule: Rule

    def set_rule(self, rule: Rule) -> None:
        """Takes a rule; gamma starts from the weight as it is.

        Raises:
            ValueError: filters of one weight, which have no spread.
        """
        if self.weight[0].numel() < 2 and not isinstance(rule, WeightNorm):
            raise ValueError("its filters have one weight each, which has no spread")
        self.rule = rule
        start = rule.start(self.weight)
        self.register_parameter("gamma", None if start is None else nn.Parameter(start))

    def kernel(self) -> Tensor:
        """The weights that the layer computes with."""
        return self.rule.kernel(self.weight, self.gamma)

    def draw_filters(self) -> None:
        """Filters from N(0, 2/n); gamma starts anew."""
        nn.init.normal_(self.weight, std=math.sqrt(2 / self.weight[0].numel()))
        self.restart_gamma()

    @torch.no_grad()
    def restart_gamma(self) -> None:
        """Gamma as it starts with the weight as it is."""
        if self.gamma is not None:
            self.gamma.copy_(cast(Tensor, self.rule.start(self.weight)))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        """Weights of the plain layer come without gamma, which then starts from them."""
        weight = state_dict.get(f"{prefix}weight")
        if weight is not None and self.gamma is not None:
            state_dict.setdefault(f"{prefix}gamma", self.rule.start(weight))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        """Shows the rule beside the sizes."""
        return f"{super().extra_repr()}, {self.rule}"


class ReparameterizedConv(Reparameterized):
    """To be put before a convolution of torch over any axes."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """What torch's `forward` computes with; also for other padding than zeros."""
        kernel = self.rule.kernel(weight, self.gamma)
        result: Tensor = super()._conv_forward(x, kernel, bias)  # type: ignore[misc]
        return result


class ReparameterizedLinear(Reparameterized, nn.Linear):
    """A linear layer with a rule."""

    plain = nn.Linear

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        """The linear map with the kernel."""
        return F.linear(x, self.kernel(), self.bias)


class WAConv2d(ReparameterizedConv, nn.Conv2d):
    """A convolution with WeightAlign, its filters drawn from N(0, 2/n).

    Args:
        in_channels: channels of the input.
        out_channels: number of filters.
        kernel_size: taps along each axis.
        center: whether means are subtracted.
        scale: whether the weights are divided by sqrt(n/2 Var[w]).
        scale_mult: factor on sqrt(n/2).
        eps: added to the variances.
        gamma_per: filter or layer.
        options: further ones of nn.Conv2d.

    Raises:
        ValueError: filters of one weight; options that do not go together.
    """

    plain = nn.Conv2d

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *,
        center: bool = True,
        scale: bool = True,
        scale_mult: float = 1.0,
        eps: float = 1e-8,
        gamma_per: GammaPer = "filter",
        **options: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **options)
        self.set_rule(Align(center, scale, scale_mult, eps, gamma_per))
        self.draw_filters()


class WALinear(ReparameterizedLinear):
    """A linear layer with WeightAlign, its filters drawn from N(0, 2/n).

    Args:
        in_features: numbers it takes in.
        out_features: number of filters.
        bias: whether a constant is added.
        rule: options of WeightAlign, those of `Align`.

    Raises:
        ValueError: filters of one weight; options that do not go together.
    """

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool = True, **rule: Any
    ) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.set_rule(Align(**rule))
        self.draw_filters()


_NAMED: dict[type[nn.Module], type[Reparameterized]] = {nn.Conv2d: WAConv2d, nn.Linear: WALinear}


@lru_cache(maxsize=64)
def reparameterized_class(plain: type[nn.Module], *, aligned: bool) -> type[Reparameterized]:
    """The class that a layer takes when it is given a rule.

    Args:
        plain: class of a convolution or a linear layer.
        aligned: whether the rule is `Align`, which has classes with names of their own.
    """
    if aligned and plain in _NAMED:
        return _NAMED[plain]
    kind = ReparameterizedLinear if issubclass(plain, nn.Linear) else ReparameterizedConv
    return type(f"Reparameterized{plain.__name__}", (kind, plain), {"plain": plain})
