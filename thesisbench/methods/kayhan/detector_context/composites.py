"""Images of an object with three context tiles, and the five ways in which context goes with it.

Kayhan, chapter 3, section "Q-FMNIST": the object lies top-left; up-right, bottom-left and
bottom-right hold context tiles that are absent (none), unrelated (uncorrelated), related with
probability 0.75 (semi), always (full), or swapped between training and test (anti).

*Deviations*. Objects are balanced, classes in turn (assumed). Tiles are drawn with replacement.
Object and context have generators of their own, so that the object quadrant of a split is the same
under every context, and Crop-Input's equality across contexts is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from thesisbench.errors import UserError, unknown

Context = Literal["none", "uncorrelated", "semi", "full", "anti"]
CONTEXTS: tuple[str, ...] = get_args(Context)
Triple = tuple[int, int, int]
ContextSplit = tuple[tuple[Tensor, Tensor], Tensor]
SEMI_PROBABILITY = 0.75


@dataclass(frozen=True)
class ContextSets:
    """Which source classes serve as objects and as context.

    Attributes:
        objects: source class of label 0 and 1.
        semi: context classes at (up-right, bottom-left, bottom-right) of label 0 and 1, if semi.
        full: the same, if full or anti (the thesis prints another order than for semi).
        others: classes that uncorrelated context is drawn from.
    """

    objects: tuple[int, int]
    semi: tuple[Triple, Triple]
    full: tuple[Triple, Triple]
    others: tuple[int, ...]


class TilePool:
    """Tiles to draw from by class.

    Args:
        tiles: source tiles [m, t, t].
        classes: their source classes [m].
    """

    def __init__(self, tiles: Float[np.ndarray, "m t t"], classes: np.ndarray) -> None:
        order = np.argsort(classes, kind="stable")
        self.tiles = tiles[order]
        self.counts = np.bincount(classes)
        self.starts = np.cumsum(self.counts) - self.counts

    def draw(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One random tile for each wanted class: [*shape of classes, t, t].

        Raises:
            UserError: a wanted class has no tiles.
        """
        absent = set(np.unique(classes)) - set(np.flatnonzero(self.counts))
        if absent:
            raise UserError(f"the source images have none of class {min(absent)}; check the data")
        return self.tiles[self.starts[classes] + rng.integers(0, self.counts[classes])]


def context_classes(
    labels: np.ndarray, context: Context, sets: ContextSets, rng: np.random.Generator
) -> np.ndarray:
    """Source classes [n, 3] of the context at up-right, bottom-left and bottom-right.

    Args:
        labels: object labels, 0 or 1.
        context: uncorrelated, semi, full or anti (the full context of the other label).
        sets: the classes.
        rng: of the context.
    """
    if context == "uncorrelated":
        return rng.choice(sets.others, (len(labels), 3))
    if context == "semi":
        swap = rng.random(len(labels)) >= SEMI_PROBABILITY
        return np.array(sets.semi)[np.where(swap, 1 - labels, labels)]
    return np.array(sets.full)[1 - labels if context == "anti" else labels]


def compose_quadrants(
    objects: Float[Tensor, "n t t"], context: Float[Tensor, "n 3 t t"]
) -> Float[Tensor, "n 1 s s"]:
    """Images of twice the side: object top-left, then up-right, bottom-left, bottom-right."""
    tiles = torch.cat([objects[:, None], context], dim=1)
    return rearrange(tiles, "n (i j) h w -> n 1 (i h) (j w)", i=2, j=2)


def composite_split(
    pool: TilePool,
    n: int,
    *,
    context: Context,
    sets: ContextSets,
    seed: tuple[int, ...],
    noise: float = 0.0,
) -> ContextSplit:
    """Draw one split.

    Args:
        pool: source tiles.
        n: number of images.
        context: how the context goes with the object.
        sets: the classes.
        seed: of the split; object and context get a stream each.
        noise: standard deviation of Gaussian noise on the object, in the tiles' grey units.

    Returns:
        ((images [n, 1, 2t, 2t], boxes [n, 4] xyxy), labels [n]).
    """
    object_rng, context_rng = (np.random.default_rng([*seed, stream]) for stream in (0, 1))
    labels = np.arange(n) % 2
    objects = pool.draw(np.array(sets.objects)[labels], object_rng)
    objects = objects + noise * object_rng.standard_normal(objects.shape)
    side = objects.shape[-1]
    around = np.zeros((n, 3, side, side))
    if context != "none":
        around = pool.draw(context_classes(labels, context, sets, context_rng), context_rng)
    images = compose_quadrants(torch.from_numpy(objects), torch.from_numpy(around)).float()
    boxes = torch.tensor([0.0, 0.0, side, side]).repeat(n, 1)
    return (images, boxes), torch.from_numpy(labels)


def composite_splits(
    pools: Mapping[str, TilePool],
    sizes: Mapping[str, int],
    *,
    context: str,
    sets: ContextSets,
    data_seed: int,
    noise: float = 0.0,
) -> dict[str, ContextSplit]:
    """Draw all splits; `anti` trains and validates on full context and swaps it in the test.

    Args:
        pools: split -> source tiles.
        sizes: split -> number of images; the split "test" is the one that `anti` swaps.
        context: none, uncorrelated, semi, full or anti.
        sets: the classes.
        data_seed: of all splits.
        noise: as in `composite_split`.

    Raises:
        UserError: unknown context.
    """
    if context not in CONTEXTS:
        raise UserError(unknown("context", context, CONTEXTS))
    splits = {}
    for stream, (name, n) in enumerate(sizes.items()):
        kind = "full" if context == "anti" and name != "test" else cast(Context, context)
        splits[name] = composite_split(
            pools[name], n, context=kind, sets=sets, seed=(data_seed, stream), noise=noise
        )
    return splits
