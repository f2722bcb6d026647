"""The random network of Section 5.3.4: seven convolutions with ReLUs, and a classification layer.

Liu, chapter 5 (Figures 5.2, 5.7, 5.8); arXiv 2010.07160. It is never trained: Kaiming
initialisation without biases. Without any normalisation its channels drift from layer to layer
until one class dominates.

*Deviations*. Width, size and number of classes are not given: 64 channels, 3x3, 10 classes. Each
convolution has a batch normalisation behind it, which a drop-in (`norm=without`) takes away or
exchanges. The classification layer answers at every position, and the output is the mean of these
answers: that equals a linear layer behind a global mean.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from thesisbench.errors import UserError

MakeNorm = Callable[[int], nn.Module]


class RandomNet(nn.Module):
    """Convolutions, each with a normalisation and a ReLU; a classifier at every position; a mean.

    Args:
        depth: number of convolutions before the classifier.
        width: channels of each.
        kernel: odd side of their filters; borders are padded with zeros.
        classes: of the classifier.
        in_channels: channels of the input.
        norm: channels -> normalisation of so many.

    Raises:
        UserError: an even kernel, or no layer.
    """

    def __init__(
        self,
        *,
        depth: int = 7,
        width: int = 64,
        kernel: int = 3,
        classes: int = 10,
        in_channels: int = 3,
        norm: MakeNorm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0 or depth < 1:
            raise UserError(f"kernel={kernel} must be odd, depth={depth} at least 1")
        layers: list[nn.Module] = []
        for channels in (in_channels, *[width] * (depth - 1)):
            conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
            layers += [conv, norm(width), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Conv2d(width, classes, 1, bias=False)
        for conv in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Mean over positions of the answers."""
        answers: Tensor = self.classifier(self.features(images)).mean((2, 3))
        return answers
