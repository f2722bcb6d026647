"""ImageNet-C as published: corrupted validation images of ImageNet.

    imagenet_c/<corruption>/<severity>/<wnid>/*.JPEG

(Hendrycks and Dietterich, ICLR 2019; the archives blur, digital, extra, noise and weather, unpacked
into one folder.) A split is one corruption at one severity; labels number the sorted WordNet ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.class_folders import labels_of
from thesisbench.data.corruptions.severities import EXTRA, SEVERITIES, STANDARD
from thesisbench.data.image_files import ImageList
from thesisbench.data.imagenet_layout import scanned
from thesisbench.errors import UserError, unknown
from thesisbench.store.runs import data_root

N_CLASSES = 1000


def imagenet_c_splits(
    *,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] = SEVERITIES,
    n_classes: int = N_CLASSES,
    root: str | None = None,
) -> dict[str, ImageList]:
    """The splits `<corruption>_<severity>`.

    Args:
        corruptions: names; the 15 standard ones when None.
        severities: from 1 to 5.
        n_classes: class folders that there must be in each.
        root: folder of the corruptions; default `imagenet_c` below the data root.

    Raises:
        UserError: an unknown corruption; folders, classes or images that are missing.
    """
    place = data_root() / "imagenet_c" if root is None else Path(root)
    splits = {}
    for name in corruptions or STANDARD:
        if name not in (*STANDARD, *EXTRA):
            raise UserError(unknown("corruption", name, (*STANDARD, *EXTRA)))
        for severity in severities:
            splits[f"{name}_{severity}"] = _split(place, f"{name}/{severity}", n_classes)
    return splits


def _split(root: Path, split: str, n_classes: int) -> ImageList:
    if not (root / split).is_dir():
        text = f"no folder {root / split}: run `thesisbench data prepare imagenet_c`"
        raise BadFileError(f"{text}, or choose fewer corruptions with dataset.splits.corruptions")
    names = scanned(root, split)
    return ImageList(root / split, names, labels_of(root / split, names, n_classes))
