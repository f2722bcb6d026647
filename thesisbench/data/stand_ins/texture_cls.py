"""Texture classes: fine oriented textures in blobs, which pooling without a filter aliases.

Stands in for CIFAR-100 and ImageNet in Zhao, chapter 3 (Tables 3.1 to 3.5, Figure 3.4). A class is
an orientation and a frequency, from 0.15 to 0.45 cycles a pixel: the higher ones lie above what an
image of half the side can hold. The texture fills a random blob on a smooth background; the number
of lobes of the blob tells a quarter of the classes, so that there is a coarse cue too. Place, size
and phase are random and tell nothing, colours only where `tint` asks for it (Liu, chapter 5).

*Deviations*. A stand-in: its numbers serve claims and are not compared with the thesis's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from thesisbench.data.arrays import mix
from thesisbench.errors import UserError

SIDE = 32
LOWEST, HIGHEST = 0.15, 0.45  # cycles a pixel
LOBES = (2, 3, 4, 5)
CHUNK = 1000  # images made at once

Split = tuple[UInt8[Tensor, "n 3 h w"], Int[Tensor, " n"]]
Style = Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, "n 3 h w"]]


def class_textures(classes: int) -> Float[Tensor, "k 2"]:
    """Angle in radians and frequency in cycles a pixel of each class.

    Angles lie evenly on half a circle; neighbours have frequencies far from each other.

    Args:
        classes: an even number from 4 to 40.
    """
    k = torch.arange(classes, dtype=torch.float64)
    angle = math.pi * torch.div(k, 2, rounding_mode="floor") / (classes // 2)
    bands = 0.5 * (k % 2) + 0.5 * (k // 2 % 2)  # low, middle, high by turns
    return torch.stack([angle, LOWEST + (HIGHEST - LOWEST) * bands], 1)


def texture_cls_splits(
    *,
    data_seed: int,
    classes: int = 16,
    n_train: int = 8000,
    n_val: int = 0,
    n_test: int = 2000,
    difficulty: float = 1.0,
    reach: int = 8,
    tint: float = 0.0,
    style: Style | None = None,
) -> dict[str, Split]:
    """The stand-in's splits, classes in turn.

    Args:
        data_seed: of the images.
        classes: an even number from 4 to 40.
        n_train: training images.
        n_val: validation images; no such split when 0.
        n_test: test images.
        difficulty: 0 for clean textures of full contrast; noise, and how far orientation and
            frequency stray from the class's, grow with it.
        reach: pixels by which wide images are larger, which a window can be shifted by.
        tint: by how much the colour of a blob, too, tells its class, roughly: an easy cue, as
            photographs have them, by which networks without normalisation leave chance.
        style: changes the finished images of every split (values from 0 to 1), such as to another
            domain; None for none.

    Returns:
        train, val (if any) and test, images [n, 3, 32, 32] as bytes and labels; wide: the test
        images with `reach` more pixels a side, of which they are the middle.

    Raises:
        UserError: an odd reach, numbers below their least, or too many or an odd number of classes.
    """
    _check(classes, (n_train, n_test), n_val, (difficulty, tint), reach)
    counts = {"train": n_train, "val": n_val, "wide": n_test}
    splits: dict[str, Split] = {}
    for number, (name, count) in enumerate(counts.items()):
        side = SIDE + reach if name == "wide" else SIDE
        make = Textures(classes=classes, side=side, difficulty=difficulty, tint=tint, style=style)
        if count:
            splits[name] = make(count, seed=mix(data_seed, number))
    wide, labels = splits["wide"]
    edge = reach // 2
    splits["test"] = wide[..., edge : edge + SIDE, edge : edge + SIDE].clone(), labels.clone()
    return splits


class Textures:
    """Makes textured blobs.

    Args:
        classes: number of them. side: of the images.
        difficulty, tint, style: as above.
    """

    def __init__(
        self,
        *,
        classes: int,
        side: int,
        difficulty: float,
        tint: float = 0.0,
        style: Style | None = None,
    ) -> None:
        self.classes, self.side, self.difficulty = classes, side, difficulty
        self.tint, self.style = tint, style
        self.textures = class_textures(classes)

    def __call__(self, n: int, *, seed: int) -> Split:
        """The first n images of a seed, and their labels."""
        parts = []
        labels = torch.arange(n) % self.classes
        for number, some in enumerate(labels.split(CHUNK)):
            generator = torch.Generator().manual_seed(mix(seed, number))
            images = self.render(some, generator).clamp(0, 1)
            if self.style is not None:
                images = self.style(images).clamp(0, 1)
            parts.append((images * 255).round().to(torch.uint8))
        return torch.cat(parts), labels

    def render(
        self, labels: Int[Tensor, " n"], generator: torch.Generator
    ) -> Float[Tensor, "n 3 h w"]:
        """Images of classes, before rounding."""
        n, hard = len(labels), self.difficulty

        def drawn(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
            return low + (high - low) * torch.rand(n, *shape, generator=generator)

        stray = torch.randn(n, 2, generator=generator).double() * hard
        angle, frequency = self.textures[labels].T
        angle = angle + 0.12 * stray[:, 0]
        frequency = (frequency + 0.02 * stray[:, 1]).clamp(LOWEST - 0.02, HIGHEST + 0.02)
        phase = drawn(low=0, high=2 * math.pi)
        wave = _waves(self.side, angle.float(), frequency.float(), phase)
        blob = _blobs(
            self.side,
            centre=drawn(2, low=-4, high=4),
            radius=drawn(low=8, high=12),
            lobes=torch.tensor(LOBES)[labels % len(LOBES)],
            turn=drawn(low=0, high=2 * math.pi),
        )
        contrast = drawn(1, low=0.15, high=0.3) / (1 + 1.2 * hard)
        ground, ink = drawn(3, low=0.3, high=0.7), contrast * (0.7 + 0.3 * drawn(3))
        slope = _slopes(self.side, drawn(2, low=-0.2, high=0.2))
        figure = blob[:, None] * (ink[:, :, None, None] * wave[:, None] + 0.1)
        noise = 0.16 * hard * torch.randn(n, 3, self.side, self.side, generator=generator)
        if self.tint:
            turn = 2 * math.pi * labels / self.classes + 0.5 * torch.randn(n, generator=generator)
            thirds = 2 * math.pi / 3 * torch.arange(3)
            colour = self.tint * (turn[:, None] + thirds).cos()
            figure = figure + blob[:, None] * colour[:, :, None, None]
        return ground[:, :, None, None] + slope[:, None] + figure + noise


def _places(side: int) -> tuple[Tensor, Tensor]:
    """Rows and columns in pixels from the middle."""
    place = torch.arange(side) - (side - 1) / 2
    rows, columns = torch.meshgrid(place, place, indexing="ij")
    return rows, columns


def _waves(side: int, angle: Tensor, frequency: Tensor, phase: Tensor) -> Float[Tensor, "n h w"]:
    rows, columns = _places(side)
    along = columns * angle.cos()[:, None, None] + rows * angle.sin()[:, None, None]
    return torch.sin(2 * math.pi * frequency[:, None, None] * along + phase[:, None, None])


def _blobs(
    side: int, *, centre: Tensor, radius: Tensor, lobes: Tensor, turn: Tensor
) -> Float[Tensor, "n h w"]:
    """1 inside and 0 outside of flowers with so many petals, soft over about two pixels."""
    rows, columns = _places(side)
    down, right = rows - centre[:, 0, None, None], columns - centre[:, 1, None, None]
    angle = torch.atan2(down, right)
    petals = 1 + 0.3 * torch.cos(lobes[:, None, None] * angle + turn[:, None, None])
    return torch.sigmoid(2 * (radius[:, None, None] * petals - torch.hypot(down, right)))


def _slopes(side: int, slope: Float[Tensor, "n 2"]) -> Float[Tensor, "n h w"]:
    """Brightness that changes evenly over the image, by so much from edge to edge."""
    rows, columns = _places(side)
    return (rows * slope[:, 0, None, None] + columns * slope[:, 1, None, None]) / side


def _check(
    classes: int, needed: tuple[int, int], n_val: int, cues: tuple[float, float], reach: int
) -> None:
    if not 4 <= classes <= 40 or classes % 2:
        raise UserError(f"classes={classes} must be an even number from 4 to 40")
    if min(needed) < 1 or n_val < 0:
        raise UserError("n_train and n_test must be at least 1, n_val at least 0")
    for name, value in zip(("difficulty", "tint"), cues, strict=True):
        if value < 0:
            raise UserError(f"{name}={value} must be at least 0")
    if reach < 0 or reach % 2:
        raise UserError(f"reach={reach} must be an even number of pixels: half of it on each side")
