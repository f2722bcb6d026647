"""Images of any sizes in one batch, without a change of their ratio, and the way back for boxes.

As the authors of YOLO do: the longer side becomes the side of a square, and grey goes where the
image does not reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.detection.features import padded

GREY = 0.5


class Placing(NamedTuple):
    """Where an image lies in a batch.

    Attributes:
        height, width: of the image as it was given.
        rows, columns: that it has in the batch. top, left: its first row and column there.
    """

    height: int
    width: int
    rows: int
    columns: int
    top: int
    left: int

    @classmethod
    def of(cls, height: int, width: int, side: int | None) -> Placing:
        """Where an image of a size lies in a square of a side; None leaves it as it is.

        >>> Placing.of(100, 200, 50)
        Placing(height=100, width=200, rows=25, columns=50, top=12, left=0)
        """
        if side is None:
            return cls(height, width, height, width, 0, 0)
        rows, columns = (max(round(n * side / max(height, width)), 1) for n in (height, width))
        return cls(height, width, rows, columns, (side - rows) // 2, (side - columns) // 2)

    def there(self, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        """Boxes of the image in pixels of the batch."""
        factors, offsets = self._numbers(boxes)
        return boxes * factors + offsets

    def back(self, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        """Boxes of the batch in pixels of the image, cut off at its sides."""
        factors, offsets = self._numbers(boxes)
        found = (boxes - offsets) / factors
        ends = torch.tensor([self.width, self.height] * 2, dtype=boxes.dtype, device=boxes.device)
        return torch.minimum(found.clamp(min=0), ends)

    def _numbers(self, like: Tensor) -> tuple[Tensor, Tensor]:
        factors = [self.columns / self.width, self.rows / self.height] * 2
        return like.new_tensor(factors), like.new_tensor([self.left, self.top] * 2)


def letterboxed(
    images: Sequence[Tensor], *, side: int | None, multiple: int
) -> tuple[Float[Tensor, "b 3 h w"], list[Placing]]:
    """A batch of images, and where each lies in it.

    Args:
        images: Float[3 h w] in [0, 1].
        side: of the squares; None leaves images as they are.
        multiple: of pixels that the sides of a batch have; zeros are put to the right and below.
    """
    placings = [Placing.of(image.shape[1], image.shape[2], side) for image in images]
    if side is None:
        return padded(images, multiple), placings
    squares = [_placed(image, to, side) for image, to in zip(images, placings, strict=True)]
    return padded(squares, multiple), placings


def _placed(image: Tensor, to: Placing, side: int) -> Float[Tensor, "3 side side"]:
    if image.shape[1:] != (to.rows, to.columns):
        size = (to.rows, to.columns)
        image = F.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]
    if (to.rows, to.columns) == (side, side):
        return image
    square = image.new_full((3, side, side), GREY)
    square[:, to.top : to.top + to.rows, to.left : to.left + to.columns] = image
    return square
