"""AlexNet of torchvision, whose errors and flip rates those of other networks are divided by.

Krizhevsky, arXiv 1404.5997; Hendrycks and Dietterich, ICLR 2019, divide by torchvision's (Zhao,
chapter 3, Table 3.5). Images need 63 pixels at least: its last pool sees nothing of less.
"""

from __future__ import annotations

from torch import nn
from torchvision.models import AlexNet as TorchvisionAlexNet


class AlexNet(TorchvisionAlexNet):
    """AlexNet with random weights; keys and initialisation are torchvision's.

    Args:
        classes: number of classes.
        in_channels: channels of the images.
    """

    batch_free = True

    def __init__(self, *, classes: int = 1000, in_channels: int = 3) -> None:
        super().__init__(num_classes=classes)
        if in_channels != 3:
            self.features[0] = nn.Conv2d(in_channels, 64, 11, stride=4, padding=2)
