"""Thin structures: segmentation images of polygons with lines and rings of 1 to 3 pixels on them.

Stands in for PASCAL VOC 2012 segmentation in Zhao, chapter 3 (Tables 3.6 and 3.7): what is thin
is lost by pooling, and unpooling has to bring it back. Five classes: background, triangles,
hexagons, lines and rings. The ground is dark; lines and rings are brighter than polygons in half
of the images, darker in the others, so that only the form tells the class of an object.

*Deviations*. A stand-in: its numbers serve claims and are not compared with the thesis's. Edges are
sharp: a pixel is of an object if its centre is. Objects are drawn one over another, thin ones last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from thesisbench.data.arrays import Batch, Key, mix
from thesisbench.data.draws import uniform
from thesisbench.errors import UserError

CLASSES = ("background", "triangle", "hexagon", "line", "ring")
OBJECTS = (1, 2, 1, 2, 3, 3, 3, 4, 4)  # classes of the objects of an image, in drawing order
CORNERS = {1: 3, 2: 6}
PER_OBJECT = 8  # numbers drawn for an object, see _shape and _colour
GROUND, LEVELS, SPREAD = 0.3, (0.55, 0.85), 0.1  # largest of the ground; means of the objects
NOISE = 0.25  # at difficulty 1

Split = tuple[Float[Tensor, "n 3 s s"], UInt8[Tensor, "n s s"]]


def thin_seg_splits(
    *, data_seed: int, n_train: int = 800, n_val: int = 300, side: int = 64, difficulty: float = 1.0
) -> dict[str, Split]:
    """The splits train and val: images in which ground and objects are 0 to 1 without the noise.

    Args:
        data_seed: of everything drawn.
        n_train: training images; fewer are the first of more.
        n_val: validation images.
        side: of an image, in pixels.
        difficulty: 0 is without noise; the noise grows with it.

    Raises:
        UserError: no image, a side below 32, or a negative difficulty.
    """
    if min(n_train, n_val) < 1:
        raise UserError(f"n_train={n_train} and n_val={n_val} must be at least 1")
    if side < 32 or difficulty < 0:
        text = f"side={side} must be at least 32 and difficulty={difficulty} not negative"
        raise UserError(text)
    counts = {"train": n_train, "val": n_val}
    return {
        name: draw_images(mix(data_seed, number), n, side=side, noise=NOISE * difficulty)
        for number, (name, n) in enumerate(counts.items())
    }


def draw_images(seed: int, n: int, *, side: int, noise: float) -> Split:
    """Images and their masks.

    Args:
        seed: of everything drawn; image i is a function of (seed, i).
        n: how many.
        side: in pixels.
        noise: standard deviation, on every number of an image.
    """
    drawn = uniform(seed, [(0, i) for i in range(n)], 4 + len(OBJECTS) * PER_OBJECT).float()
    ground, objects = drawn[:, :4], drawn[:, 4:].view(n, len(OBJECTS), PER_OBJECT)
    images = (GROUND * ground[:, :3, None, None]).expand(n, 3, side, side).clone()
    masks = torch.zeros(n, side, side, dtype=torch.uint8)
    for number, label in enumerate(OBJECTS):
        inside = _shape(label, objects[:, number], side)
        colour = _colour(label, objects[:, number, :3], ground)[:, :, None, None]
        images = torch.where(inside[:, None], colour, images)
        masks[inside] = label
    generator = torch.Generator().manual_seed(mix(seed, 1))
    return images + noise * torch.randn(images.shape, generator=generator), masks


def _colour(
    label: int, drawn: Float[Tensor, "n 3"], ground: Float[Tensor, "n 4"]
) -> Float[Tensor, "n 3"]:
    """Colours about one of two levels: thin objects have one, polygons the other.

    The last number of the ground says which.
    """
    bright = (ground[:, 3:] < 0.5) ^ (label in CORNERS)
    return torch.where(bright, LEVELS[1], LEVELS[0]) + SPREAD * (2 * drawn - 1)


def _shape(label: int, drawn: Float[Tensor, "n p"], side: int) -> Bool[Tensor, "n s s"]:
    """Which pixels an object covers; its form is in the numbers from the fourth on."""
    x, y, size, turn, thick = (drawn[:, i, None, None] for i in range(3, 8))
    rows = (torch.arange(side)[:, None] + 0.5) - side * (0.1 + 0.8 * y)
    columns = (torch.arange(side)[None, :] + 0.5) - side * (0.1 + 0.8 * x)
    width = 1 + (3 * thick).floor()  # 1, 2 or 3 pixels
    if label in CORNERS:
        radius, k = side * (0.14 + 0.14 * size), CORNERS[label]
        return _polygon(rows, columns, radius, 2 * math.pi * turn, k)
    if label == 3:
        return _line(rows, columns, side * (0.2 + 0.25 * size), math.pi * turn, width)
    distance = torch.hypot(rows, columns)
    return (distance - side * (0.07 + 0.12 * size)).abs() <= width / 2


def _polygon(rows: Tensor, columns: Tensor, radius: Tensor, turn: Tensor, corners: int) -> Tensor:
    """A regular polygon: on the inner side of all its edges."""
    apothem = radius * math.cos(math.pi / corners)
    inside = torch.ones_like(rows * columns * radius, dtype=torch.bool)
    for edge in range(corners):
        angle = turn + 2 * math.pi * edge / corners
        inside &= columns * angle.cos() + rows * angle.sin() <= apothem
    return inside


def _line(rows: Tensor, columns: Tensor, half: Tensor, turn: Tensor, width: Tensor) -> Tensor:
    """A straight piece of length 2 * half."""
    along = columns * turn.cos() + rows * turn.sin()
    across = rows * turn.cos() - columns * turn.sin()
    return (along.abs() <= half) & (across.abs() <= width / 2)


def flip_pairs(batch: Batch, keys: Sequence[Key], seed: int) -> Batch:
    """Mirrors images and their masks, left to right and upside down, each half of the time.

    Args:
        batch: images and masks.
        keys: (epoch, index) of each.
        seed: of the draws.
    """
    (images,), masks = batch
    for axis, drawn in enumerate(uniform(seed, keys, 2).unbind(1)):
        flip = drawn < 0.5
        images = torch.where(flip[:, None, None, None], images.flip(2 + axis), images)
        masks = torch.where(flip[:, None, None], masks.flip(1 + axis), masks)
    return (images,), masks
