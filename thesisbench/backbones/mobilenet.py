"""MobileNet-V2 of torchvision.

Zhao, chapter 3, Table 3.4; paper: Sandler et al., arXiv 1801.04381. Keys, shapes and initialisation
are torchvision's; the shortcuts follow the border of the convolutions, as those of ResNets do.

*Deviations*. None.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torchvision.models.mobilenetv2 import InvertedResidual, MobileNetV2


class AlignedResidual(InvertedResidual):
    """torchvision's block; its shortcut is padded or cropped where the main path changes size.

    The convolution of a block is symmetric, so the same number of positions on each side keeps both
    paths aligned: full convolutions add one per side, valid ones take one.
    """

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """The block."""
        maps: Tensor = self.conv(x)
        if not self.use_res_connect:
            return maps
        sides = [(maps.shape[axis] - x.shape[axis]) // 2 for axis in (3, 3, 2, 2)]
        return maps + (F.pad(x, sides) if any(sides) else x)


def mobilenet_v2(
    *, classes: int = 1000, in_channels: int = 3, width: float = 1.0, dropout: float = 0.2
) -> nn.Module:
    """A MobileNet-V2 with random weights.

    Args:
        classes: number of classes.
        in_channels: channels of the images.
        width: factor of all channels.
        dropout: share of features dropped before the classifier.
    """
    network = MobileNetV2(
        num_classes=classes, width_mult=width, dropout=dropout, block=AlignedResidual
    )
    if in_channels != 3:
        stem = network.features[0][0]
        network.features[0][0] = nn.Conv2d(
            in_channels, stem.out_channels, 3, stride=2, padding=1, bias=False
        )
        nn.init.kaiming_normal_(network.features[0][0].weight, mode="fan_out")
    return network
