"""The Red-Green images: which colour is left, with the class's usual height as a bait.

Kayhan, chapter 2, Table 2.1; arXiv 2003.07064. Two 4x4 squares on black 32x32 images; class 0 has
red left of green and lies near the top, class 1 green left of red near the bottom. The Dissimilar
test set is the Similar one moved by 16 rows, into the other class's height.

*Deviations*. The thesis speaks of separate validation and test sets, but the released generator
reseeds with 1988 for each, so that validation and Similar test are exactly the first 1,000 training
images, and the printed numbers were made so. `protocol="released"` does the same,
`protocol="held_out"` draws disjoint sets. `released` follows the released generator draw by draw
(numpy's frozen `RandomState`), so its images are those behind the printed numbers. `held_out` has
the same distribution, drawn at once: the right column from its conditional distribution, where the
released generator redraws the right square until it is 5 columns away.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesisbench.errors import UserError, unknown

Split = tuple[Tensor, Tensor]

SIZE, SIDE, GAP, SHIFT = 32, 4, 5, 16  # image, square, least column distance, move of Dissimilar
LEFT_COLUMNS, RIGHT_LIMIT = 10, 28  # left column in 0..9, right column below 28
FIRST_ROW = (3, 19)  # lowest top row of class 0 and 1
ROWS = 8  # top rows FIRST_ROW .. FIRST_ROW + 7, each square by itself
DISTINCT = 2 * ROWS**2 * sum(RIGHT_LIMIT - x - GAP for x in range(LEFT_COLUMNS))  # 23,680


def _draw_squares(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Top-left corners [n, 4] as (row, column) of the left, then of the right square."""
    n = len(labels)
    left = rng.integers(0, LEFT_COLUMNS, n)
    right = rng.integers(left + GAP, RIGHT_LIMIT)
    rows = np.take(FIRST_ROW, labels)[:, None] + rng.integers(0, ROWS, (n, 2))
    return np.stack([rows[:, 0], left, rows[:, 1], right], axis=1)


def _alternate(n: int) -> np.ndarray:
    """Labels 0, 1, 0, 1, ..."""
    return np.arange(n) % 2


def _render(squares: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    """Draw the squares; class 0 has red (channel 0) left of green (channel 1)."""
    n = len(labels)
    images = np.zeros((n, 3, SIZE, SIZE), dtype=np.float32)
    item = np.arange(n)[:, None, None]
    rows, columns = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    for channels, corner in ((labels, squares[:, :2]), (1 - labels, squares[:, 2:])):
        top, left = corner[:, :1, None], corner[:, 1:, None]
        images[item, channels[:, None, None], top + rows, left + columns] = 1.0
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


def _draw_released(n: int, seed: int) -> np.ndarray:
    """Corners [n, 4] in the released generator's order of draws, one square after the other."""
    rng = np.random.RandomState(seed)
    squares = np.empty((n, 4), dtype=np.int64)
    for i, label in enumerate(_alternate(n)):
        middle = FIRST_ROW[label] + ROWS // 2
        left = rng.randint(LEFT_COLUMNS)
        left_row = middle + rng.randint(-ROWS // 2, ROWS // 2)
        right = left
        while right - left < GAP:
            right = rng.randint(left, RIGHT_LIMIT)
            right_row = middle + rng.randint(-ROWS // 2, ROWS // 2)
        squares[i] = left_row, left, right_row, right
    return squares


def generate_red_green(
    n: int, *, seed: int | tuple[int, ...]
) -> tuple[Float[Tensor, "n 3 32 32"], Int[Tensor, " n"]]:
    """Draw n images, classes in turn.

    Left column U{0..9}, right column U{left+5..27}, top rows U{3..10} (class 0) or U{19..26}
    (class 1) for each square.

    Args:
        n: number of images.
        seed: of numpy's generator.

    Returns:
        Images with values 0 and 1 and channels red, green, blue; labels.
    """
    labels = _alternate(n)
    return _render(_draw_squares(labels, np.random.default_rng(seed)), labels)


def make_dissimilar(
    images: Float[Tensor, "n c h w"], labels: Int[Tensor, " n"]
) -> Float[Tensor, "n c h w"]:
    """Move class 0 down and class 1 up by 16 rows.

    Args:
        images: Red-Green images.
        labels: their classes.

    Raises:
        ValueError: part of an object would leave its image.
    """
    up = (labels == 1)[:, None, None, None]
    height = images.shape[-2]
    lost_down, lost_up = images[..., height - SHIFT :, :], images[..., :SHIFT, :]
    if torch.where(up, lost_up, lost_down).any():
        raise ValueError(f"objects would leave the image when moved by {SHIFT} rows")
    return torch.where(up, images.roll(-SHIFT, dims=-2), images.roll(SHIFT, dims=-2))


def _codes(squares: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """One number an image; equal numbers mean equal images."""
    places = (labels, *squares.T)
    return np.ravel_multi_index(places, (2, SIZE, SIZE, SIZE, SIZE))


def _draw_unseen(n: int, rng: np.random.Generator, taken: np.ndarray) -> tuple[Split, np.ndarray]:
    """Draw n images none of which is among the `taken` codes; returns them and their codes."""
    labels = _alternate(n)
    squares = _draw_squares(labels, rng)
    codes = _codes(squares, labels)
    while (clash := np.isin(codes, taken)).any():
        squares[clash] = _draw_squares(labels[clash], rng)
        codes = _codes(squares, labels)
    return _render(squares, labels), codes


def _held_out(data_seed: int, sizes: dict[str, int]) -> dict[str, Split]:
    """Disjoint splits, a stream each; a split may hold an image twice, as a fresh sample would."""
    if sum(sizes.values()) > DISTINCT // 2:
        raise UserError(
            f"held_out splits of {sum(sizes.values())} images: at most {DISTINCT // 2} "
            f"(there are {DISTINCT} distinct Red-Green images); lower n_train, n_val or n_test"
        )
    splits: dict[str, Split] = {}
    taken = np.empty(0, dtype=np.int64)
    for stream, (name, n) in enumerate(sizes.items()):
        rng = np.random.default_rng([data_seed, stream])
        splits[name], codes = _draw_unseen(n, rng, taken)
        taken = np.concatenate([taken, codes])
    return splits


def _released(data_seed: int, sizes: dict[str, int]) -> dict[str, Split]:
    """Validation and Similar test are the first images of the training set."""
    if max(sizes["val"], sizes["similar"]) > sizes["train"]:
        raise UserError(
            "the released protocol takes val and test from the training images: "
            f"n_val={sizes['val']} and n_test={sizes['similar']} must not exceed "
            f"n_train={sizes['train']}"
        )
    images, labels = _render(_draw_released(sizes["train"], data_seed), _alternate(sizes["train"]))
    return {name: (images[:n].clone(), labels[:n].clone()) for name, n in sizes.items()}


def red_green_splits(
    *,
    protocol: str,
    data_seed: int = 1988,
    n_train: int = 2000,
    n_val: int = 1000,
    n_test: int = 1000,
) -> dict[str, Split]:
    """The splits of the Red-Green experiment.

    Args:
        protocol: released (validation and test repeat training images) or held_out (disjoint).
        data_seed: of the images; the same in all runs of the thesis.
        n_train: training images.
        n_val: validation images.
        n_test: images of each test set.

    Returns:
        train, val, similar and dissimilar (the similar images moved), each (images, labels).

    Raises:
        UserError: unknown protocol, or sizes that it cannot serve.
    """
    protocols = {"released": _released, "held_out": _held_out}
    if protocol not in protocols:
        raise UserError(unknown("protocol", protocol, protocols))
    splits = protocols[protocol](data_seed, {"train": n_train, "val": n_val, "similar": n_test})
    images, labels = splits["similar"]
    return {**splits, "dissimilar": (make_dissimilar(images, labels), labels.clone())}
