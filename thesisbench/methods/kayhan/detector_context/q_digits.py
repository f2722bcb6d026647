"""Stand-in for Q-FMNIST from scikit-learn's digits, which need no download.

Kayhan, chapter 3, Table 3.1, with digits 3 and 8 as objects. The digits are cut to their bounding
box and stretched over the whole tile, since blank margins would hide the context from Crop-FM,
whose receptive field reaches only a few pixels beyond the box; noise on the object leaves room
for the context to help.

*Deviations*. A stand-in: its numbers serve claims and are not compared with the thesis's. Training
and validation share source digits (with other noise and context), the test has its own.
"""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.methods.kayhan.detector_context.composites import (
    ContextSets,
    ContextSplit,
    TilePool,
    composite_splits,
)

# Ordered as the thesis's triples: full swaps the first two places of semi.
DIGIT_SETS = ContextSets(
    objects=(3, 8),
    semi=((0, 1, 2), (4, 5, 6)),
    full=((1, 0, 2), (5, 4, 6)),
    others=(0, 1, 2, 4, 5, 6, 7, 9),
)
GREY_RANGE = 16.0


def _extent(ink: Tensor) -> tuple[Tensor, Tensor]:
    """First and last position with ink, from [n, size] marks."""
    size = ink.shape[1]
    first = ink.int().argmax(dim=1)
    last = size - 1 - ink.flip(1).int().argmax(dim=1)
    return first, last


def _sample_points(first: Tensor, last: Tensor, side: int, size: int) -> Float[Tensor, "n side"]:
    """Positions from first to last in equal steps, in grid_sample's units (-1 ... 1)."""
    steps = torch.linspace(0, 1, side)
    return 2 * (first[:, None] + (last - first)[:, None] * steps) / (size - 1) - 1


def stretch_to_tile(images: Float[Tensor, "n h w"], side: int) -> Float[Tensor, "n side side"]:
    """Cut each image to the bounding box of its ink and stretch it (bilinear) over the tile.

    The first and last row and column of a tile are those of the box, so ink reaches every edge.

    Args:
        images: grey images, ink above 0.
        side: side of the tiles.
    """
    _, height, width = images.shape
    y = _sample_points(*_extent((images > 0).any(dim=2)), side, height)
    x = _sample_points(*_extent((images > 0).any(dim=1)), side, width)
    grid = torch.stack([x[:, None, :].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], -1)
    tiles = F.grid_sample(images[:, None], grid, mode="bilinear", align_corners=True)
    return rearrange(tiles, "n 1 h w -> n h w")


def q_digits_splits(
    *,
    context: str,
    data_seed: int,
    n_train: int = 2000,
    n_val: int = 2000,
    n_test: int = 2000,
    noise: float = 0.9,
    tile: int = 16,
    n_sources: int = 1000,
) -> dict[str, ContextSplit]:
    """The stand-in's splits.

    Args:
        context: none, uncorrelated, semi, full or anti.
        data_seed: of the images.
        n_train: training images.
        n_val: validation images.
        n_test: test images.
        noise: standard deviation of the noise on the object, of the grey range.
        tile: side of a tile; images have twice this side.
        n_sources: digits (of 1,797) for training and validation; the rest are for the test.

    Returns:
        train, val and test, each ((images [n, 1, 2*tile, 2*tile], boxes [n, 4]), labels [n]).

    Raises:
        UserError: unknown context.
    """
    digits, classes = load_digits(return_X_y=True)
    grey = rearrange(torch.from_numpy(digits / GREY_RANGE), "n (h w) -> n h w", h=8)
    tiles: np.ndarray = stretch_to_tile(grey.float(), tile).numpy()
    seen = TilePool(tiles[:n_sources], classes[:n_sources])
    unseen = TilePool(tiles[n_sources:], classes[n_sources:])
    return composite_splits(
        {"train": seen, "val": seen, "test": unseen},
        {"train": n_train, "val": n_val, "test": n_test},
        context=context,
        sets=DIGIT_SETS,
        data_seed=data_seed,
        noise=noise,
    )
