"""Forms and grounds that several stand-ins draw with, many images at once.

A form is a function of coordinates [n, h, w] and says which pixels it covers: those whose centre
it covers. Grounds are sums of smooth noise; image i of a seed is a function of (seed, i).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.arrays import mix

Grid = Float[Tensor, "n h w"]
Covered = Bool[Tensor, "n h w"]
Number = float | Tensor  # one for all images, or [n, 1, 1]


def pixel_grid(side: int) -> tuple[Float[Tensor, "1 1 w"], Float[Tensor, "1 h 1"]]:
    """X and y of the centres of pixels."""
    centres = torch.arange(side) + 0.5
    return centres.view(1, 1, -1), centres.view(1, -1, 1)


def disc(x: Grid, y: Grid, radius: Number) -> Covered:
    """A disc about the origin."""
    return torch.hypot(x, y) <= radius


def ring(x: Grid, y: Grid, radius: Number, width: Number) -> Covered:
    """A circle about the origin, drawn with a pen of a width."""
    return (torch.hypot(x, y) - radius).abs() <= width / 2


def rectangle(x: Grid, y: Grid, half_width: Number, half_height: Number) -> Covered:
    """A rectangle about the origin."""
    return (x.abs() <= half_width) & (y.abs() <= half_height)


def segment(
    x: Grid, y: Grid, start: Sequence[Number], end: Sequence[Number], width: Number
) -> Covered:
    """A straight line with round ends.

    Args:
        x: coordinates.
        y: coordinates.
        start: x and y of an end.
        end: x and y of the other.
        width: of the pen.
    """
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    length = along_x * along_x + along_y * along_y
    place = ((x - start[0]) * along_x + (y - start[1]) * along_y) / length
    place = place.clamp(0, 1)
    return torch.hypot(x - start[0] - place * along_x, y - start[1] - place * along_y) <= width / 2


def arc(x: Grid, y: Grid, radius: float, width: float, low: float, high: float) -> Covered:
    """The part of a circle between two angles in degrees, counted from +x to +y, 0 to 360."""
    angle = torch.rad2deg(torch.atan2(y, x)) % 360
    return ring(x, y, radius, width) & (angle >= low) & (angle <= high)


def polygon(x: Grid, y: Grid, radius: Number, corners: int) -> Covered:
    """A regular polygon about the origin with a corner at the top."""
    step = 2 * math.pi / corners
    angle = torch.atan2(x, -y) % step - step / 2
    return torch.hypot(x, y) * angle.cos() <= radius * math.cos(step / 2)


def star(x: Grid, y: Grid, radius: Number, corners: int, inner: float) -> Covered:
    """A star with straight edges, a corner at the top and inner corners at `inner` radii."""
    step = math.pi / corners
    angle = (torch.atan2(x, -y) % (2 * step) - step).abs()  # 0 at inner corners, step at outer
    run, rise = math.cos(step) - inner, math.sin(step)
    along, across = torch.hypot(x, y) * angle.cos(), torch.hypot(x, y) * angle.sin()
    # The edge goes from (inner, 0) to (cos step, sin step); the origin is inside.
    return (along - inner * radius) * rise <= across * run


def bounds(covered: Covered) -> Float[Tensor, "n 4"]:
    """The smallest box of the covered pixels, x1, y1, x2, y2; zeros where there is none."""
    edges = []
    for axis in (1, 2):  # rows that are covered along x, then columns along y
        some = covered.any(axis).int()
        length = some.shape[1]
        edges.append((some.argmax(1), length - some.flip(1).argmax(1), some.any(1)))
    (x1, x2, there), (y1, y2, _) = edges
    return torch.stack([x1, y1, x2, y2], 1).float() * there[:, None]


def grounds(
    seed: int, index: Sequence[int], side: int, amplitudes: Mapping[int, float]
) -> Float[Tensor, "n 3 h w"]:
    """Smooth coloured noise about 0: a sum of enlarged grids of random numbers.

    Args:
        seed: of everything drawn.
        index: numbers of the images.
        side: of an image, in pixels.
        amplitudes: cells along a side of each grid -> its standard deviation.
    """
    generators = [torch.Generator().manual_seed(mix(seed, i)) for i in index]
    total = torch.zeros(len(generators), 3, side, side)
    for cells, amplitude in amplitudes.items():
        drawn = torch.stack([torch.randn(3, cells, cells, generator=g) for g in generators])
        if cells != side:
            drawn = F.interpolate(drawn, size=(side, side), mode="bilinear", align_corners=False)
        total += amplitude * drawn
    return total


def as_bytes(images: Float[Tensor, "n 3 h w"]) -> Tensor:
    """Images from 0 to 1 as bytes; others are cut off."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)
