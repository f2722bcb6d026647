"""Any normalisation of activations in place of those of a network, or none.

Liu, chapter 5, Tables 5.1, 5.2 and 5.6: batch (Ioffe and Szegedy), group (Wu and He, 32 groups),
layer (Ba et al.: one group) and instance normalisation (Ulyanov et al.). All but batch
normalisation use the statistics of one sample only, in training and evaluation alike.

A network is built with normalisation and rewritten: a VGG by `batch_norm=True`, which puts it
between convolution and ReLU. The new layers take over scale and shift, with their keys; batch
normalisation that is there already stays. `without` leaves nothing in its place; a convolution
right before it gets a bias instead of the shift.

*Deviations*. The thesis does not give the number of groups: 32 is the default of the paper. Layers
inside pools and unpools stay as they are. Layer normalisation has a scale and a shift a channel, as
in Wu and He, not one a position.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import nn

from thesisbench.layers.own_layers import own_layers
from thesisbench.layers.residual_border import Conv

Norm = Literal["without", "batch", "group", "layer", "instance"]
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm)
_PLAIN = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)


def make_norm(name: Norm, channels: int, groups: int = 32, *, affine: bool = True) -> nn.Module:
    """A normalisation of maps [b, c, h, w].

    Args:
        name: without (the identity), batch, group, layer or instance.
        channels: of the maps.
        groups: of group normalisation.
        affine: whether each channel has a scale and a shift.

    Raises:
        ValueError: an unknown name, or channels that are not a multiple of the groups.

    >>> make_norm("layer", 16)
    GroupNorm(1, 16, eps=1e-05, affine=True)
    """
    if name not in get_args(Norm):
        raise ValueError(f"unknown norm {name!r}; valid: {', '.join(get_args(Norm))}")
    if name == "without":
        return nn.Identity()
    if name == "batch":
        return nn.BatchNorm2d(channels, affine=affine)
    if name == "instance":
        return nn.InstanceNorm2d(channels, affine=affine, track_running_stats=False)
    count = 1 if name == "layer" else groups
    if count < 1 or channels % count:
        fitting = [n for n in range(1, channels + 1) if channels % n == 0]
        raise ValueError(f"{channels} channels have no {count} equal groups; valid: {fitting}")
    return nn.GroupNorm(count, channels, affine=affine)


def norm_layers(network: nn.Module) -> dict[str, nn.Module]:
    """The normalisations of a network by name, in order; not those of pools."""
    return {name: m for name, m in own_layers(network) if isinstance(m, _NORMS)}


class ReplaceNorms:
    """Puts one kind of normalisation in place of all those of a network, in place.

    Args:
        name: without, batch, group, layer or instance.
        groups: of group normalisation.

    Raises:
        ValueError: an unknown name, or no group at all.
    """

    def __init__(self, *, name: Norm, groups: int = 32) -> None:
        make_norm(name, max(groups, 0), groups)
        self.name, self.groups = name, groups

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> int:
        """Rewrites a network; returns how many layers made way. Nothing changes if it raises.

        Raises:
            ValueError: it has no normalisation, one that does more than that or is not for images,
                or channels that the groups do not fit, by name.
        """
        found = norm_layers(network)
        if not found:
            text = "it has no normalisation whose place another could take"
            raise ValueError(f"{text}; build it with one (a VGG: backbone.batch_norm=true)")
        replacements = {name: self._replacement(name, layer) for name, layer in found.items()}
        before = _convs_before(network)
        for name, replacement in replacements.items():
            if self.name == "without" and _is_affine(found[name]):
                _give_bias(before.get(name), found[name])
            owner, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(owner), leaf, replacement)
        return len(found)

    def _replacement(self, name: str, layer: Any) -> nn.Module:
        """The new layer, with the scale and the shift of the old one."""
        if type(layer) not in _PLAIN or not name:
            kind = type(layer).__name__
            raise ValueError(f"layer {name or 'itself'!r}, a {kind}, cannot be replaced")
        if self.name == "batch" and isinstance(layer, nn.BatchNorm2d):
            return layer  # with the momentum and the statistics that it has
        channels = layer.num_channels if isinstance(layer, nn.GroupNorm) else layer.num_features
        try:
            norm = make_norm(self.name, channels, self.groups, affine=layer.affine)
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from error
        if layer.affine and not isinstance(norm, nn.Identity):
            norm.to(layer.weight.device, layer.weight.dtype)
            norm.weight, norm.bias = layer.weight, layer.bias
        return norm.train(layer.training)


def _is_affine(layer: Any) -> bool:
    return bool(layer.affine)


def _convs_before(network: nn.Module) -> dict[str, nn.Module]:
    """Convolutions right before normalisations, in order and with as many channels, by its name."""
    found: dict[str, nn.Module] = {}
    last: Any = None
    for name, module in own_layers(network):
        if isinstance(module, _NORMS):
            channels = getattr(module, "num_channels", getattr(module, "num_features", None))
            if last is not None and last.out_channels == channels:
                found[name] = last
        if not list(module.children()):
            last = module if isinstance(module, Conv) else None
        elif isinstance(module, Conv):
            last = module  # one with a pool in front of it
    return found


def _give_bias(conv: Any, norm: Any) -> None:
    """A bias in place of the shift that is gone."""
    if conv is not None and conv.bias is None:
        conv.bias = nn.Parameter(norm.bias.detach().clone())
