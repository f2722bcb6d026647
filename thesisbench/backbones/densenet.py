"""DenseNet-121 of torchvision.

Used by Kayhan, chapter 2 (Figure 2.5), with its own borders and average pool; paper: Huang et al.,
arXiv 1608.06993. Its blocks concatenate maps of all their layers, so borders that change the size
of a map (full, valid) do not fit it.
"""

from __future__ import annotations

from torch import nn
from torchvision.models import densenet121 as torchvision_densenet121


def densenet121(*, classes: int = 1000, in_channels: int = 3) -> nn.Module:
    """DenseNet-121 with random weights; keys and initialisation are torchvision's.

    Args:
        classes: number of classes.
        in_channels: channels of the images.
    """
    network: nn.Module = torchvision_densenet121(weights=None, num_classes=classes)
    if in_channels != 3:
        conv = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(conv.weight)
        network.get_submodule("features").conv0 = conv
    return network
