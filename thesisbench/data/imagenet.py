"""ImageNet-1k, its 200 classes that ImageNet-A has, and few images for each class.

Kayhan, chapter 2: Tables 2.2 (imagenet200) and Figure 2.7, left (50 to 500 images a class).

*Deviations*. The release has its list of 50 images a class in a pickle, which we do not load: our
choice is by `data_seed`, and a smaller choice is part of a larger one (`choice="first"`: the first
by file name). Validation images are always all of those of the chosen classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from thesisbench.data.arrays import mix
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.image_files import ImageList
from thesisbench.data.imagenet200_classes import CLASSES as IMAGENET200
from thesisbench.data.imagenet_layout import listed, wnids_of
from thesisbench.errors import UserError, unknown
from thesisbench.store.runs import data_root

CHOICES = ("seeded", "first")
CLASS_SETS = ("all", "imagenet200")
N_CLASSES = 1000


def imagenet_splits(
    *,
    classes: str = "all",
    per_class: int | None = None,
    choice: str = "seeded",
    data_seed: int = 0,
    n_classes: int = N_CLASSES,
    root: str | None = None,
) -> dict[str, ImageList]:
    """The splits train and val (the published validation images).

    Args:
        classes: all, or imagenet200; labels number the chosen classes in the order of their ids.
        per_class: training images of each class; None for all.
        choice: which ones: seeded or first.
        data_seed: of the choice.
        n_classes: class folders that there must be when all are wanted.
        root: folder that holds train and val; default `imagenet` below the data root.

    Raises:
        UserError: unknown choices; folders, classes or images that are missing.
    """
    if classes not in CLASS_SETS:
        raise UserError(unknown("classes", classes, CLASS_SETS))
    if choice not in CHOICES:
        raise UserError(unknown("choice", choice, CHOICES))
    place = data_root() / "imagenet" if root is None else Path(root)
    wanted = IMAGENET200 if classes == "imagenet200" else None
    train, ids = _split(place, "train", wanted, n_classes)
    val, _ = _split(place, "val", ids, n_classes)
    if per_class is not None:
        train = train.take(few(train, ids, per_class, choice, data_seed))
    return {"train": train, "val": val}


def _split(
    root: Path, split: str, wanted: tuple[str, ...] | None, n_classes: int
) -> tuple[ImageList, tuple[str, ...]]:
    """Images of the wanted classes (all when None), and the ids of these classes in order.

    Raises:
        BadFileError: a class is missing, or there are more or fewer than there must be.
    """
    names = listed(root, split)
    found, of = np.unique(wnids_of(root, split, names), return_inverse=True)
    ids = tuple(wnid.decode() for wnid in found)
    if wanted is None and len(ids) != n_classes:
        raise BadFileError(f"{root / split} has {len(ids)} classes, not {n_classes}")
    chosen = ids if wanted is None else wanted
    if missing := sorted(set(chosen) - set(ids)):
        text = f"{root / split} lacks {len(missing)} of {len(chosen)} classes"
        raise BadFileError(f"{text}: {', '.join(missing[:3])}")
    label_of = np.array([chosen.index(wnid) if wnid in chosen else -1 for wnid in ids])
    labels = label_of[of]
    (keep,) = np.nonzero(labels >= 0)
    return ImageList(root / split, names[keep], torch.from_numpy(labels[keep])), chosen


def few(
    images: ImageList, ids: tuple[str, ...], per_class: int, choice: str, data_seed: int
) -> npt.NDArray[np.intp]:
    """Numbers of `per_class` images of each class, in the order of the list.

    Args:
        images: to choose from.
        ids: of the classes.
        per_class: how many.
        choice: seeded or first (by file name).
        data_seed: of the choice.

    Raises:
        UserError: a class has fewer images.
    """
    if per_class < 1:
        raise UserError(f"per_class={per_class} must be at least 1 (null for all)")
    labels = images.labels.numpy()
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.searchsorted(labels[order], np.arange(1, len(ids))))
    chosen = []
    for label, group in enumerate(groups):
        if len(group) < per_class:
            raise UserError(
                f"{ids[label]} has {len(group)} images in {images.root}, fewer than "
                f"per_class={per_class}"
            )
        if choice == "seeded":
            group = np.random.default_rng(mix(data_seed, label)).permutation(group)
        chosen.append(group[:per_class])
    return np.sort(np.concatenate(chosen))
