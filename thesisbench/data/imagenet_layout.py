"""Where ImageNet (ILSVRC 2012) has its images and their classes.

    imagenet/train/<wnid>/*.JPEG
    imagenet/val/<wnid>/*.JPEG, or imagenet/val/*.JPEG as published, with the folder
    imagenet/ILSVRC2012_devkit_t12 of the development kit, which has their classes

A class is known by its WordNet id (wnid); its label is its place among the sorted ids. Listing a
million files takes long on a shared disk: `thesisbench data prepare imagenet` keeps the list.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.class_folders import files_below

DEVKIT = Path("ILSVRC2012_devkit_t12") / "data"
META, TRUTH = DEVKIT / "meta.mat", DEVKIT / "ILSVRC2012_validation_ground_truth.txt"
ENDINGS = (".jpeg", ".jpg", ".png")
Names = npt.NDArray[np.bytes_]


def index_file(root: Path, split: str) -> Path:
    """Where the list of a split's files is kept, one `folder/file` or `file` a line."""
    return root / f".{split}_files.txt"


def listed(root: Path, split: str) -> Names:
    """Files of a split below its folder, sorted; from the kept list where there is one.

    Raises:
        BadFileError: there is no such folder, or no image in it.
    """
    kept = index_file(root, split)
    if kept.exists():
        return np.array(kept.read_bytes().split(b"\n")[:-1])
    return scanned(root, split)


def scanned(root: Path, split: str) -> Names:
    """As `listed`, from the disk."""
    folder = root / split
    if not folder.is_dir():
        text = f"no folder {folder}: `thesisbench data prepare imagenet` says what to put there"
        raise BadFileError(text)
    names = files_below(folder, _is_image, flat=True)
    if not len(names):
        raise BadFileError(f"no images in {folder}")
    return names


def _is_image(name: str) -> bool:
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def wnids_of(root: Path, split: str, names: Names) -> npt.NDArray[np.bytes_]:
    """The class of each file: its folder, or what the development kit says.

    Raises:
        BadFileError: the kit is missing or does not fit.
    """
    flat = b"/" not in names[0]
    if not flat:
        return np.array([name.partition(b"/")[0] for name in names])
    truth = validation_wnids(root)
    if len(truth) != len(names):
        where = f"{root / split} has {len(names)} images"
        raise BadFileError(f"{where}, but {root / TRUTH} has the classes of {len(truth)}")
    return np.array([wnid.encode() for wnid in truth])


def validation_wnids(root: Path) -> list[str]:
    """Classes of the validation images in the order of their names, from the development kit.

    Raises:
        BadFileError: a file of the kit is missing or unreadable.
    """
    from scipy.io import loadmat

    for path in (root / META, root / TRUTH):
        if not path.exists():
            text = f"{root / 'val'} has no class folders, and there is no {path} to tell classes"
            raise BadFileError(f"{text}; unpack ILSVRC2012_devkit_t12.tar.gz in {root}")
    try:
        synsets = loadmat(root / META, squeeze_me=True)["synsets"]
        of_number = {int(s["ILSVRC2012_ID"]): str(s["WNID"]) for s in synsets}
        numbers = (root / TRUTH).read_text(encoding="ascii").split()
        return [of_number[int(number)] for number in numbers]
    except Exception as error:  # a broken file of MATLAB may raise anything
        raise BadFileError(f"cannot read {root / DEVKIT}: {error!r}; fetch it anew") from error
