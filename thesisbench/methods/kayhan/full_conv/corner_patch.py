"""The corner toy: the same random patch in the top-left or in the bottom-right corner.

Kayhan, chapter 2, Figure 2.1; arXiv 2003.07064. Each patch occurs in both corners of black images,
so that nothing but its place tells the classes apart.

*Deviations*. The thesis names neither patches nor sizes: uniform noise in [0, 1), 14x14 on 28x28,
touching the corner. `margin` moves the patches away from the border, for controls.
"""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from thesisbench.errors import UserError

Split = tuple[Tensor, Tensor]


def place_in_corners(
    patches: Float[Tensor, "n c p p"], *, canvas: int, margin: int = 0
) -> tuple[Float[Tensor, "m c s s"], Int[Tensor, " m"]]:
    """Put each patch into both corners; m = 2n images, classes in turn.

    Args:
        patches: square patches.
        canvas: side s of the images.
        margin: pixels between patch and border.

    Raises:
        UserError: the patch does not fit.
    """
    n, channels, side, _ = patches.shape
    if margin < 0 or side + margin > canvas:
        raise UserError(
            f"patch {side} with margin {margin} does not fit canvas {canvas}; "
            "choose 0 <= margin <= canvas - patch"
        )
    pair = patches.new_zeros(n, 2, channels, canvas, canvas)
    near, far = slice(margin, margin + side), slice(canvas - margin - side, canvas - margin)
    pair[:, 0, :, near, near] = patches
    pair[:, 1, :, far, far] = patches
    labels = torch.arange(2).repeat(n)
    return rearrange(pair, "n two c h w -> (n two) c h w"), labels


def corner_patch_splits(
    *,
    data_seed: int,
    n_train: int,
    n_val: int,
    n_test: int,
    patch: int = 14,
    canvas: int = 28,
    margin: int = 0,
) -> dict[str, Split]:
    """The splits of the corner toy; no patch occurs in two of them.

    Args:
        data_seed: of the patches.
        n_train: training images, two a patch.
        n_val: validation images.
        n_test: test images.
        patch: side of the patches.
        canvas: side of the images.
        margin: pixels between patch and border.

    Returns:
        train, val and test, each images [n, 1, canvas, canvas] and labels (0 top-left,
        1 bottom-right).

    Raises:
        UserError: an odd number of images, or a patch that does not fit.
    """
    splits: dict[str, Split] = {}
    for stream, (name, n) in enumerate({"train": n_train, "val": n_val, "test": n_test}.items()):
        if n % 2:
            raise UserError(f"n_{name}={n} must be even: each patch gives an image of each class")
        rng = np.random.default_rng([data_seed, stream])
        patches = rng.random((n // 2, 1, patch, patch), dtype=np.float32)
        splits[name] = place_in_corners(torch.from_numpy(patches), canvas=canvas, margin=margin)
    return splits
