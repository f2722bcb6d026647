"""Files that lie in a folder for each class, and their labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int
from torch import Tensor

from thesisbench.data.bad_file import BadFileError


def files_below(
    folder: Path, wanted: Callable[[str], bool], *, flat: bool = False
) -> npt.NDArray[np.bytes_]:
    """Files of the class folders in a folder, `class/file`, sorted.

    Args:
        folder: it is there.
        wanted: whether a file of that name counts.
        flat: files that lie in no class folder count, too.
    """
    return np.array(sorted(_names(folder, wanted, flat)), dtype=np.bytes_)


def _names(folder: Path, wanted: Callable[[str], bool], flat: bool) -> Iterator[bytes]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                inside = filter(wanted, os.listdir(entry.path))  # noqa: PTH208  (a million)
                yield from (f"{entry.name}/{name}".encode() for name in inside)
            elif flat and wanted(entry.name):
                yield entry.name.encode()


def labels_of(folder: Path, names: npt.NDArray[np.bytes_], n_classes: int) -> Int[Tensor, " n"]:
    """The label of each file: the place of its class folder among all of them, sorted.

    Args:
        folder: that the class folders are in, for errors.
        names: `class/file` of each.
        n_classes: class folders that there must be.

    Raises:
        BadFileError: files outside of class folders, or another number of these.
    """
    if any(b"/" not in name for name in names):
        raise BadFileError(f"{folder} has files but no class folders")
    classes = np.array([name.partition(b"/")[0] for name in names])
    found, labels = np.unique(classes, return_inverse=True)
    if len(found) != n_classes:
        raise BadFileError(f"{folder} has {len(found)} classes, not {n_classes}")
    return torch.from_numpy(labels)
