"""BagNets: ResNet-50s with so few 3x3 convolutions that each output sees a small patch.

Used by Kayhan, chapter 2 (Figure 2.5: BagNet-33, receptive field 33 pixels); paper: Brendel and
Bethge, arXiv 1904.00760. Stages are of torchvision's bottlenecks; the stem and the first block of
the first stages convolve 3x3, everything else 1x1. Nothing is padded.

*Deviations*. Unpadded 3x3 convolutions cut a position off each side, so shortcuts are cropped; here
at the centre, in the released code at the end of each axis (`crop="end"`). The names of parameters
are those of the released code. The released Experiment 1 means to pool the maximum and keeps the
average, since the released BagNet ignores its `avgpool`; `global_pool` chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from thesisbench.backbones.resnet import GlobalPool, global_pool_layer
from thesisbench.errors import UserError, unknown
from thesisbench.layers.border import convert_border
from thesisbench.layers.residual_border import PadShortcut

Crop = Literal["centre", "end"]


def _block(channels_in: int, planes: int, *, stride: int = 1, wide: bool = False) -> Bottleneck:
    """A bottleneck whose middle convolution is 3x3 (wide) or 1x1."""
    channels, projected = planes * Bottleneck.expansion, None
    if stride > 1 or channels_in != channels:
        conv = nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False)
        projected = nn.Sequential(conv, nn.BatchNorm2d(channels))
    block = Bottleneck(channels_in, planes, stride, projected)
    if not wide:
        block.conv2 = nn.Conv2d(planes, planes, 1, stride=stride, bias=False)
    return block


def _stage(channels_in: int, planes: int, blocks: int, stride: int, wide: bool) -> nn.Sequential:
    """Bottlenecks, of which the first has the stride and, where wide, the 3x3 convolution."""
    first = _block(channels_in, planes, stride=stride, wide=wide)
    channels = planes * Bottleneck.expansion
    return nn.Sequential(first, *(_block(channels, planes) for _ in range(1, blocks)))


class BagNet(nn.Module):
    """1x1 and 3x3 stem, stages of bottlenecks, global pool, linear classifier.

    Args:
        blocks: blocks of each stage.
        strides: of the first block of each stage.
        wide: whether the first block of each stage convolves 3x3.
        planes: inner channels of each stage; its maps have four times as many.
        stem_channels: channels of the stem.
        classes: number of classes.
        in_channels: channels of the images.
        global_pool: avg or max, over all positions.
        crop: centre, or end as in the released code; how shortcuts are cropped (a border or a blur
            that is set later crops at the centre).

    Raises:
        UserError: unknown crop or pool.
    """

    def __init__(
        self,
        *,
        blocks: Sequence[int] = (3, 4, 6, 3),
        strides: Sequence[int] = (2, 2, 2, 1),
        wide: Sequence[bool] = (True, True, True, True),
        planes: Sequence[int] = (64, 128, 256, 512),
        stem_channels: int = 64,
        classes: int = 1000,
        in_channels: int = 3,
        global_pool: GlobalPool = "avg",
        crop: Crop = "centre",
    ) -> None:
        super().__init__()
        if crop not in get_args(Crop):
            raise UserError(unknown("crop", crop, get_args(Crop)))
        self.conv1 = nn.Conv2d(in_channels, stem_channels, 1, bias=False)
        self.conv2 = nn.Conv2d(stem_channels, stem_channels, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem_channels, momentum=0.001)
        self.relu = nn.ReLU(inplace=True)
        channels = stem_channels
        self.stages: list[str] = []
        for i, stage in enumerate(zip(planes, blocks, strides, wide, strict=True), start=1):
            self.add_module(f"layer{i}", _stage(channels, *stage))
            self.stages.append(f"layer{i}")
            channels = stage[0] * Bottleneck.expansion
        self.avgpool = global_pool_layer(global_pool)
        self.fc = nn.Linear(channels, classes)
        for conv in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        self._leave_unpadded(crop)

    def _leave_unpadded(self, crop: Crop) -> None:
        """Takes the padding from the 3x3 convolutions and crops the shortcuts to fit."""
        convert_border(self, border="valid")
        if crop == "end":
            for shortcut in (m for m in self.modules() if isinstance(m, PadShortcut)):
                shortcut.sides = [0, -2, 0, -2]

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits; sizes are free, since the pool is global."""
        maps = self.relu(self.bn1(self.conv2(self.conv1(images))))
        for stage in self.stages:
            maps = self.get_submodule(stage)(maps)
        return self.fc(self.avgpool(maps).flatten(1))
