"""The network of the Red-Green experiment: four convolutions and a global max pool.

Kayhan, chapter 2, Table 2.1; arXiv 2003.07064. Without biases it maps zero to zero, so with full
convolutions the black border cannot be told from black background: the logits do not change when
the objects move by a multiple of the total stride, 8 pixels.

*Deviations*. None; built with same zero padding (as the thesis's S-Conv), other borders are set
by `thesisbench.layers.border.ConvertBorder`.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.border import conv_nd

TOTAL_STRIDE = 8
_PLAN = ((3, 32, 1), (32, 32, 2), (32, 64, 2), (64, 64, 2))  # channels in, out, stride


class RedGreenNet(nn.Module):
    """Classifies the order of two coloured squares.

    Args:
        classes: number of classes.
    """

    batch_free = True

    def __init__(self, *, classes: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels_in, channels_out, stride in _PLAN:
            layers.append(conv_nd(channels_in, channels_out, 3, stride=stride, bias=False))
            layers.append(nn.ReLU())
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(_PLAN[-1][1], classes)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k"]:
        """Logits; sizes are free, since the pool is global."""
        return self.head(F.adaptive_max_pool2d(self.features(images), 1).flatten(1))
