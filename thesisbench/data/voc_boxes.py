"""PASCAL VOC 2007 and 2012 with boxes: trained on trainval of both, tested on test of 2007.

Everingham et al. Lists are in `ImageSets/Main`, boxes in an XML file for each image.

*Deviations*. VOC counts pixels from 1 and both ends belong to a box: x1 = xmin - 1, x2 = xmax, so
that boxes have no "+1". Objects marked `difficult` keep their box, are not trained on and do not
count in a test, as in VOC's own evaluation. Parts of persons are not read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import torch

from thesisbench.data.box_rows import BoxRows
from thesisbench.data.detection_files import BoxSplit, hold_out
from thesisbench.data.voc import CLASSES as WITH_BACKGROUND
from thesisbench.data.voc import names_in
from thesisbench.store.runs import data_root

FOLDER = "voc"
CLASSES = WITH_BACKGROUND[1:]
DEVKIT = "VOCdevkit"
TRAIN = (("VOC2007", "trainval"), ("VOC2012", "trainval"))
TEST = (("VOC2007", "test"),)
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def voc_box_splits(
    *, n_val: int = 0, data_seed: int = 0, root: str | None = None
) -> dict[str, BoxSplit]:
    """The splits train (16,551 images), test (4,952) and, where asked for, val.

    Args:
        n_val: training images that are held out for validation.
        data_seed: of that choice.
        root: folder that holds VOCdevkit; default `voc` below the data root.

    Raises:
        UserError: a list that is not there or cannot be read, or no image of it is there.
    """
    place = data_root() / FOLDER if root is None else Path(root)
    train = read_split(place, TRAIN)
    return hold_out(train, n_val, data_seed) | {"test": read_split(place, TEST)}


def listed(root: Path, year: str, split: str) -> list[str]:
    """Names of the images of a split, without ending.

    Raises:
        BadFileError: the list is not there, cannot be read or holds no names.
    """
    return names_in(root / DEVKIT / year / "ImageSets" / "Main" / f"{split}.txt", "voc0712")


def read_split(root: Path, parts: Sequence[tuple[str, str]]) -> BoxSplit:
    """Published splits, (year, name) of each, as one."""
    rows = BoxRows(root, flags={"crowd": torch.bool, "difficult": torch.bool})
    for year, split in parts:
        for name in listed(root, year, split):
            _add(rows, f"{DEVKIT}/{year}", name)
    words = ", ".join(f"{year} {split}" for year, split in parts)
    return rows.split(CLASSES, f"{root / DEVKIT} ({words})")


def _add(rows: BoxRows, home: str, name: str) -> None:
    """Adds an image with its objects; what is broken is noted and left out."""
    file = f"{home}/Annotations/{name}.xml"
    try:
        tree = ElementTree.parse(rows.root / file).getroot()
    except (OSError, ElementTree.ParseError) as error:
        reason = getattr(error, "strerror", None) or error
        rows.problems.add("unreadable", f"{file} ({reason})")
        return
    height, width = (_number(tree.find("size"), side) for side in ("height", "width"))
    sides = [int(side) if math.isfinite(side) else 0 for side in (height, width)]
    image = rows.image(f"{home}/JPEGImages/{name}.jpg", *sides)
    if image is None:
        return
    for number, thing in enumerate(tree.findall("object"), start=1):
        _add_object(rows, image, thing, f"object {number}")


def _add_object(rows: BoxRows, image: int, thing: ElementTree.Element, where: str) -> None:
    label, box = (thing.findtext("name") or "").strip(), thing.find("bndbox")
    named = f"{where} of {rows.name(image)}"
    if not label or box is None or any(box.find(corner) is None for corner in CORNERS):
        rows.problems.add("missing_field", named)
    elif label not in CLASSES:
        rows.problems.add("unknown_category", f"{named} ({label})")
    else:
        x1, y1, x2, y2 = (_number(box, corner) for corner in CORNERS)
        flags = [0, _number(thing, "difficult") == 1]
        rows.box(image, (x1 - 1, y1 - 1, x2, y2), CLASSES.index(label), flags, where)


def _number(parent: ElementTree.Element | None, tag: str) -> float:
    """What a tag says; not a number where it says none."""
    text = parent.findtext(tag) if parent is not None else None
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
