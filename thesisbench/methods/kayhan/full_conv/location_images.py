"""The photographs of the border location experiment: random validation images of ImageNet.

Kayhan, chapter 2, experiment 1 (Figure 2.5): 3,000 random images, 1,000 each for training,
validation and test. Read from `imagenet/val` below the data root, in class folders or flat; labels
are not used.

*Deviations*. The released script takes the same images for all three splits; so does
`protocol="released"`, ours are disjoint, as the thesis says. Which images were drawn is not known:
ours follow `data_seed`.
As released, images are cut to 224x224 and normalised before they are made smaller, so that the
black around them is 0 in the network's units: the mean colour, not black.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from thesisbench.errors import UserError, unknown
from thesisbench.store.runs import data_root

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ENDINGS = (".jpeg", ".jpg", ".png")
PROTOCOLS = ("held_out", "released")


def image_patches(
    *, data_seed: int, counts: dict[str, int], side: int, protocol: str, root: str | None
) -> dict[str, Tensor]:
    """Small normalised images of each split, [n, 3, side, side].

    Args:
        data_seed: of the choice of images.
        counts: split -> how many.
        side: of the small images.
        protocol: held_out (no image in two splits) or released (the same images in all).
        root: folder of validation images; default imagenet/val below the data root.

    Raises:
        UserError: too few images, an image that cannot be read, an unknown protocol.
    """
    if protocol not in PROTOCOLS:
        raise UserError(unknown("protocol", protocol, PROTOCOLS))
    folder = Path(root) if root else data_root() / "imagenet" / "val"
    needed = max(counts.values()) if protocol == "released" else sum(counts.values())
    chosen = _chosen(folder, needed, data_seed)
    patches, start = {}, 0
    for name, n in counts.items():
        patches[name] = _read(chosen[start : start + n], side)
        start += 0 if protocol == "released" else n
    return patches


def _chosen(folder: Path, needed: int, seed: int) -> list[Path]:
    """So many files of a folder, at random by the seed whatever the order of the folder."""
    if not folder.is_dir():
        hint = "or set THESISBENCH_DATA; `thesisbench data list` says what is needed"
        raise UserError(f"no folder {folder}: put ImageNet's validation images there, {hint}")
    files = sorted(
        (p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS), key=lambda p: p.name
    )
    if len(files) < needed:
        raise UserError(f"{folder} has {len(files)} images; the border location set needs {needed}")
    order = np.random.default_rng(seed).permutation(len(files))[:needed]
    return [files[i] for i in order]


def _read(files: list[Path], side: int) -> Tensor:
    from torchvision.transforms import v2

    prepare = v2.Compose(
        [
            v2.Resize(256),
            v2.CenterCrop(224),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
            v2.Resize(side, antialias=True),
        ]
    )
    return torch.stack([_one(path, prepare) for path in files])


def _one(path: Path, prepare: Any) -> Tensor:
    try:
        with Image.open(path) as image:
            small: Tensor = prepare(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise UserError(f"cannot read {path}: {error}; fetch it anew") from error
    return small.as_subclass(Tensor)
