"""ResNet 18 to 152 of torchvision, with the stems and global pools that the theses use.

Used by Kayhan, chapter 2 (Tables 2.2, 2.3, Figures 2.5, 2.7); paper: He et al., arXiv 1512.03385.

*Deviations*. As torchvision, the stride of a bottleneck sits on its 3x3 convolution (He et al.: on
the first 1x1). Kayhan's Experiment 1 pools with a 2x2 window that keeps the padding of the 3x3 one
(released code); `stem="imagenet_pool2"` does the same.
"""

from __future__ import annotations

from typing import Literal, get_args

import torchvision
from torch import nn

from thesisbench.errors import UserError, unknown

Stem = Literal["imagenet", "imagenet_pool2", "cifar"]
GlobalPool = Literal["avg", "max"]
DEPTHS = (18, 34, 50, 101, 152)
_POOLS: dict[str, type[nn.Module]] = {"avg": nn.AdaptiveAvgPool2d, "max": nn.AdaptiveMaxPool2d}


def global_pool_layer(kind: GlobalPool) -> nn.Module:
    """The pool over all positions: their mean or their maximum.

    Raises:
        UserError: unknown kind.
    """
    if kind not in _POOLS:
        raise UserError(unknown("global_pool", kind, tuple(_POOLS)))
    return _POOLS[kind](1)


def _stem_conv(in_channels: int, stem: Stem) -> nn.Conv2d:
    """The first convolution, initialised as torchvision's."""
    kernel, stride, padding = (3, 1, 1) if stem == "cifar" else (7, 2, 3)
    conv = nn.Conv2d(in_channels, 64, kernel, stride=stride, padding=padding, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def resnet(
    *,
    depth: int,
    classes: int = 1000,
    in_channels: int = 3,
    stem: Stem = "imagenet",
    global_pool: GlobalPool = "avg",
) -> nn.Module:
    """A ResNet of torchvision with random weights; keys and initialisation are torchvision's.

    Args:
        depth: 18, 34, 50, 101 or 152 layers.
        classes: number of classes.
        in_channels: channels of the images.
        stem: imagenet (7x7 stride 2, max pool 3x3 stride 2), imagenet_pool2 (the same with a max
            pool of 2x2) or cifar (3x3 stride 1, no max pool).
        global_pool: avg or max, over all positions.

    Raises:
        UserError: unknown depth, stem or pool.
    """
    if depth not in DEPTHS:
        raise UserError(unknown("depth", str(depth), tuple(map(str, DEPTHS))))
    if stem not in get_args(Stem):
        raise UserError(unknown("stem", stem, get_args(Stem)))
    network = getattr(torchvision.models, f"resnet{depth}")(weights=None, num_classes=classes)
    network.avgpool = global_pool_layer(global_pool)
    if stem == "cifar" or in_channels != 3:
        network.conv1 = _stem_conv(in_channels, stem)
    if stem == "cifar":
        network.maxpool = nn.Identity()
    if stem == "imagenet_pool2":
        network.maxpool = nn.MaxPool2d(2, stride=2, padding=1)
    return network
