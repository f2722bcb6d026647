"""The file `instances_*.json` of COCO: what it holds, and what of it can be used."""

from __future__ import annotations

from typing import Any

import msgspec

from thesisbench.data.annotation_check import four_numbers
from thesisbench.data.box_rows import BoxRows
from thesisbench.data.coco_masks import is_segmentation


class Image(msgspec.Struct):
    """An entry of `images`."""

    id: int
    file_name: str
    height: int = 0
    width: int = 0


class Category(msgspec.Struct):
    """An entry of `categories`."""

    id: int
    name: str


class Annotation(msgspec.Struct):
    """An entry of `annotations`; the box is x, y, width, height."""

    image_id: int
    category_id: int
    bbox: list[Any]
    id: int | None = None
    iscrowd: int = 0


class Masked(Annotation):
    """One whose mask is read, too."""

    segmentation: Any = None


class Instances(msgspec.Struct):
    """The file without masks."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


class MaskedInstances(msgspec.Struct):
    """The file with masks."""

    images: list[Image]
    annotations: list[Masked]
    categories: list[Category]


def category_names(found: Any) -> tuple[str, ...]:
    """Names of the categories in the order of their ids."""
    return tuple({c.id: c.name for c in sorted(found.categories, key=lambda c: c.id)}.values())


def add_instances(rows: BoxRows, found: Any, folder: str, *, without: frozenset[int]) -> None:
    """Adds what a file tells; broken annotations are noted and left out."""
    numbers: dict[int, int | None] = {}
    for image in found.images:
        if image.id in without:
            numbers[image.id] = None
        elif image.id in numbers:
            rows.problems.add("duplicate_image", f"{folder}/{image.file_name} (id {image.id})")
        else:
            numbers[image.id] = rows.image(f"{folder}/{image.file_name}", image.height, image.width)
    ids = sorted({category.id for category in found.categories})
    labels = {number: label for label, number in enumerate(ids)}
    seen: set[int] = set()
    for annotation in found.annotations:
        if annotation.image_id in numbers and numbers[annotation.image_id] is None:
            continue  # its image is left out
        where = f"annotation {annotation.id}"
        if wrong := _wrong(annotation, numbers, labels, seen, masks=rows.masks):
            rows.problems.add(wrong, where)
            continue
        if annotation.id is not None:
            seen.add(annotation.id)
        number: Any = numbers[annotation.image_id]
        x, y, width, height = map(float, annotation.bbox)
        mask = msgspec.json.encode(annotation.segmentation) if rows.masks else b""
        flags = [annotation.iscrowd != 0]
        label = labels[annotation.category_id]
        # Of most annotations the id will do, which takes less memory than words.
        name = where if annotation.id is None else annotation.id
        rows.box(number, (x, y, x + width, y + height), label, flags, name, mask)


def _wrong(
    annotation: Any, numbers: Any, labels: dict[int, int], seen: set[int], *, masks: bool
) -> str | None:
    """The kind of what is wrong with an annotation beside its numbers."""
    if annotation.id in seen:
        return "duplicate_annotation"
    if annotation.image_id not in numbers:
        return "unknown_image"
    if annotation.category_id not in labels:
        return "unknown_category"
    if not four_numbers(annotation.bbox):
        return "not_a_box"
    if masks and not is_segmentation(annotation.segmentation):
        return "bad_mask"
    return None
