"""Darknet-53, the residual network of YOLOv3, and small ones of its kind.

Kayhan, chapters 3 and 4 (YOLOv3, "fully-convolutional, 75 layers with skip connections"); paper:
Redmon and Farhadi, arXiv 1804.02767, Table 1. A stage is a 3x3 convolution of stride 2 and blocks
of a 1x1 and a 3x3 convolution around a shortcut; all have batch normalisation and leaky ReLUs of
slope 0.1. Parts come in the order of the authors' file of weights.

*Deviations*. None known. Under border=full or valid the shortcut of a block is padded or cropped to
the size of its main path, as those of residual networks are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from thesisbench.ops.centred import centred

SLOPE = 0.1


def conv_unit(channels_in: int, channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch normalisation, leaky ReLU."""
    conv = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, a=SLOPE, mode="fan_out")
    act = nn.LeakyReLU(SLOPE, inplace=True)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(channels), act=act))


class DarknetBlock(nn.Module):
    """A 1x1 convolution to half the channels and a 3x3 one back, added to their input.

    Args:
        channels: of the maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = conv_unit(channels, channels // 2, 1)
        self.restore = conv_unit(channels // 2, channels, 3)

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """The sum of both paths."""
        main: Tensor = self.restore(self.reduce(maps))
        return main + centred(maps, main.shape[-2:])


class Darknet(nn.Module):
    """Stem, stages of stride 2, global mean, linear classifier.

    Args:
        blocks: residual blocks of each stage.
        width: channels of the stem; each stage doubles them.
        classes: number of classes.
        in_channels: channels of the images.
    """

    def __init__(
        self,
        *,
        blocks: Sequence[int] = (1, 2, 8, 8, 4),
        width: int = 32,
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.stem = conv_unit(in_channels, width, 3)
        self.stages = len(blocks)
        for number, count in enumerate(blocks, start=1):
            down = conv_unit(width, 2 * width, 3, stride=2)
            width *= 2
            stage = nn.Sequential(down, *(DarknetBlock(width) for _ in range(count)))
            self.add_module(f"stage{number}", stage)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits; sizes are free, since the pool is global."""
        maps = self.stem(images)
        for number in range(1, self.stages + 1):
            maps = self.get_submodule(f"stage{number}")(maps)
        return self.fc(self.avgpool(maps).flatten(1))
