"""Drawn bicycles of ten parts, some of which are missing: stands in for DelftBikes.

Kayhan, chapter 4 (Figures 4.3 to 4.6, Table 4.1). A bicycle is a frame and ten parts on a
skeleton that is scaled (0.8 to 1.1), moved (up to 6 px) and turned (up to 5 degrees). A part is
intact, damaged (a random half is not drawn), absent (not drawn) or occluded (drawn and covered by a
rectangle of another texture). Every part has a box, where it is or would be. `position_prior` says
how far places tell parts: 1 is the skeleton, 0 are random places, between them each part lies on
the way from its random place to that of the skeleton.

*Deviations*. A stand-in: its numbers serve claims and are not compared with the thesis's. Parts
are lighter than the ground by `contrast`, which is about the noise, so that a detector has a
reason to look where a part should be; the frame has a contrast of its own, and strokes of the
parts' contrast clutter the ground. All parts have the same shares of states.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from thesisbench.data.arrays import mix
from thesisbench.data.detection_files import BoxSplit, split_in_memory
from thesisbench.data.draws import uniform
from thesisbench.data.stand_ins.bike_skeleton import NAMES, PARTS, SIDE, frame_of, skeleton
from thesisbench.data.stand_ins.strokes import (
    Covered,
    Grid,
    as_bytes,
    bounds,
    grounds,
    pixel_grid,
    ring,
    segment,
)
from thesisbench.errors import UserError

STATES = ("intact", "damaged", "absent", "occluded")
SHARES = (0.605, 0.06, 0.195, 0.14)  # of DelftBikes
DAMAGED, ABSENT, OCCLUDED = 1, 2, 3
PER_PART, PER_STROKE = 10, 8  # numbers drawn for each
CHUNK = 50  # images made at once


def procedural_bikes_splits(
    *,
    data_seed: int,
    n_train: int = 1000,
    n_val: int = 0,
    n_test: int = 300,
    position_prior: float = 1.0,
    contrast: float = 0.15,
    frame: float = 0.35,
    noise: float = 0.15,
    clutter: int = 6,
    jitter: float = 1.0,
) -> dict[str, BoxSplit]:
    """The splits train, val (if any) and test; every image has ten boxes with states.

    Args:
        data_seed: of everything drawn.
        n_train: training images; fewer are the first of more.
        n_val: validation images; no such split when 0.
        n_test: test images.
        position_prior: 1 for parts at their places, 0 for random ones.
        contrast: by which parts are lighter than the ground, of the full range.
        frame: the same of the frame.
        noise: standard deviation, on every number of an image.
        clutter: strokes on the ground that are no part.
        jitter: pixels by which each part strays from its place.

    Raises:
        UserError: no training or test image; numbers out of their range.
    """
    _check(n_train, n_val, n_test, position_prior, clutter, contrast, frame, noise, jitter)
    counts = {"train": n_train, "val": n_val, "test": n_test}
    bikes = Bikes(prior=position_prior, contrast=contrast, frame=frame, noise=noise,
                  clutter=clutter, jitter=jitter)  # fmt: skip
    return {
        name: bikes(n, seed=mix(data_seed, number))
        for number, (name, n) in enumerate(counts.items())
        if n
    }


class Bikes:
    """Draws bicycles; arguments as above."""

    def __init__(
        self,
        *,
        prior: float,
        contrast: float,
        frame: float,
        noise: float,
        clutter: int,
        jitter: float,
    ) -> None:
        self.prior, self.contrast, self.frame = prior, contrast, frame
        self.noise, self.clutter, self.jitter = noise, clutter, jitter

    def __call__(self, n: int, *, seed: int) -> BoxSplit:
        """The first n bicycles of a seed."""
        chunks = [
            self.draw(seed, range(start, min(start + CHUNK, n))) for start in range(0, n, CHUNK)
        ]
        images, boxes, states = (torch.cat(column) for column in zip(*chunks, strict=True))
        labels = torch.arange(len(NAMES)).expand(n, -1)
        every = torch.ones_like(states, dtype=torch.bool)
        return split_in_memory(images, boxes, labels, every, NAMES, state=states)

    def draw(self, seed: int, index: range) -> tuple[Tensor, Tensor, Tensor]:
        """Images as bytes, boxes [n, 10, 4] and states [n, 10]; image i is of (seed, i)."""
        keys = [(0, i) for i in index]
        ground = 0.35 + grounds(mix(seed, 1), index, SIDE, {1: 0.05, 6: 0.06, 24: 0.05})
        other = 0.35 + grounds(mix(seed, 2), index, SIDE, {1: 0.05, 6: 0.06, 24: 0.05})
        x, y, pose = skeleton(uniform(mix(seed, 3), keys, 4).float())
        strokes = uniform(mix(seed, 4), keys, PER_STROKE * self.clutter).float()
        canvas = self._strokes(ground, strokes.view(len(keys), self.clutter, PER_STROKE))
        tint = uniform(mix(seed, 5), keys, 3).float()
        canvas = _paint(canvas, frame_of(x, y), ground, self.frame, tint)
        drawn = uniform(mix(seed, 6), keys, PER_PART * len(NAMES)).float()
        drawn = drawn.view(len(keys), len(NAMES), PER_PART)
        states = states_of(drawn[:, :, 0])
        boxes = []
        for number, name in enumerate(NAMES):
            covered = self._part(name, x, y, pose, drawn[:, number])
            box, state = bounds(covered), states[:, number]
            seen = covered & (state != ABSENT)[:, None, None]
            seen &= ~(half_of(box, drawn[:, number, 5]) & (state == DAMAGED)[:, None, None])
            canvas = _paint(canvas, seen, ground, self.contrast, drawn[:, number, 6:9])
            hidden = around(box, 1.5) & (state == OCCLUDED)[:, None, None]
            canvas = torch.where(hidden[:, None], other, canvas)
            boxes.append(box)
        canvas += grounds(mix(seed, 7), index, SIDE, {SIDE: self.noise})
        return as_bytes(canvas), torch.stack(boxes, 1), states

    def _part(
        self, name: str, x: Grid, y: Grid, pose: Tensor, drawn: Float[Tensor, "n p"]
    ) -> Covered:
        """The pixels of a part, were it intact."""
        place, half, form = PARTS[name]
        scale, cos, sin, *centre = pose.unbind(1)
        usual = torch.stack(
            [
                centre[0] + scale * (cos * place[0] - sin * place[1]),
                centre[1] + scale * (sin * place[0] + cos * place[1]),
            ],
            1,
        )
        margin = 1.2 * torch.tensor(half) + 1
        anywhere = margin + drawn[:, 1:3] * (SIDE - 2 * margin)
        stray = self.jitter * (2 * drawn[:, 3:5] - 1)
        moved = (1 - self.prior) * (anywhere - usual) + stray
        # Pixels by which a part is moved, in the coordinates of the skeleton.
        right = (cos * moved[:, 0] + sin * moved[:, 1]) / scale + place[0]
        down = (-sin * moved[:, 0] + cos * moved[:, 1]) / scale + place[1]
        return form(x - right[:, None, None], y - down[:, None, None])

    def _strokes(
        self, ground: Float[Tensor, "n 3 h w"], drawn: Float[Tensor, "n s p"]
    ) -> Float[Tensor, "n 3 h w"]:
        """The ground with strokes on it, lines and circles by turns."""
        canvas = ground
        for number, some in enumerate(drawn.unbind(1)):
            centre_x, centre_y, turn, size = (some[:, i, None, None] for i in range(4))
            across, down = pixel_grid(SIDE)
            x, y = across - SIDE * centre_x, down - SIDE * centre_y
            if number % 2:
                covered = ring(x, y, 3 + 9 * size, 2.2)
            else:
                angle, half = 2 * math.pi * turn, 3 + 9 * size
                end = half * angle.cos(), half * angle.sin()
                covered = segment(x, y, (-end[0], -end[1]), end, 2.0)
            canvas = _paint(canvas, covered, ground, self.contrast, some[:, 4:7])
        return canvas


def states_of(drawn: Float[Tensor, "n k"]) -> Int[Tensor, "n k"]:
    """States by their shares, from numbers from 0 to 1."""
    return torch.bucketize(drawn.contiguous(), torch.tensor(SHARES).cumsum(0)[:-1], right=True)


def around(box: Float[Tensor, "n 4"], more: float) -> Bool[Tensor, "n h w"]:
    """The pixels of a box that is `more` pixels larger on every side."""
    x1, y1, x2, y2 = (side[:, None, None] for side in box.unbind(1))
    x, y = pixel_grid(SIDE)
    return (x > x1 - more) & (x < x2 + more) & (y > y1 - more) & (y < y2 + more)


def half_of(box: Float[Tensor, "n 4"], drawn: Float[Tensor, " n"]) -> Bool[Tensor, "n h w"]:
    """The left, right, upper or lower half of a box and all beyond it, by a number from 0 to 1."""
    x1, y1, x2, y2 = (side[:, None, None] for side in box.unbind(1))
    x, y = pixel_grid(SIDE)
    which = (4 * drawn)[:, None, None]
    along, down = x - (x1 + x2) / 2, y - (y1 + y2) / 2
    sign = torch.where(which % 2 < 1, -1, 1)
    return sign * torch.where(which < 2, along, down) > 0


def _paint(
    canvas: Float[Tensor, "n 3 h w"],
    covered: Covered,
    ground: Float[Tensor, "n 3 h w"],
    contrast: float,
    tint: Float[Tensor, "n 3"],
) -> Float[Tensor, "n 3 h w"]:
    """Covered pixels lighter than the ground by the contrast, 60 to 140% of it in each channel."""
    lighter = ground + contrast * (0.6 + 0.8 * tint[:, :, None, None])
    return torch.where(covered[:, None], lighter, canvas)


def _check(
    n_train: int, n_val: int, n_test: int, prior: float, clutter: int, *amounts: float
) -> None:
    if min(n_train, n_test) < 1 or n_val < 0:
        raise UserError("n_train and n_test must be at least 1, n_val at least 0")
    if not 0 <= prior <= 1:
        raise UserError(f"position_prior={prior} must be from 0 to 1")
    if clutter < 0 or min(amounts) < 0:
        raise UserError("contrast, frame, noise, clutter and jitter must not be negative")
