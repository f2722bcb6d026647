"""Hides what surrounds an object, or the object itself, but for some pixels from its box.

Kayhan, chapter 3, "hiding BG" and "hiding FG", Figures 3.3 to 3.5. Hiding the background keeps the
box grown by p pixels on each side, where the image goes on; hiding the foreground blackens the box
shrunk by p pixels on each side, so that a ring of the object is left. With p = 0 the two images add
up to the whole one; with a large p both are the whole one.

*Deviations*. The thesis does not say what becomes of pixels that a box covers in part: ours belong
to it when their centre lies in it. Of boxes with whole numbers none are.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

Reach = Num[Tensor, " n"] | Num[Tensor, "n 2"]


def grown(
    size: tuple[int, int], boxes: Float[Tensor, "n 4"], pixels: Reach
) -> tuple[Bool[Tensor, "n h"], Bool[Tensor, "n w"]]:
    """Rows and columns of the pixels whose centres lie in boxes that were grown on each side.

    Args:
        size: height and width of the image.
        boxes: xyxy, in pixels; what lies outside the image is cut off before.
        pixels: how far each grows; below 0 it shrinks. Two numbers: to the sides, and up and down.

    >>> rows, columns = grown((2, 4), torch.tensor([[1.0, 0, 2, 1]]), torch.tensor([1]))
    >>> rows.int().tolist(), columns.int().tolist()
    ([[1, 1]], [[1, 1, 1, 0]])
    """
    height, width = size
    ends = boxes.new_tensor([width, height, width, height])
    inside = boxes.clamp(min=0).minimum(ends)
    reach = (pixels if pixels.dim() == 2 else pixels[:, None]).to(boxes.dtype).expand(-1, 2)
    low, high = inside[:, :2] - reach, inside[:, 2:] + reach
    columns, rows = (
        (at >= low[:, axis, None]) & (at < high[:, axis, None])
        for axis, at in enumerate(
            torch.arange(n, device=boxes.device) + 0.5 for n in (width, height)
        )
    )
    return rows, columns


def hide_background(
    image: Float[Tensor, "c h w"], boxes: Float[Tensor, "n 4"], pixels: Reach
) -> Float[Tensor, "n c h w"]:
    """The image n times, black but for a box and so many pixels around it.

    Args:
        image: that the boxes are on.
        boxes: xyxy.
        pixels: from 0, see `grown`.
    """
    rows, columns = grown(_size(image), boxes, pixels)
    shown = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(shown, image, image.new_zeros(()))


def hide_foreground(
    image: Float[Tensor, "c h w"], boxes: Float[Tensor, "n 4"], pixels: Reach
) -> Float[Tensor, "n c h w"]:
    """The image n times, with a box black but for so many pixels along its sides.

    Args:
        image: that the boxes are on.
        boxes: xyxy.
        pixels: from 0, see `grown`.
    """
    rows, columns = grown(_size(image), boxes, -pixels)
    hidden = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(hidden, image.new_zeros(()), image)


HIDE = {"bg": hide_background, "fg": hide_foreground}


def hides_something(
    mode: str, size: tuple[int, int], boxes: Float[Tensor, "n 4"], pixels: Reach
) -> Bool[Tensor, " n"]:
    """Which of the images that hiding would give differ from the whole one in what they show.

    Args:
        mode: bg or fg.
        size: height and width of the image.
        boxes: xyxy.
        pixels: from 0, see `grown`.
    """
    if mode == "bg":
        rows, columns = grown(size, boxes, pixels)
        return ~(rows.all(1) & columns.all(1))
    rows, columns = grown(size, boxes, -pixels)
    return rows.any(1) & columns.any(1)


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]
