"""The initialisation of He et al. for networks without residual blocks.

Liu, chapter 5, sections 5.3.3 and 5.4.2 ("the plain VGG model is initialized with Kaiming
initialization"; arXiv 1502.01852): weights from N(0, 2/n), n = k*k*c, biases 0. For residual
networks without normalisation: `thesisbench.layers.fixup`.

*Deviations*. The classifier keeps the numbers that it was built with, but for a bias of 0: no ReLU
follows it. `fan="out"` counts the weights of an input channel, as torchvision's networks do.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import nn

from thesisbench.layers.own_layers import classifier_name, weighted_layers
from thesisbench.layers.weight_align import Reparameterized

Fan = Literal["in", "out"]


def check_fan(fan: Fan) -> None:
    """Raises ValueError for an unknown word."""
    if fan not in get_args(Fan):
        raise ValueError(f"unknown fan {fan!r}; valid: in, out")


def he_std(layer: nn.Module, fan: Fan = "in") -> float:
    """sqrt(2/n) of a convolution or a linear layer.

    Args:
        layer: the layer.
        fan: in: n is the weights of a filter; out: those of an input channel, all filters together.
    """
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    n = weight[0].numel() if fan == "in" else len(weight) * weight[0, 0].numel()
    return math.sqrt(2 / n)


class KaimingInit:
    """Draws the weights of convolutions and hidden linear layers anew, in place.

    Args:
        fan: in, as the thesis, or out.

    Raises:
        ValueError: an unknown word.
    """

    batch_free = True

    def __init__(self, *, fan: Fan = "in") -> None:
        check_fan(fan)
        self.fan = fan

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> int:
        """Number of layers drawn."""
        layers = weighted_layers(network)
        last = classifier_name(network)
        for name, layer in layers.items():
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if name != last:
                nn.init.normal_(layer.weight, std=he_std(layer, self.fan))
            if isinstance(layer, Reparameterized):
                layer.restart_gamma()
        return len(layers.keys() - {last})
