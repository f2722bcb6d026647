"""PASCAL VOC 2012 segmentation, with the labels of SBD: the files of both, as published.

Zhao, chapter 3 ("an augmented version with 10582 training images and 1449 validation images");
Everingham et al. 2012, Hariharan et al. 2011. Training images are those of SBD (training and
validation) and of VOC's training list, without VOC's validation images; these are for testing.

*Deviations*. Where both have labels of an image, VOC's own are taken (which mark contours as void;
SBD has no void). The thesis does not say which of the two it took.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.mask_files import PairList
from thesisbench.errors import UserError, unknown
from thesisbench.store.runs import data_root

FOLDER = "pascal_voc2012_seg"
CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
    *("chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)
VOC = "VOCdevkit/VOC2012"
SBD = "benchmark_RELEASE/dataset"
TRAINING = ("augmented", "voc")
_PARTS = {  # folder and ending of images and masks
    VOC: (("JPEGImages", "jpg"), ("SegmentationClass", "png")),
    SBD: (("img", "jpg"), ("cls", "mat")),
}


def voc_splits(*, training: str = "augmented", root: str | None = None) -> dict[str, PairList]:
    """The splits train and val.

    Args:
        training: augmented, or voc for VOC's 1,464 images alone.
        root: folder that holds VOCdevkit and benchmark_RELEASE; default `pascal_voc2012_seg` below
            the data root.

    Raises:
        UserError: unknown training; a list that is missing or holds no names.
    """
    if training not in TRAINING:
        raise UserError(unknown("training", training, TRAINING))
    place = data_root() / FOLDER if root is None else Path(root)
    train, val = (set(listed(place, VOC, split)) for split in ("train", "val"))
    more: set[str] = set()
    if training == "augmented":
        more = {name for split in ("train", "val") for name in listed(place, SBD, split)}
    homes = dict.fromkeys(more, SBD) | dict.fromkeys(train, VOC)
    chosen = {name: home for name, home in homes.items() if name not in val}
    return {"train": _pairs(place, chosen), "val": _pairs(place, dict.fromkeys(val, VOC))}


def list_file(root: Path, home: str, split: str) -> Path:
    """The file that lists a split of VOC or of SBD."""
    inner = "ImageSets/Segmentation" if home == VOC else "."
    return root / home / inner / f"{split}.txt"


def listed(root: Path, home: str, split: str) -> list[str]:
    """Names of the images of a split, without ending.

    Args:
        root: folder that holds VOCdevkit and benchmark_RELEASE.
        home: `VOC` or `SBD`.
        split: train or val.

    Raises:
        BadFileError: the list is not there, cannot be read or holds no names.
    """
    return names_in(list_file(root, home, split), FOLDER)


def names_in(path: Path, dataset: str) -> list[str]:
    """Names of images in a file that lists them, one a line, without ending.

    Args:
        path: of the list.
        dataset: whose preparation writes it.

    Raises:
        BadFileError: the list is not there, cannot be read or holds no names.
    """
    try:
        names = path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        raise BadFileError(f"no file {path}; run `thesisbench data prepare {dataset}`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadFileError(f"cannot read {path}: {error}; fetch it anew") from error
    if not names or any(not name.replace("_", "").isalnum() for name in names):
        raise BadFileError(f"{path} does not list names of images; fetch it anew")
    return names


def _pairs(root: Path, homes: dict[str, str]) -> PairList:
    """Files of images whose home is given, in the order of their names."""
    columns: list[list[bytes]] = [[], []]
    for name, home in sorted(homes.items()):
        for column, (folder, ending) in zip(columns, _PARTS[home], strict=True):
            column.append(f"{home}/{folder}/{name}.{ending}".encode())
    images, masks = map(np.array, columns)
    return PairList(root, images, masks, len(CLASSES))
