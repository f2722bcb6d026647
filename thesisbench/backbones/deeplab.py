"""DeepLabV3 and V3+ on residual networks: dilated last stages, atrous pyramid, decoder.

Zhao, chapter 3, Table 3.7 (DeepLabV3+ with ResNet-50: images of 512x512, encoder output 32x32,
decoder at 128x128); papers: Chen et al., arXiv 1706.05587 (V3) and 1802.02611 (V3+). Encoder and
pyramid (ASPP) are torchvision's; the encoder keeps the names of its parts, so that drop-ins find
its stem and blocks.

*Deviations*. The first block of a dilated stage keeps the dilation of the stage before it, as in
torchvision (the papers: the stage's own), and blocks of a stage are dilated alike (multi-grid 1, 1,
1). The decoder's convolutions are plain, which the V3+ paper uses with ResNets. Rates are those of
the papers: 6, 12, 18 at stride 16 and twice that at stride 8. A `border` leaves the pyramid as it
is, since its branches must give maps of one size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torchvision
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torchvision.models.segmentation.deeplabv3 import ASPP

from thesisbench.backbones.encoder_start import StartsFromClassifier
from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.errors import UserError, unknown

DEPTHS = (50, 101)  # with fewer layers, torchvision's blocks cannot be dilated
DILATED = {8: (False, True, True), 16: (False, False, True)}  # stages 2 to 4, by output stride
_LOW = "layer1"  # the stage whose maps the decoder of V3+ joins
_PARTS = ("conv1", "bn1", "relu", "maxpool", _LOW, "layer2", "layer3", "layer4")


def resized(
    maps: Float[Tensor, "b c h w"], size: Sequence[int] | torch.Size
) -> Float[Tensor, "b c i j"]:
    """Maps brought to a size, bilinearly."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def _block(channels_in: int, channels: int, kernel: int) -> nn.Sequential:
    """Convolution, normalisation, ReLU."""
    conv = nn.Conv2d(channels_in, channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


class DeepLab(StartsFromClassifier):
    """Images to class logits of every pixel: V3, or V3+ where low-level maps are joined.

    Args:
        encoder: a residual network with the parts of torchvision's.
        channels: of its last maps, and of its first stage's.
        rates: dilations of the pyramid.
        width: channels of the pyramid and the decoder.
        classes: number of classes, background included.
        low_width: channels that the maps of the first stage are brought to; 0 for V3.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        channels: tuple[int, int],
        rates: Sequence[int],
        width: int = 256,
        classes: int = 21,
        low_width: int = 48,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        for unused in ("avgpool", "fc"):
            if hasattr(encoder, unused):
                delattr(encoder, unused)
        self.pyramid = ASPP(channels[0], rates, width)
        for conv in (m for m in self.pyramid.modules() if isinstance(m, nn.Conv2d)):
            conv.keeps_border = True  # type: ignore[assignment]  # its branches are joined
        self.low = _block(channels[1], low_width, 1) if low_width else None
        decoder = [_block(width + low_width, width, 3)]
        if low_width:
            decoder.append(_block(width, width, 3))
        self.decoder = nn.Sequential(*decoder, nn.Conv2d(width, classes, 1))

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Logits of every pixel."""
        low, maps = self.features(images)
        maps = self.pyramid(maps)
        if self.low is not None:
            maps = torch.cat([resized(maps, low.shape[-2:]), self.low(low)], dim=1)
        return resized(self.decoder(maps), images.shape[-2:])

    def features(
        self, images: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b l i j"], Float[Tensor, "b m u v"]]:
        """The encoder's maps behind its first stage, and its last ones."""
        low = maps = images
        for name in _PARTS:
            part: Any = getattr(self.encoder, name, None)
            if part is not None:
                maps = part(maps)
            if name == _LOW:
                low = maps
        return low, maps


def deeplab(
    *,
    depth: int = 50,
    output_stride: int = 16,
    plus: bool = True,
    classes: int = 21,
    width: int = 256,
    low_width: int = 48,
) -> DeepLab:
    """DeepLabV3 or V3+ on a ResNet of torchvision, with random weights.

    Args:
        depth: 50 or 101 layers.
        output_stride: 16 or 8: side of the images by that of the encoder's last maps.
        plus: V3+, whose decoder joins maps of stride 4.
        classes: number of classes, background included.
        width: channels of the pyramid and the decoder.
        low_width: channels of the joined low-level maps.

    Raises:
        UserError: unknown depth or output stride.
    """
    if depth not in DEPTHS:
        raise UserError(unknown("depth", str(depth), tuple(map(str, DEPTHS))))
    if output_stride not in DILATED:
        raise UserError(unknown("output_stride", str(output_stride), tuple(map(str, DILATED))))
    make = getattr(torchvision.models, f"resnet{depth}")
    encoder = make(weights=None, replace_stride_with_dilation=DILATED[output_stride])
    rates = [rate * 16 // output_stride for rate in (6, 12, 18)]
    parts: dict[str, Any] = {"width": width, "classes": classes}
    parts["low_width"] = low_width if plus else 0
    return DeepLab(encoder, channels=(2048, 256), rates=rates, **parts)


def tiny_deeplab(
    *,
    blocks: Sequence[int] = (1, 1, 1),
    channels: Sequence[int] = (16, 32, 64),
    rates: Sequence[int] = (1, 2, 4),
    width: int = 32,
    low_width: int = 16,
    classes: int = 5,
    in_channels: int = 3,
) -> DeepLab:
    """DeepLabV3+ on a small ResNet of output stride 4, for images of about 64 pixels.

    Args:
        blocks: of each stage of the encoder.
        channels: of each stage.
        rates: dilations of the pyramid.
        width: channels of the pyramid and the decoder.
        low_width: channels of the joined low-level maps (stride 1).
        classes: number of classes, background included.
        in_channels: channels of the images.
    """
    encoder = SmallResNet(blocks=blocks, channels=channels, in_channels=in_channels)
    sizes = (channels[-1], channels[0])
    settings: dict[str, Any] = {"rates": rates, "width": width, "low_width": low_width}
    return DeepLab(encoder, channels=sizes, classes=classes, **settings)
