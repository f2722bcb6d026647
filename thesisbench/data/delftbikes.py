"""DelftBikes: photographs of one bicycle each, with a box and a state for each of 22 parts.

Kayhan, chapter 4 (Kayhan, Vredebregt, van Gemert, ICIP 2021). A folder holds `train` and `test`
with the images, `train_annotations.json` and `test_annotations.json`: name of an image ->
`image` (height, width) and `parts`: name of a part -> `object_state` and `absolute_bounding_box`
(left, top, width, height). Parts that are absent or occluded have a box at their likely place.

*Deviations*. The thesis prints neither the list of parts nor the names of files and fields; these
are what public programs read that load the set (the toolkit of the VIPriors challenge, which was
held on it). That challenge gives no true labels of its test images: `fake_test_annotations.json`
is refused here. It trains on occluded parts, too, the thesis on intact and damaged ones only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch

from thesisbench.data.annotation_check import four_numbers, read_json
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.box_rows import BoxRows
from thesisbench.data.detection_files import BoxSplit, hold_out
from thesisbench.store.runs import data_root

FOLDER = "delftbikes"
PARTS = (
    *("back_hand_break", "back_handle", "back_light", "back_mudguard", "back_pedal"),
    *("back_reflector", "back_wheel", "bell", "chain", "dress_guard", "dynamo"),
    *("front_handbreak", "front_handle", "front_light", "front_mudguard", "front_pedal"),
    *("front_wheel", "gear_case", "kickstand", "lock", "saddle", "steer"),
)
STATES = ("intact", "damaged", "absent", "occluded")
SIDES = ("left", "top", "width", "height")
FAKE = "fake_test_annotations.json"
FORM = (
    "expected: name of an image -> image: {height, width}, parts: {name of a part -> "
    "{object_state, absolute_bounding_box: {left, top, width, height}}}"
)


class Size(msgspec.Struct):
    """Of an image, in pixels."""

    height: int = 0
    width: int = 0


class Bike(msgspec.Struct):
    """What is told of an image."""

    image: Size
    parts: dict[str, dict[str, Any]]


def delftbikes_splits(
    *, n_val: int = 0, data_seed: int = 0, root: str | None = None
) -> dict[str, BoxSplit]:
    """The splits train (8,000 images), test (2,000) and, where asked for, val.

    Args:
        n_val: training images that are held out for validation.
        data_seed: of that choice.
        root: folder of the data set; default `delftbikes` below the data root.

    Raises:
        UserError: files that are not there, cannot be read, or have another form.
    """
    place = data_root() / FOLDER if root is None else Path(root)
    train = read_split(place, "train")
    return hold_out(train, n_val, data_seed) | {"test": read_split(place, "test")}


def read_split(root: Path, name: str) -> BoxSplit:
    """A published split, train or test.

    Raises:
        BadFileError: its file is not there, cannot be read or has another form.
    """
    path = root / f"{name}_annotations.json"
    if name == "test" and not path.exists() and (root / FAKE).exists():
        text = f"no file {path}; {FAKE} has no true labels: it only serves submissions"
        raise BadFileError(f"{text} to a challenge; fetch the data set of the authors")
    hint = f"run `thesisbench data prepare {FOLDER}`"
    try:
        bikes = read_json(path, dict[str, Bike], hint)
    except BadFileError as error:
        words = f"{error} ({FORM})" if "not as expected" in str(error) else str(error)
        raise BadFileError(words) from error
    rows = BoxRows(root, flags={"crowd": torch.bool, "state": torch.long})
    for file, bike in bikes.items():
        image = rows.image(f"{name}/{file}", bike.image.height, bike.image.width)
        for part, told in bike.parts.items() if image is not None else ():
            _add(rows, image, part, told)
    split = rows.split(PARTS, str(path))
    if not len(split.labels) and split.problems.counts["missing_field"]:
        raise BadFileError(f"{path} has no part that can be read; {FORM}")
    return split


def _add(rows: BoxRows, image: Any, part: str, told: Mapping[str, Any]) -> None:
    """Adds a part; what is broken is noted and left out."""
    state, box = told.get("object_state"), told.get("absolute_bounding_box")
    where = f"{part} of {rows.name(image)}"
    if part not in PARTS:
        rows.problems.add("unknown_category", where)
    elif state is None or not isinstance(box, Mapping) or not set(SIDES) <= set(box):
        rows.problems.add("missing_field", where)
    elif state not in STATES:
        rows.problems.add("unknown_state", f"{where} ({state})")
    elif not four_numbers([box[side] for side in SIDES]):
        rows.problems.add("not_a_box", where)
    else:
        left, top, width, height = (float(box[side]) for side in SIDES)
        corners = (left, top, left + width, top + height)
        rows.box(image, corners, PARTS.index(part), [0, STATES.index(state)], part)
