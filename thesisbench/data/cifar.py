"""CIFAR-10 and CIFAR-100 in memory, from the pickled batches of the publisher.

The files are pickles, which can run code when loaded: only the few names that these files need are
allowed (Krizhevsky 2009; layout as in torchvision: `cifar-10-batches-py`, `cifar-100-python`).
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from thesisbench.data.bad_file import BadFileError
from thesisbench.errors import UserError, unknown
from thesisbench.store.runs import data_root

Arrays = tuple[UInt8[Tensor, "n 3 32 32"], Int[Tensor, " n"]]
SIDE, CHANNELS = 32, 3


@dataclass(frozen=True)
class Layout:
    """Where a CIFAR set has what.

    Attributes:
        folder: of the files, below the data set's. train, test: file names.
        key: of the labels in a file. classes: number of them.
    """

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    key: str
    classes: int


LAYOUTS = {
    "cifar10": Layout(
        "cifar-10-batches-py",
        tuple(f"data_batch_{i}" for i in range(1, 6)),
        ("test_batch",),
        "labels",
        10,
    ),
    "cifar100": Layout("cifar-100-python", ("train",), ("test",), "fine_labels", 100),
}

_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): lambda text, _encoding: text.encode("latin1"),
}


class _Arrays(pickle.Unpickler):
    """Unpickles dictionaries of numbers, text and NumPy arrays; nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no such file needs")
        return _ALLOWED[module, name]


def read_batch(path: Path, layout: Layout) -> Arrays:
    """Images and labels of one file.

    Raises:
        BadFileError: not there, cut short, not such a file, or with labels of another set.
    """
    try:
        with path.open("rb") as file:
            entry: Mapping[str, Any] = _Arrays(file, encoding="latin1").load()
        images = np.asarray(entry["data"], dtype=np.uint8).reshape(-1, CHANNELS, SIDE, SIDE)
        labels = torch.tensor([int(label) for label in entry[layout.key]])
    except FileNotFoundError:
        raise BadFileError(f"no file {path}") from None
    except Exception as error:  # a broken pickle may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadFileError(f"cannot read {path}: {reason}") from error
    if len(images) != len(labels):
        raise BadFileError(f"{path} has {len(images)} images and {len(labels)} labels")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < layout.classes:
        raise BadFileError(f"{path} has labels beyond {layout.classes} classes")
    return torch.from_numpy(images.copy()), labels


def read_cifar(name: str, folder: Path | None = None) -> dict[str, Arrays]:
    """Training and test images.

    Args:
        name: cifar10 or cifar100.
        folder: of the data set; default: that of its name below the data root.

    Raises:
        UserError: unknown name; a file is missing or broken.
    """
    if name not in LAYOUTS:
        raise UserError(unknown("CIFAR set", name, LAYOUTS))
    layout = LAYOUTS[name]
    place = (data_root() / name if folder is None else folder) / layout.folder
    if not place.is_dir():
        raise UserError(f"{name} is not in {place}: run `thesisbench data prepare {name}`")
    splits = {}
    for split, files in (("train", layout.train), ("test", layout.test)):
        images, labels = zip(*(read_batch(place / file, layout) for file in files), strict=True)
        splits[split] = torch.cat(images), torch.cat(labels)
    return splits


def cifar_splits(*, name: str, n_val: int = 5000, root: str | None = None) -> dict[str, Arrays]:
    """The splits of CIFAR: train, val (the last training images; absent when n_val is 0), test.

    Args:
        name: cifar10 or cifar100.
        n_val: images kept from training for validation.
        root: folder that holds the publisher's folder; default below the data root.

    Raises:
        UserError: as `read_cifar`, or too many validation images.
    """
    splits = read_cifar(name, None if root is None else Path(root))
    return hold_out(splits, n_val, name)


def hold_out(splits: Mapping[str, Arrays], n_val: int, name: str) -> dict[str, Arrays]:
    """Train, val and test from train and test; val are the last training images.

    Raises:
        UserError: no training image would be left.
    """
    images, labels = splits["train"]
    if not 0 <= n_val < len(labels):
        raise UserError(f"{name}: n_val={n_val} must be from 0 to {len(labels) - 1}")
    cut = len(labels) - n_val
    val = {"val": (images[cut:], labels[cut:])} if n_val else {}
    return {"train": (images[:cut], labels[:cut]), **val, "test": splits["test"]}
