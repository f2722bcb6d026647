"""Procedural textures: sums of random sinusoid gratings in random colours.

They stand in for the ImageNet images of Kayhan, chapter 2, experiment 1 (Figure 2.5). Drawn anew
for each image, so that nothing but its place is to be learnt. Textures with a class, the band of
orientations of their gratings, serve for the pretraining that ImageNet serves for in the thesis.

*Deviations*. All of it is ours: the thesis uses photographs.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from thesisbench.data.arrays import mix
from thesisbench.errors import UserError

GRATINGS = 8  # summed in each texture
FREQUENCIES = (0.04, 0.35)  # cycles a pixel
Split = tuple[Tensor, Tensor]


def grating_textures(
    n: int, *, side: int, seed: int, orientations: np.ndarray | None = None, spread: float = math.pi
) -> Float[Tensor, "n 3 s s"]:
    """Draw n textures, each with mean 0 and standard deviation 1.

    Args:
        n: how many.
        side: of the square textures, in pixels.
        seed: of the draws.
        orientations: [n] middle of the band of orientations of each, in radians; default 0.
        spread: width of the band; pi takes all orientations.

    >>> grating_textures(2, side=14, seed=0).shape
    torch.Size([2, 3, 14, 14])
    """
    rng = np.random.default_rng(seed)
    middle = np.zeros(n) if orientations is None else orientations
    angle = middle[:, None] + spread * (rng.random((n, GRATINGS)) - 0.5)
    frequency = 2 * np.pi * rng.uniform(*FREQUENCIES, (n, GRATINGS))
    phase = rng.uniform(0, 2 * np.pi, (n, GRATINGS, 1, 1))
    colour = rng.standard_normal((n, GRATINGS, 3))
    along_x, along_y = frequency * np.cos(angle), frequency * np.sin(angle)
    place = np.arange(side)
    waves = np.sin(
        along_y[..., None, None] * place[:, None] + along_x[..., None, None] * place + phase
    )
    images = np.einsum("ngc,nghw->nchw", colour, waves)
    axes = (1, 2, 3)
    images = (images - images.mean(axes, keepdims=True)) / images.std(axes, keepdims=True)
    return torch.from_numpy(images.astype(np.float32))


def texture_patches(*, data_seed: int, counts: dict[str, int], side: int) -> dict[str, Tensor]:
    """Textures of each split, no two alike.

    Args:
        data_seed: of the textures.
        counts: split -> how many.
        side: of the textures.
    """
    return {
        name: grating_textures(n, side=side, seed=mix(data_seed, stream))
        for stream, (name, n) in enumerate(counts.items())
    }


def oriented_texture_splits(
    *, data_seed: int, n_train: int, n_val: int, side: int = 28, classes: int = 8
) -> dict[str, Split]:
    """Textures whose class is the band of orientations of their gratings.

    Args:
        data_seed: of the textures.
        n_train: training images.
        n_val: validation images.
        side: of the images, which the texture fills.
        classes: number of bands; they do not overlap.

    Returns:
        train and val, each images [n, 3, side, side] and labels, classes in turn.

    Raises:
        UserError: fewer than two classes.
    """
    if classes < 2:
        raise UserError(f"classes={classes}: textures need at least 2 classes")
    splits = {}
    for stream, (name, n) in enumerate({"train": n_train, "val": n_val}.items()):
        labels = np.arange(n) % classes
        images = grating_textures(
            n,
            side=side,
            seed=mix(data_seed, 1000 + stream),
            orientations=labels * math.pi / classes,
            spread=math.pi / classes,
        )
        splits[name] = (images, torch.from_numpy(labels.astype(np.int64)))
    return splits
