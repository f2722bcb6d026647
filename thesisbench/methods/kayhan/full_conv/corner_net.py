"""The network of the corner toy: one convolution and a global max pool.

Kayhan, chapter 2, Figure 2.1; arXiv 2003.07064. A single filter is enough to tell a patch in the
top-left corner from the same patch in the bottom-right one, since same padding lets its response
fall off the image at one of the two.

*Deviations*. None known. The thesis does not say whether the convolution has a bias; ours has one,
as torch's layers have by default, and `bias=False` leaves it out (its equations have none).
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.border import conv_nd


class CornerNet(nn.Module):
    """Convolution, ReLU, global max pool, linear classifier of the corner.

    Built with same zero padding; other borders are set by `ConvertBorder`.

    Args:
        filters: number of filters (1 in the thesis).
        kernel: side of the filter, odd.
        bias: whether the convolution adds a constant.
    """

    batch_free = True

    def __init__(self, *, filters: int = 1, kernel: int = 5, bias: bool = True) -> None:
        super().__init__()
        self.conv = conv_nd(1, filters, kernel, bias=bias)
        self.head = nn.Linear(filters, 2)

    def forward(self, images: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 2"]:
        """Logits for top-left and bottom-right."""
        return self.head(F.adaptive_max_pool2d(F.relu(self.conv(images)), 1).flatten(1))
