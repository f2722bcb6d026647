"""VGG13 with batch normalisation for small images, and a small VGG.

Zhao, chapter 3 (Tables 3.1 to 3.3: VGG13 on CIFAR-100; the small one stands in); paper: Simonyan
and Zisserman, arXiv 1409.1556, configuration B. The layers and their names are torchvision's.

*Deviations*. The thesis names neither the head nor the normalisation: behind the last pool, the
mean over all positions (one on images of 32x32) and one linear layer, batch normalisation on
(`batch_norm=False`: off). Initialisation as torchvision's: He et al., fan out, biases 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.vgg import make_layers

VGG13 = ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512))


class VGG(nn.Module):
    """Stages of 3x3 convolutions, each before a 2x2 max pool; global mean, linear classifier.

    Args:
        widths: channels of the convolutions of each stage.
        classes: number of classes.
        in_channels: channels of the images.
        batch_norm: whether convolutions are normalised.
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
    ) -> None:
        super().__init__()
        layers: list[str | int] = []
        for stage in widths:
            layers += [*stage, "M"]
        self.features = make_layers(layers, batch_norm)
        if in_channels != 3:
            self.features[0] = nn.Conv2d(in_channels, widths[0][0], 3, padding=1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(widths[-1][-1], classes)
        for conv in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits; sizes are free, since the mean is global."""
        return self.classifier(self.avgpool(self.features(images)).flatten(1))
