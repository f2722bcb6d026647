"""COCO detection: `instances_*.json` and folders of images, under the names of 2017 or 2014.

Lin et al. 2014. Kayhan, chapter 3, tests on the 5,000 images of "COCO 2014 minival", which the
detection community held out of val2014. They are exactly the images of val2017, and train2017 is
all of train2014 and val2014 without them (Detectron's notes on its data sets say so, and so did the
publishers of COCO in 2017). So the list of minival is that of the ids in `instances_val2017.json`,
or in `instances_minival2014.json`, whichever is there, and an image of id 391895 is
`val2017/000000391895.jpg` or `val2014/COCO_val2014_000000391895.jpg`.

*Deviations*. The list `5k.part` that the published weights of YOLOv3 were held out from is another
one: those weights have seen images of minival. Categories have ids from 1 to 90 with gaps; labels
number the 80 that there are from 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from thesisbench.data.annotation_check import read_json
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.box_rows import BoxRows
from thesisbench.data.coco_instances import (
    Instances,
    MaskedInstances,
    add_instances,
    category_names,
)
from thesisbench.data.detection_files import BoxSplit, hold_out
from thesisbench.errors import UserError, unknown
from thesisbench.store.runs import data_root

FOLDER = "coco"
LAYOUTS = ("auto", "2017", "2014")
MINIVAL = ("instances_val2017.json", "instances_minival2014.json")
HINT = f"run `thesisbench data prepare {FOLDER}`"


def coco_splits(
    *,
    layout: str = "auto",
    masks: bool = False,
    n_val: int | None = None,
    data_seed: int = 0,
    root: str | None = None,
) -> dict[str, BoxSplit]:
    """The splits train (118,287 images) and val (5,000, which are those of minival).

    Args:
        layout: 2017 for the folders train2017 and val2017, 2014 for train2014 and val2014, which
            hold the same images under other names; auto for the one that is there.
        masks: read the masks of objects, too; they take some hundred MB of memory.
        n_val: held out of the training images for validation, then the 5,000 are called test; null
            for none, and the 5,000 are val.
        data_seed: of that choice.
        root: folder that holds annotations and the folders of images; default `coco` below the
            data root.

    Raises:
        UserError: unknown layout; files that are not there or cannot be read.
    """
    if layout not in LAYOUTS:
        raise UserError(unknown("layout", layout, LAYOUTS))
    place = data_root() / FOLDER if root is None else Path(root)
    if layout == "auto":
        layout = "2017" if (place / "val2017").is_dir() else "2014"
    if layout == "2017":
        train = read_split(place, ["train2017"], masks=masks)
        test = read_split(place, ["val2017"], masks=masks)
    else:
        train = read_split(place, ["train2014", "val2014"], masks=masks, without=minival_ids(place))
        test = minival(place, masks=masks)
    if train.classes != test.classes:
        raise BadFileError(f"{place / 'annotations'}: files of other categories; fetch them anew")
    if n_val is None:
        return {"train": train, "val": test}
    return hold_out(train, n_val, data_seed) | {"test": test}


def annotation_file(root: Path, name: str) -> Path:
    """The file of a split such as train2017, or of a name such as instances_x.json."""
    file = name if name.endswith(".json") else f"instances_{name}.json"
    return root / "annotations" / file


def minival_file(root: Path) -> Path:
    """The annotations of the 5,000 images of minival.

    Raises:
        BadFileError: neither file is there.
    """
    places = [annotation_file(root, name) for name in MINIVAL]
    for path in places:
        if path.exists():
            return path
    text = f"neither {places[0]} nor {places[1].name}, which list minival"
    raise BadFileError(f"{text}; {HINT}")


def minival_ids(root: Path) -> frozenset[int]:
    """The ids of the 5,000 images of minival."""
    found = read_json(minival_file(root), Instances, HINT)
    return frozenset(image.id for image in found.images)


def minival(root: Path, *, masks: bool = False) -> BoxSplit:
    """The 5,000 images under their names of 2014."""
    path = minival_file(root)
    rows = BoxRows(root, flags={"crowd": torch.bool}, masks=masks)
    found: Any = read_json(path, MaskedInstances if masks else Instances, HINT)
    for image in found.images:
        image.file_name = f"COCO_val2014_{image.id:012}.jpg"
    add_instances(rows, found, "val2014", without=frozenset())
    return rows.split(category_names(found), str(path))


def read_split(
    root: Path,
    names: Iterable[str],
    *,
    masks: bool = False,
    without: frozenset[int] = frozenset(),
) -> BoxSplit:
    """One or more published splits as one.

    Args:
        root: folder that holds annotations and the folders of images.
        names: such as train2017, of the file of annotations and of the folder of images.
        masks: read them, too.
        without: ids of images to leave out.
    """
    rows = BoxRows(root, flags={"crowd": torch.bool}, masks=masks)
    classes: tuple[str, ...] = ()
    for name in names:
        path = annotation_file(root, name)
        found: Any = read_json(path, MaskedInstances if masks else Instances, HINT)
        if classes and classes != category_names(found):
            raise BadFileError(f"{path} has other categories than the file before it")
        classes = category_names(found)
        add_instances(rows, found, name, without=without)
    return rows.split(classes, f"{root} ({', '.join(names)})")
