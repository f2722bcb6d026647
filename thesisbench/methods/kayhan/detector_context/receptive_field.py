"""How far a network looks: the receptive field by rule, and the context reach as measured.

Kayhan, chapter 3: Crop-FM sees context just through the receptive field of its trunk. Both
measures here are ours; the thesis argues with them but gives no numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

_POINTWISE = (nn.ReLU, nn.Identity, nn.Dropout, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)


class ReceptiveField(NamedTuple):
    """Output t sees the inputs offset + stride*t ... offset + stride*t + size - 1.

    Attributes:
        size: number of input positions that one output sees, along each axis.
        stride: input positions between the fields of neighbouring outputs.
        offset: first position that output 0 sees; negative when it lies in the padding.
    """

    size: int
    stride: int
    offset: int


def _one(value: int | tuple[int, ...] | str, name: str) -> int:
    """The number that all axes share."""
    values = {value} if isinstance(value, (int, str)) else set(value)
    if len(values) != 1 or isinstance(only := values.pop(), str):
        raise ValueError(f"receptive_field needs one number for all axes, {name} is {value!r}")
    return only


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    """Layers in the order in which a stack applies them."""
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _leaves(child)
    else:
        yield module


def receptive_field(module: nn.Module) -> ReceptiveField:
    """Receptive field of a stack of convolutions, pools and pointwise layers.

    Args:
        module: a layer or (nested) nn.Sequential, the same along all axes.

    Raises:
        ValueError: another kind of module, whose data flow is not known, or unequal axes.

    >>> receptive_field(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2)))
    ReceptiveField(size=4, stride=2, offset=-1)
    """
    size, jump, offset = 1, 1, 0
    for layer in _leaves(module):
        if isinstance(layer, _POINTWISE):
            continue
        if not isinstance(layer, (*_CONVS, *_POOLS)):
            raise ValueError(f"receptive_field does not know {type(layer).__name__}")
        dilation = _one(getattr(layer, "dilation", 1), "dilation")
        offset -= jump * _one(layer.padding, "padding")
        size += jump * dilation * (_one(layer.kernel_size, "kernel_size") - 1)
        jump *= _one(layer.stride, "stride")
    return ReceptiveField(size, jump, offset)


def input_gradient_support(
    model: nn.Module, images: Float[Tensor, "b c h w"], boxes: Float[Tensor, "b 4"]
) -> Bool[Tensor, "b h w"]:
    """Pixels whose gradient is not exactly 0 for at least one logit.

    Args:
        model: maps images and boxes to logits.
        images: where to measure; max pools and ReLUs pass gradients to some pixels only, so take
            the union over many random images for the reach of a network.
        boxes: object boxes, xyxy.
    """
    inputs = images.detach().requires_grad_()
    logits = model(inputs, boxes)
    support = torch.zeros_like(images[:, 0], dtype=torch.bool)
    for logit in logits.sum(dim=0):  # one backward a class: a sum over classes could cancel
        (gradient,) = torch.autograd.grad(logit, inputs, retain_graph=True, materialize_grads=True)
        support |= (gradient != 0).any(dim=1)
    return support
