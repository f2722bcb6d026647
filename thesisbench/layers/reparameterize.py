"""Networks with WeightAlign, weight normalisation or standardised weights, and the way back.

Liu, chapter 5, section 5.4.2: all layers but the final classifier. Layers are rewritten where they
are, so that parameters, keys, hooks, padding and pools stay; the filters of WeightAlign are drawn
from N(0, 2/n) (section 5.3.3). `fold` makes plain layers with equal outputs of them, which cost
nothing more than the network had without.

*Deviations*. Hidden linear layers (VGG on ImageNet) are rewritten too. Convolutions inside pools
and unpools, transposed convolutions and attention are not.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import nn

from thesisbench.layers.own_layers import classifier_name, weighted_layers
from thesisbench.layers.weight_align import Reparameterized, reparameterized_class
from thesisbench.layers.weight_rules import Align, GammaPer, Rule, Standardise, WeightNorm

Kind = Literal["align", "weight_norm", "standardised"]
Filters = Literal["drawn", "kept"]
_OWN = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class ReparameterizeWeights:
    """Gives all convolutions and hidden linear layers of a network a rule for their weights.

    Args:
        kind: align, weight_norm or standardised.
        center: for align: whether means are subtracted.
        scale: for align: whether variances are set.
        scale_mult: for align: factor on sqrt(n/2).
        gamma_per: for align: one gamma a filter or a layer.
        eps: added to variances.
        filters: drawn (from N(0, 2/n)) or kept.
        gamma_decay: whether weight decay acts on gamma, as printed in the thesis.
        skip_classifier: whether the classifier stays as it is.

    Raises:
        ValueError: unknown words, or options that the kind has not.
    """

    batch_free = True

    def __init__(
        self,
        *,
        kind: Kind = "align",
        center: bool = True,
        scale: bool = True,
        scale_mult: float = 1.0,
        gamma_per: GammaPer = "filter",
        eps: float = 1e-8,
        filters: Filters = "drawn",
        gamma_decay: bool = True,
        skip_classifier: bool = True,
    ) -> None:
        if kind not in get_args(Kind):
            raise ValueError(f"unknown kind {kind!r}; valid: {', '.join(get_args(Kind))}")
        if filters not in get_args(Filters):
            raise ValueError(f"unknown filters {filters!r}; valid: {', '.join(get_args(Filters))}")
        aligned = Align(center, scale, scale_mult, eps, gamma_per)
        if kind != "align" and aligned != Align(eps=eps):
            raise ValueError("center, scale, scale_mult and gamma_per are options of kind=align")
        rules: dict[str, Rule] = {"align": aligned, "weight_norm": WeightNorm()}
        self.rule = rules.get(kind, Standardise(eps))
        self.filters, self.skip_classifier = filters, skip_classifier
        self.gamma_decay = gamma_decay

    def __call__(self, network: nn.Module) -> int:
        """Rewrites a network; returns how many layers got the rule. Nothing changes if it raises.

        Raises:
            ValueError: a layer, by name, that has a rule already, computes in a way of its own, or
                has filters of one weight.
        """
        skipped = classifier_name(network) if self.skip_classifier else None
        found: dict[str, Any] = weighted_layers(network)
        layers = {name: layer for name, layer in found.items() if name != skipped}
        for name, layer in layers.items():
            if reason := self._refusal(layer):
                raise ValueError(f"layer {name or 'itself'!r} {reason}")
        for layer in layers.values():
            self._rewrite(layer)
        return len(layers)

    def _refusal(self, layer: Any) -> str | None:
        """Why a layer cannot have the rule; None where it can."""
        if isinstance(layer, Reparameterized):
            return "has its weights computed already; choose one option of weight"
        if not _computes_as_torch(layer):
            return f"is a {type(layer).__name__}, which computes in a way of its own"
        if layer.weight[0].numel() < 2 and not isinstance(self.rule, WeightNorm):
            return "has filters of one weight, which has no spread"
        return None

    def _rewrite(self, layer: nn.Module) -> None:
        plain: type[nn.Module] = type(layer)
        aligned = isinstance(self.rule, Align)
        layer.__class__ = reparameterized_class(plain, aligned=aligned)  # type: ignore[arg-type]
        assert isinstance(layer, Reparameterized)
        layer.set_rule(self.rule)
        layer.undecayed = () if self.gamma_decay else ("gamma",)
        if self.filters == "drawn":
            layer.draw_filters()


def _computes_as_torch(layer: nn.Module) -> bool:
    """Whether a layer's `forward` is torch's, or hands over to it."""
    if isinstance(layer, nn.Linear):
        return type(layer).forward is nn.Linear.forward
    forward = type(layer).forward
    own = all(forward is not kind.forward for kind in _OWN)
    return not own or not {"super", "_conv_forward"}.isdisjoint(forward.__code__.co_names)


@torch.no_grad()
def fold(network: nn.Module) -> int:
    """Puts plain layers in place of those with a rule, in place; outputs are equal.

    Args:
        network: any network; its state_dict has the keys of the plain one afterwards.

    Returns:
        Number of layers folded; 0 where there is nothing to fold.
    """
    layers = [m for m in network.modules() if isinstance(m, Reparameterized)]
    for layer in layers:
        needs_grad = layer.weight.requires_grad
        layer.weight = nn.Parameter(layer.kernel(), requires_grad=needs_grad)
        del layer.gamma, layer.rule
        layer.__class__ = layer.plain  # type: ignore[assignment]
    return len(layers)
