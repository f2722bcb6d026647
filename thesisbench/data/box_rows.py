"""Collects images and boxes of a split while its files are read, and what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thesisbench.data.annotation_check import BOX_KINDS, Problems, check_boxes
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.detection_files import BoxSplit, ImagePaths

_LOST = BOX_KINDS.index("clipped")  # kinds below it, and above 0, leave nothing to use


class BoxRows:
    """Images and boxes of a split.

    Args:
        root: folder that names of images are below.
        flags: names of what is told of each box beside its class, and the types of their values.
        masks: whether boxes come with segmentations.
    """

    def __init__(
        self, root: Path, *, flags: Mapping[str, torch.dtype], masks: bool = False
    ) -> None:
        self.root, self.masks, self.problems = root, masks, Problems()
        self._types = dict(flags)
        self._files: dict[str, set[str]] = {}
        self._names: dict[str, int] = {}
        self._listed: list[str] = []
        self._sizes: list[tuple[int, int]] = []
        self._boxes: list[tuple[int, Sequence[float], int, int | str]] = []
        self._flags: list[Sequence[int]] = []
        self._segmentations: list[bytes] = []

    def image(self, name: str, height: int, width: int) -> int | None:
        """The number of an image; None where it cannot be used, which is noted.

        Args:
            name: its path below the root.
            height: in pixels.
            width: in pixels.
        """
        wrong = None
        if name in self._names:
            wrong = "duplicate_image"
        elif not self._is_file(name):
            wrong = "missing_image"
        elif height < 1 or width < 1:
            wrong = "no_size"
        if wrong:
            self.problems.add(wrong, name)
            return None
        self._names[name] = len(self._listed)
        self._listed.append(name)
        self._sizes.append((height, width))
        return self._names[name]

    def _is_file(self, name: str) -> bool:
        """Whether a file is there; folders are listed once."""
        folder, _, file = name.rpartition("/")
        if folder not in self._files:
            place = self.root / folder
            self._files[folder] = set(os.listdir(place)) if place.is_dir() else set()  # noqa: PTH208
        return file in self._files[folder]

    def name(self, image: int) -> str:
        """The name of an image by its number."""
        return self._listed[image]

    def box(
        self,
        image: int,
        box: Sequence[float],
        label: int,
        flags: Sequence[int],
        where: int | str,
        segmentation: bytes = b"",
    ) -> None:
        """Adds a box.

        Args:
            image: number of its image.
            box: x1, y1, x2, y2 in pixels.
            label: its class.
            flags: values of the flags, in their order.
            where: id of the annotation, or words that name it.
            segmentation: in COCO's JSON, where boxes have masks.
        """
        self._boxes.append((image, box, label, where))
        self._flags.append(flags)
        if self.masks:
            self._segmentations.append(segmentation)

    def split(self, classes: tuple[str, ...], what: str) -> BoxSplit:
        """All images and the boxes that can be used, image by image in the order of their names.

        Args:
            classes: names of the classes.
            what: is read, for errors.

        Raises:
            BadFileError: no image can be used.
        """
        if not self._names:
            text = "; ".join(self.problems.lines()) or "it lists no images"
            raise BadFileError(f"{what} has no image to use: {text}")
        order = sorted(range(len(self._listed)), key=self._listed.__getitem__)
        names = [name.encode() for name in sorted(self._listed)]
        place = torch.empty(len(order), dtype=torch.long)
        place[torch.tensor(order)] = torch.arange(len(order))
        image = place[torch.tensor([row[0] for row in self._boxes], dtype=torch.long)]
        boxes = torch.tensor([row[1] for row in self._boxes], dtype=torch.float64).view(-1, 4)
        sizes = torch.tensor(self._sizes)[order]
        cut, wrong = check_boxes(boxes, sizes[image])
        self._note(wrong)
        rows = ((wrong == 0) | (wrong >= _LOST)).nonzero().flatten()
        rows = rows[image[rows].argsort(stable=True)]
        counts = torch.bincount(image[rows], minlength=len(order))
        labels = torch.tensor([row[2] for row in self._boxes], dtype=torch.long)
        return BoxSplit(
            images=ImagePaths(self.root, np.array(names)),
            sizes=sizes,
            first=torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)]),
            boxes=cut[rows].float(),
            labels=labels[rows],
            flags=self._columns(rows),
            classes=classes,
            segmentations=self._masks(rows),
            problems=self.problems,
        )

    def _note(self, wrong: Tensor) -> None:
        for row in wrong.nonzero().flatten().tolist():
            image, _, _, where = self._boxes[row]
            words = where if isinstance(where, str) else f"annotation {where}"
            self.problems.add(BOX_KINDS[int(wrong[row])], f"{words} of {self._listed[image]}")

    def _columns(self, rows: Tensor) -> dict[str, Tensor]:
        values = torch.tensor(self._flags, dtype=torch.long).view(-1, len(self._types))[rows]
        columns = zip(self._types.items(), values.unbind(1), strict=True)
        return {name: column.to(kind) for (name, kind), column in columns}

    def _masks(self, rows: Tensor) -> tuple[Any, ...] | None:
        if not self.masks:
            return None
        return tuple(self._segmentations[row] for row in rows.tolist())
