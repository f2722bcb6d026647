"""Small ResNets for small images: the stand-ins of the deep ones.

Kayhan, chapter 2, stand-ins of Experiments 1 and 3: stages of 16, 32 and 64 channels of basic
blocks behind a 3x3 convolution, as the ResNets for CIFAR of He et al., arXiv 1512.03385. With one
block a stage it is ResNet-8 (receptive field 25), with 2, 3 and 2 blocks the receptive field is 61.

*Deviations*. With `positions` the last pool is a sum divided by a fixed number, so that black
around a small object, which full convolutions enlarge maps by, does not dilute the object's
features; without it, the default, it is the mean as in the thesis's networks.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from thesisbench.backbones.resnet import GlobalPool, global_pool_layer
from thesisbench.errors import UserError


def _stage(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    """Basic blocks, the first with the stride and, where needed, a projected shortcut."""
    projected = None
    if stride > 1 or channels_in != channels:
        conv = nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False)
        projected = nn.Sequential(conv, nn.BatchNorm2d(channels))
    first = BasicBlock(channels_in, channels, stride, projected)
    return nn.Sequential(first, *(BasicBlock(channels, channels) for _ in range(1, blocks)))


class GlobalSum(nn.Module):
    """The sum over all positions, divided by a fixed number.

    Args:
        positions: the number; that of a map's positions makes it the mean.
    """

    batch_free = True

    def __init__(self, positions: int) -> None:
        super().__init__()
        if positions < 1:
            raise UserError(f"positions={positions} must be at least 1")
        self.positions = positions

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 1 1"]:
        """One number a channel."""
        return maps.sum((2, 3), keepdim=True) / self.positions

    def extra_repr(self) -> str:
        """Shows the number."""
        return f"positions={self.positions}"


class SmallResNet(nn.Module):
    """3x3 stem, three stages of basic blocks (strides 1, 2, 2), global pool, linear classifier.

    Its parts are named as in torchvision's ResNet, its blocks are torchvision's.

    Args:
        blocks: blocks of each stage.
        channels: channels of each stage.
        classes: number of classes.
        in_channels: channels of the images.
        global_pool: avg or max, over all positions.
        positions: with avg, divides the sum over positions by this number; None for the mean.

    Raises:
        UserError: an unknown pool, or positions that do not go with it.
    """

    def __init__(
        self,
        *,
        blocks: Sequence[int] = (1, 1, 1),
        channels: Sequence[int] = (16, 32, 64),
        classes: int = 10,
        in_channels: int = 3,
        global_pool: GlobalPool = "avg",
        positions: int | None = None,
    ) -> None:
        super().__init__()
        if positions is not None and global_pool != "avg":
            raise UserError(f"positions={positions} goes with global_pool=avg, not {global_pool}")
        self.conv1 = nn.Conv2d(in_channels, channels[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(channels[0], channels[0], blocks[0], stride=1)
        self.layer2 = _stage(channels[0], channels[1], blocks[1], stride=2)
        self.layer3 = _stage(channels[1], channels[2], blocks[2], stride=2)
        mean = global_pool_layer(global_pool)
        self.avgpool = mean if positions is None else GlobalSum(positions)
        self.fc = nn.Linear(channels[2], classes)
        for conv in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits; sizes are free, since the pool is global."""
        maps = self.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        return self.fc(self.avgpool(maps).flatten(1))
