"""Scenes with context: shapes on backgrounds whose texture goes with their class.

Stands in for COCO 2014 minival in Kayhan, chapter 3 (Figures 3.4 and 3.5). An image of 128x128
holds one to three objects of eight classes, which are shapes; their colours tell nothing. An image
has one scene, drawn from the eight classes, and the texture of its scene; each object is of the
scene's class with probability `rho`, else of any class. So with `rho=1` the texture is a function
of the class, with `rho=0` it is independent of it, and in between a class has its own texture with
probability rho + (1 - rho) / 8.

*Deviations*. A stand-in: its numbers serve claims and are not compared with the thesis's. Objects
lie in different quarters of the image and do not overlap. `contrast`, `noise` and the smaller
objects keep an object alone from being recognised always; a hexagon is nearly a disc, a star
nearly a cross.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from thesisbench.data.arrays import Key, mix
from thesisbench.data.detection_files import BoxSplit, split_in_memory
from thesisbench.data.draws import uniform
from thesisbench.data.stand_ins.strokes import (
    Covered,
    Grid,
    as_bytes,
    bounds,
    disc,
    grounds,
    pixel_grid,
    polygon,
    rectangle,
    ring,
    star,
)
from thesisbench.errors import UserError

SIDE = 128
CLASSES = ("disc", "hexagon", "square", "triangle", "star", "cross", "ring", "bar")
OBJECTS = 3  # at most
QUARTERS = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]) * SIDE
STRAY = 8  # pixels by which an object strays from the middle of its quarter
TURN = 12  # degrees by which it is turned at most
PER_OBJECT = 10  # numbers drawn for each
WAVES = ((0.06, 0.11), (0.16, 0.21))  # cycles a pixel: two of even textures, two of odd ones
CHUNK = 50  # images made at once


def context_scenes_splits(
    *,
    data_seed: int,
    n_train: int = 500,
    n_val: int = 0,
    n_test: int = 300,
    rho: float = 0.9,
    test_rho: float | None = None,
    test_turn: int = 0,
    contrast: float = 0.18,
    texture: float = 0.12,
    noise: float = 0.25,
    sides: tuple[int, int] = (12, 32),
) -> dict[str, BoxSplit]:
    """The splits train, val (if any) and test.

    Args:
        data_seed: of everything drawn.
        n_train: training images; fewer are the first of more.
        n_val: validation images, drawn as the training images; no such split when 0.
        n_test: test images.
        rho: how far the texture goes with the class, from 0 to 1.
        test_rho: the same of the test images; null for that of the training.
        test_turn: test scenes have the texture of the class so many places on; 0 for their own.
        contrast: by which objects differ from the ground, of the full range.
        texture: amplitude of the texture.
        noise: standard deviation, on every number of an image.
        sides: of the smallest and of the largest objects, in pixels.

    Raises:
        UserError: no training or test image; numbers out of their range.
    """
    test = rho if test_rho is None else test_rho
    _check(n_train, n_val, n_test, (rho, test), (contrast, texture, noise), sides)
    counts = {"train": n_train, "val": n_val, "test": n_test}
    return {
        name: Scenes(
            rho=test if name == "test" else rho,
            turn=test_turn if name == "test" else 0,
            contrast=contrast,
            texture=texture,
            noise=noise,
            sides=sides,
        )(n, seed=mix(data_seed, number))
        for number, (name, n) in enumerate(counts.items())
        if n
    }


class Scenes:
    """Draws scenes; arguments as above."""

    def __init__(
        self,
        *,
        rho: float,
        turn: int,
        contrast: float,
        texture: float,
        noise: float,
        sides: tuple[int, int],
    ) -> None:
        self.rho, self.turn, self.contrast = rho, turn, contrast
        self.texture, self.noise, self.sides = texture, noise, sides

    def __call__(self, n: int, *, seed: int) -> BoxSplit:
        """The first n scenes of a seed; `scene` of each object is that of its image."""
        chunks = [
            self.draw(seed, range(start, min(start + CHUNK, n))) for start in range(0, n, CHUNK)
        ]
        images, boxes, labels, there, scenes = (
            torch.cat(column) for column in zip(*chunks, strict=True)
        )
        scene = scenes[:, None].expand(labels.shape)
        return split_in_memory(images, boxes, labels, there, CLASSES, scene=scene)

    def draw(self, seed: int, index: range) -> tuple[Tensor, ...]:
        """Images as bytes, boxes, labels, which of three objects there are, scenes."""
        keys = [(0, i) for i in index]
        drawn, objects = numbers_of(seed, keys)
        scenes, labels, there = contents(drawn, objects, self.rho)
        shown = (scenes + self.turn) % len(CLASSES)
        canvas = 0.45 + grounds(mix(seed, 2), index, SIDE, {1: 0.05, 8: 0.04})
        canvas += self.texture * textures(shown, drawn[:, 2:])
        places = uniform(mix(seed, 3), keys, len(QUARTERS)).argsort(1)[:, :OBJECTS]
        boxes = []
        for k in range(OBJECTS):
            centre = QUARTERS[places[:, k]] + STRAY * (2 * objects[:, k, 2:4] - 1)
            low, high = (side / 2 for side in self.sides)
            radius = low + (high - low) * objects[:, k, 4]
            turn = math.radians(TURN) * (2 * objects[:, k, 5] - 1)
            covered = shapes(labels[:, k], centre, radius, turn) & there[:, k, None, None]
            colour = colours(objects[:, k, 6:10], self.contrast)
            canvas = torch.where(covered[:, None], colour, canvas)
            boxes.append(bounds(covered))
        canvas += grounds(mix(seed, 5), index, SIDE, {SIDE: self.noise})
        return as_bytes(canvas), torch.stack(boxes, 1), labels, there, scenes


def numbers_of(
    seed: int, keys: Sequence[Key]
) -> tuple[Float[Tensor, "n 6"], Float[Tensor, "n k p"]]:
    """Numbers from 0 to 1 of images and of their objects."""
    objects = uniform(mix(seed, 4), keys, PER_OBJECT * OBJECTS).float()
    drawn = uniform(mix(seed, 1), keys, 6).float()
    return drawn, objects.view(len(keys), OBJECTS, PER_OBJECT)


def contents(
    drawn: Float[Tensor, "n 6"], objects: Float[Tensor, "n k p"], rho: float
) -> tuple[Int[Tensor, " n"], Int[Tensor, "n k"], Bool[Tensor, "n k"]]:
    """Scenes, classes of objects (the scene's with probability rho, else any), and which there are.

    Args:
        drawn: numbers of images, of which the first two are used.
        objects: numbers of objects, of which the first two are used.
        rho: how far classes go with scenes.
    """
    scenes = (len(CLASSES) * drawn[:, 0]).long()
    there = torch.arange(OBJECTS) <= (OBJECTS * drawn[:, 1, None]).long()
    anything = (len(CLASSES) * objects[:, :, 1]).long()
    return scenes, torch.where(objects[:, :, 0] < rho, scenes[:, None], anything), there


def colours(drawn: Float[Tensor, "n 4"], contrast: float) -> Float[Tensor, "n 3 1 1"]:
    """Colours about as far from a middle grey as the contrast, lighter or darker, in any tint."""
    sign = torch.where(drawn[:, 3:] < 0.5, -1.0, 1.0)
    return (0.45 + contrast * sign * (0.6 + 0.8 * drawn[:, :3]))[:, :, None, None]


def textures(kinds: Int[Tensor, " n"], drawn: Float[Tensor, "n 4"]) -> Float[Tensor, "n 3 h w"]:
    """Waves from -1 to 1 whose direction and frequency say the kind; phase and tint are random."""
    angle = (math.pi * kinds / len(CLASSES))[:, None, None]
    low, high = torch.tensor(WAVES)[kinds % 2].unbind(1)
    frequency = (low + (high - low) * (kinds // 2 % 2))[:, None, None]
    x, y = pixel_grid(SIDE)
    place = x * angle.cos() + y * angle.sin()
    wave = torch.cos(2 * math.pi * (frequency * place + drawn[:, 0, None, None]))
    return (0.6 + 0.4 * drawn[:, 1:, None, None]) * wave[:, None]


def shapes(
    labels: Int[Tensor, " n"],
    centre: Float[Tensor, "n 2"],
    radius: Float[Tensor, " n"],
    turn: Float[Tensor, " n"],
) -> Covered:
    """The pixels of objects of about the same area.

    Args:
        labels: their classes.
        centre: x and y in pixels.
        radius: half the side of a square of the class square, in pixels.
        turn: radians.
    """
    left, top, cos, sin = (
        value[:, None, None] for value in (*centre.unbind(1), turn.cos(), turn.sin())
    )
    across, down = pixel_grid(SIDE)
    x = cos * (across - left) + sin * (down - top)
    y = -sin * (across - left) + cos * (down - top)
    covered = torch.zeros_like(x, dtype=torch.bool)
    for label in range(len(CLASSES)):
        of = labels == label
        covered[of] = _shape(CLASSES[label], x[of], y[of], radius[of, None, None])
    return covered


def _shape(name: str, x: Grid, y: Grid, r: Tensor) -> Covered:
    if name == "disc":
        return disc(x, y, 1.05 * r)
    if name == "ring":
        return ring(x, y, 0.85 * r, 0.5 * r)
    if name == "star":
        return star(x, y, 1.3 * r, 5, 0.45)
    if name == "cross":
        return rectangle(x, y, 1.2 * r, 0.4 * r) | rectangle(x, y, 0.4 * r, 1.2 * r)
    if name == "bar":
        return rectangle(x, y, 1.3 * r, 0.5 * r)
    if name == "square":
        return rectangle(x, y, 0.9 * r, 0.9 * r)
    corners = {"hexagon": 6, "triangle": 3}[name]
    return polygon(x, y, 1.15 * r if corners == 6 else 1.3 * r, corners)


def _check(
    n_train: int,
    n_val: int,
    n_test: int,
    rhos: tuple[float, float],
    amounts: tuple[float, ...],
    sides: tuple[int, int],
) -> None:
    if min(n_train, n_test) < 1 or n_val < 0:
        raise UserError("n_train and n_test must be at least 1, n_val at least 0")
    if not 0 <= min(rhos) <= max(rhos) <= 1:
        raise UserError(f"rho={rhos[0]} and test_rho={rhos[1]} must be from 0 to 1")
    if min(amounts) < 0:
        raise UserError("contrast, texture and noise must not be negative")
    if not 6 <= sides[0] <= sides[1] <= 36:
        raise UserError(f"sides={list(sides)} must be from 6 to 36, the smaller first")
