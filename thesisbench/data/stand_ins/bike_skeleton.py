"""The skeleton of drawn bicycles: its frame, and the places and forms of its ten parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from thesisbench.data.stand_ins.strokes import (
    Covered,
    Grid,
    arc,
    disc,
    pixel_grid,
    rectangle,
    ring,
    segment,
)

SIDE = 96  # of an image, in pixels
SCALES, SHIFT, TURN = (0.8, 1.1), 6.0, 5.0  # factors, pixels, degrees
BACK, FRONT = (-20.0, 12.0), (20.0, 12.0)  # hubs; x to the right, y down, pixels at scale 1
CRANK, SEAT, HEAD = (-3.0, 13.0), (-9.0, -10.0), (13.0, -10.0)
FRAME = ((BACK, CRANK), (CRANK, SEAT), (SEAT, HEAD), (HEAD, CRANK), (BACK, SEAT), (HEAD, FRONT))

Form = Callable[[Grid, Grid], Covered]
# A part: its place on the skeleton, half its width and height, and its form about that place.
PARTS: Mapping[str, tuple[tuple[float, float], tuple[float, float], Form]] = {
    "back_wheel": (BACK, (13, 13), lambda x, y: ring(x, y, 12, 2.4)),
    "front_wheel": (FRONT, (13, 13), lambda x, y: ring(x, y, 12, 2.4)),
    "back_mudguard": (
        (-23.0, 0.0),
        (12, 7),
        lambda x, y: arc(x - 3, y - 12, 15.5, 2.2, 180, 290),
    ),
    "front_mudguard": (
        (23.0, -1.0),
        (11, 6),
        lambda x, y: arc(x + 3, y - 13, 15.5, 2.2, 255, 345),
    ),
    "chain": (
        (-11.5, 12.5),
        (10, 4),
        lambda x, y: (
            segment(x, y, (-8.5, -2.5), (8.5, -2.0), 1.6)
            | segment(x, y, (-8.5, 2.0), (8.5, 3.0), 1.6)
        ),
    ),
    "saddle": ((-10.0, -15.0), (7, 3), lambda x, y: segment(x, y, (-4.5, 0), (4.5, -0.5), 4)),
    "steer": (
        (14.0, -17.0),
        (5, 7),
        lambda x, y: segment(x, y, (0, 6), (-2, -5), 2) | segment(x, y, (-2, -5), (4, -4), 2),
    ),
    "pedal": (
        (-2.0, 18.0),
        (4, 5),
        lambda x, y: segment(x, y, (-1, -4), (0, 2), 1.6) | rectangle(x, y - 3, 3.2, 1.6),
    ),
    "bell": ((9.0, -25.0), (3, 3), lambda x, y: disc(x, y, 2.7)),
    "light": ((21.0, -12.0), (4, 3), lambda x, y: rectangle(x, y, 3, 2.2)),
}
NAMES = tuple(PARTS)


def skeleton(drawn: Float[Tensor, "n 4"]) -> tuple[Grid, Grid, Float[Tensor, "n 5"]]:
    """Coordinates of pixels on the skeleton, and its pose: scale, cos, sin, x and y of its middle.

    Args:
        drawn: numbers from 0 to 1 for scale, shift along both axes, and turn.
    """
    scale = SCALES[0] + (SCALES[1] - SCALES[0]) * drawn[:, 0]
    shift = SIDE / 2 + SHIFT * (2 * drawn[:, 1:3] - 1)
    angle = math.radians(TURN) * (2 * drawn[:, 3] - 1)
    pose = torch.stack([scale, angle.cos(), angle.sin(), *shift.unbind(1)], 1)
    factor, cos, sin, left, top = (column[:, None, None] for column in pose.unbind(1))
    across, down = pixel_grid(SIDE)
    x = (cos * (across - left) + sin * (down - top)) / factor
    y = (-sin * (across - left) + cos * (down - top)) / factor
    return x, y, pose


def frame_of(x: Grid, y: Grid) -> Covered:
    """The pixels of the frame."""
    covered = torch.zeros_like(x, dtype=torch.bool)
    for start, end in FRAME:
        covered |= segment(x, y, start, end, 2.0)
    return covered
