"""What is wrong with the annotations of a detection data set: found, counted and left out.

A broken annotation never ends a training. What can be mended (a box that reaches beyond its image)
is mended, the rest is left out; records count both by kind, and `thesisbench data verify` names
them. Only a file that cannot be read at all is an error.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesisbench.data.bad_file import BadFileError

SLACK = 1.0  # pixels beyond the image that rounding explains
SHOWN = 5  # examples of each kind
KINDS: Mapping[str, str] = {
    "missing_image": "images without a file, left out",
    "unreadable": "images whose annotations cannot be read, left out",
    "no_size": "images without a width and height, left out",
    "size": "images of another size than annotated",
    "duplicate_image": "images that are listed again, of which the first counts",
    "duplicate_annotation": "annotations whose id is there again, of which the first counts",
    "unknown_image": "annotations of images that are not listed, left out",
    "unknown_category": "annotations of an unknown category, left out",
    "unknown_state": "annotations of an unknown state, left out",
    "missing_field": "annotations that lack a field, left out",
    "not_a_box": "boxes that are not four numbers, left out",
    "not_finite": "boxes with a number that is not finite, left out",
    "no_area": "boxes without area, left out",
    "outside": "boxes outside their image, left out",
    "clipped": "boxes that reach beyond their image, cut off at its border",
    "bad_mask": "annotations whose mask cannot be read, left out",
}
MENDED = ("no_area", "outside", "clipped")  # publishers' own files have some of these
BOX_KINDS = ("", "not_finite", "no_area", "outside", "clipped")  # what `check_boxes` tells

T = TypeVar("T")


class Problems:
    """What was found wrong, counted by kind, with the first few of each.

    >>> found = Problems()
    >>> found.add("no_area", "annotation 7 of a.jpg")
    >>> found.lines()
    ['1 boxes without area, left out: annotation 7 of a.jpg']
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._first: dict[str, list[str]] = {}

    def add(self, kind: str, where: str) -> None:
        """Counts one.

        Args:
            kind: of `KINDS`.
            where: names it.
        """
        assert kind in KINDS, kind
        self.counts[kind] += 1
        some = self._first.setdefault(kind, [])
        if len(some) < SHOWN:
            some.append(where)

    def told(self) -> dict[str, int]:
        """Kind -> how many, in the order of `KINDS`."""
        return {kind: self.counts[kind] for kind in KINDS if self.counts[kind]}

    def lines(self, *, mended: bool | None = None) -> list[str]:
        """One line for each kind: how many, and the names of the first.

        Args:
            mended: only the kinds of `MENDED`, or only the others; None for all.
        """
        told = []
        for kind, number in self.told().items():
            if mended is not None and mended is not (kind in MENDED):
                continue
            shown = self._first[kind]
            more = f" and {number - len(shown):,} more" if number > len(shown) else ""
            told.append(f"{number:,} {KINDS[kind]}: {', '.join(shown)}{more}")
        return told


def check_boxes(
    boxes: Float[Tensor, "n 4"], sizes: Int[Tensor, "n 2"]
) -> tuple[Float[Tensor, "n 4"], Int[Tensor, " n"]]:
    """Boxes cut off at the border of their images, and what is wrong with each.

    Args:
        boxes: x1, y1, x2, y2 in pixels.
        sizes: height and width of the image of each.

    Returns:
        The boxes; places in `BOX_KINDS`, 0 for nothing. Kinds 1 to 3 leave no box to use.

    >>> boxes = torch.tensor([[-4.0, 0, 3, 9], [5, 5, 5, 9]])
    >>> cut, wrong = check_boxes(boxes, torch.tensor([[10, 10], [10, 10]]))
    >>> cut[0].tolist(), [BOX_KINDS[i] for i in wrong]
    ([0.0, 0.0, 3.0, 9.0], ['clipped', 'no_area'])
    """
    ends = sizes.flip(1).repeat(1, 2).to(boxes.dtype)  # width, height, width, height
    cut = boxes.clamp(min=0).minimum(ends)
    beyond = ((boxes < -SLACK) | (boxes > ends + SLACK)).any(1)
    wrong = torch.where(beyond, BOX_KINDS.index("clipped"), 0)
    wrong[_empty(cut)] = BOX_KINDS.index("outside")
    wrong[_empty(boxes)] = BOX_KINDS.index("no_area")
    wrong[~boxes.isfinite().all(1)] = BOX_KINDS.index("not_finite")
    return cut, wrong


def _empty(boxes: Float[Tensor, "n 4"]) -> Tensor:
    return (boxes[:, 2:] <= boxes[:, :2]).any(1)


def four_numbers(values: Sequence[object]) -> bool:
    """Whether a box is given by four numbers."""
    plain = [isinstance(v, int | float) and not isinstance(v, bool) for v in values]
    return len(plain) == 4 and all(plain)


def read_json(path: Path, kind: type[T], hint: str) -> T:
    """A JSON file of a known form; NaN and Infinity, which JSON has not, are read as numbers.

    Args:
        path: of the file.
        kind: what it holds, a type of msgspec; fields that it does not name are skipped.
        hint: what to do where the file is not there.

    Raises:
        BadFileError: not there, no JSON, or of another form; the line says at which place.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadFileError(f"no file {path}; {hint}") from None
    except OSError as error:
        raise BadFileError(f"cannot read {path}: {error.strerror}") from error
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise BadFileError(f"{path} is not as expected: {error}; fetch it anew") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _loosely(path, content, kind)


def _loosely(path: Path, content: bytes, kind: type[T]) -> T:
    """As Python writes JSON; its errors tell line and column."""
    try:
        return msgspec.convert(json.loads(content), kind)
    except msgspec.ValidationError as error:
        raise BadFileError(f"{path} is not as expected: {error}; fetch it anew") from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise BadFileError(f"{path} is no JSON: {reason}; fetch it anew") from error
