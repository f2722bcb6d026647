"""The layers of a network that drop-ins for weights and normalisation speak of.

What a pool or an unpool holds (convolutions of learned pools, their normalisation) belongs to that
layer and is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from thesisbench.layers.residual_border import Conv
from thesisbench.layers.unpool import ConcatUp


def own_layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules by name, in order, but pools, unpools and what is inside of them."""
    samplers = (m for m in network.modules() if hasattr(m, "filt_size") or isinstance(m, ConcatUp))
    inside = {id(module) for sampler in samplers for module in sampler.modules()}
    return ((name, m) for name, m in network.named_modules() if id(m) not in inside)


def weighted_layers(network: nn.Module) -> dict[str, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear]:
    """Convolutions and linear layers by name, in order; not those of attention."""
    found = {name: m for name, m in own_layers(network) if isinstance(m, Conv | nn.Linear)}
    of_attention = NonDynamicallyQuantizableLinear  # attention takes its weight past its forward
    return {name: m for name, m in found.items() if not isinstance(m, of_attention)}


def tensors_starting_anew(network: nn.Module) -> set[str]:
    """Names of what drop-ins added to a network, which weights of it without them lack.

    A module says so by `starts_anew`: True for all it holds, or names of its parameters.
    """
    anew = set()
    for name, module in network.named_modules():
        said: bool | tuple[str, ...] = getattr(module, "starts_anew", False)
        added = tuple(module.state_dict()) if said is True else said or ()
        anew |= {f"{name}.{part}" if name else part for part in added}
    return anew & network.state_dict().keys()


def classifier_name(network: nn.Module) -> str | None:
    """Name of the classifier: the last linear layer, or the last convolution where there is none.

    A network whose classifiers are others says so by `class_layers`, names of layers, of which this
    is the last. None where there is no such layer.
    """
    said: tuple[str, ...] | None = getattr(network, "class_layers", None)
    if said is not None:
        return said[-1] if said else None
    layers = weighted_layers(network)
    linear = [name for name, layer in layers.items() if isinstance(layer, nn.Linear)]
    return next(reversed(linear or list(layers)), None)
