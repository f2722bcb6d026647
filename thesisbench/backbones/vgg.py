"""VGG13 and VGG16 with batch normalisation, for images of any size, and small VGGs.

Zhao, chapter 3 (Tables 3.1 to 3.3: VGG13 on CIFAR-100) and Liu, chapter 5 (VGG16 on CIFAR and
ImageNet); small ones stand in. Paper: Simonyan and Zisserman, arXiv 1409.1556, configurations B and
D. The layers and their names are torchvision's.

*Deviations*. The theses name neither the head nor the normalisation: behind the last pool, the
mean over all positions (one on images of 32x32) and one linear layer (`head="three_layers"`: the
paper's for ImageNet), batch normalisation on (`batch_norm=False`: off). Initialisation as
torchvision's: He et al., biases 0, fan out; Liu's standard deviation (Section 5.3.3) is that of
`fan="in"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.vgg import make_layers

from thesisbench.errors import UserError, unknown
from thesisbench.layers.inits import Fan

Head = Literal["linear", "three_layers"]
VGG13 = ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512))
_SIDE, _WIDTH = 7, 4096  # of the map and of the hidden layers of the head for ImageNet


class VGG(nn.Module):
    """Stages of 3x3 convolutions, each before a 2x2 max pool, and a classifier.

    Args:
        widths: channels of the convolutions of each stage.
        classes: number of classes.
        in_channels: channels of the images.
        batch_norm: whether convolutions are normalised.
        head: linear (global mean, one layer) or three_layers (torchvision's, with dropout).
        fan: what the variance of a convolution's weights is 2 over: in or out.

    Raises:
        UserError: unknown head or fan.
    """

    def __init__(
        self,
        *,
        widths: Sequence[Sequence[int]] = (
            (64, 64),
            (128, 128),
            (256, 256),
            (512, 512),
            (512, 512),
        ),
        classes: int = 100,
        in_channels: int = 3,
        batch_norm: bool = True,
        head: Head = "linear",
        fan: Fan = "out",
    ) -> None:
        super().__init__()
        if head not in get_args(Head):
            raise UserError(unknown("head", head, get_args(Head)))
        if fan not in get_args(Fan):
            raise UserError(unknown("fan", fan, get_args(Fan)))
        layers: list[str | int] = []
        for stage in widths:
            layers += [*stage, "M"]
        self.features = make_layers(layers, batch_norm)
        if in_channels != 3:
            self.features[0] = nn.Conv2d(in_channels, widths[0][0], 3, padding=1)
        self.avgpool = nn.AdaptiveAvgPool2d(1 if head == "linear" else _SIDE)
        last = widths[-1][-1]
        self.classifier = nn.Linear(last, classes) if head == "linear" else _large(last, classes)
        mode: Literal["fan_in", "fan_out"] = "fan_in" if fan == "in" else "fan_out"
        for conv in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight, mode=mode, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits; sizes are free, since the last pool is adaptive."""
        return self.classifier(self.avgpool(self.features(images)).flatten(1))


def _large(channels: int, classes: int) -> nn.Sequential:
    """The classifier for ImageNet, initialised as torchvision's."""
    sizes = (channels * _SIDE**2, _WIDTH, _WIDTH, classes)
    linear = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    for layer in linear:
        nn.init.normal_(layer.weight, 0, 0.01)
        nn.init.zeros_(layer.bias)
    first, second, third = linear
    hidden = [nn.ReLU(inplace=True), nn.Dropout()], [nn.ReLU(inplace=True), nn.Dropout()]
    return nn.Sequential(first, *hidden[0], second, *hidden[1], third)
