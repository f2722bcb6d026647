"""Miniature detection data sets in the publishers' own formats; every writer returns its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from real_formats import write_jpeg

COCO_CATEGORIES = ({"id": 1, "name": "person"}, {"id": 13, "name": "stop sign"},
                   {"id": 90, "name": "toothbrush"})  # fmt: skip


def coco_file(images: Sequence[dict[str, Any]], annotations: Sequence[dict[str, Any]]) -> Any:
    """What an instances file holds."""
    licence = {"id": 1, "name": "none", "url": ""}
    return {
        "info": {"year": 2017},
        "licenses": [licence],
        "images": list(images),
        "annotations": list(annotations),
        "categories": list(COCO_CATEGORIES),
    }


def coco_image(number: int, name: str, size: tuple[int, int] = (40, 32)) -> dict[str, Any]:
    """An entry of images; size is width, height."""
    return {"id": number, "file_name": name, "width": size[0], "height": size[1], "license": 1}


def coco_box(number: int, image: int, box: Sequence[float], **more: Any) -> dict[str, Any]:
    """An entry of annotations; the box is x, y, width, height."""
    x, y, w, h = box
    entry = {"id": number, "image_id": image, "category_id": 13, "bbox": [x, y, w, h]}
    polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return entry | {"iscrowd": 0, "area": w * h, "segmentation": polygon} | more


def write_coco_file(folder: Path, split: str, content: Any) -> Path:
    """The instances file of a split."""
    path = folder / "annotations" / f"instances_{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def coco_2017(folder: Path) -> Path:
    """Training images 3, 5 (empty) and 7, validation images 2 and 9; 40x32 pixels."""
    for split, numbers in (("train2017", (3, 5, 7)), ("val2017", (2, 9))):
        for number in numbers:
            write_jpeg(folder / split / f"{number:012}.jpg", number)
        images = [coco_image(number, f"{number:012}.jpg") for number in reversed(numbers)]
        write_coco_file(folder, split, coco_file(images, coco_boxes(numbers)))
    return folder


def coco_boxes(numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Two boxes and a crowd on each image but image 5."""
    boxes = []
    for n in (n for n in numbers if n != 5):
        boxes.append(coco_box(10 * n, n, (n, 1, 10, 20)))
        boxes.append(coco_box(10 * n + 1, n, (20.5, 4, 8, 6.25), category_id=90))
        crowd = {"counts": [0, 32 * 10, 32 * 30], "size": [32, 40]}
        boxes.append(
            coco_box(10 * n + 2, n, (0, 0, 10, 32), category_id=1, iscrowd=1, segmentation=crowd)
        )
    return boxes


def coco_2014(folder: Path) -> Path:
    """The same images as `coco_2017` under their names of 2014; 7 is of val2014, not of minival."""
    for split, numbers in (("train2014", (3, 5)), ("val2014", (2, 7, 9))):
        names = {number: f"COCO_{split}_{number:012}.jpg" for number in numbers}
        for number, name in names.items():
            write_jpeg(folder / split / name, number)
        images = [coco_image(number, name) for number, name in names.items()]
        write_coco_file(folder, split, coco_file(images, coco_boxes(numbers)))
    images = [coco_image(number, f"COCO_val2014_{number:012}.jpg") for number in (2, 9)]
    write_coco_file(folder, "minival2014", coco_file(images, coco_boxes((2, 9))))
    return folder


VocObject = tuple[str, Sequence[object], int]


def voc_xml(name: str, objects: Sequence[VocObject], size: tuple[int, int] = (40, 32)) -> str:
    """An annotation: name, corners from 1, and whether it is difficult, of each object."""
    lines = [f"<annotation><filename>{name}.jpg</filename>"]
    lines += [f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"]
    for label, box, difficult in objects:
        tags = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        corners = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
        part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
        lines += [f"<object><name>{label}</name><difficult>{difficult}</difficult>"]
        lines += [f"<bndbox>{corners}</bndbox>{part}</object>"]
    return "\n".join([*lines, "</annotation>"])


def write_voc_boxes(folder: Path) -> Path:
    """VOC2007 trainval 1 2 (empty), test 3; VOC2012 trainval 4."""
    lists = {"VOC2007": {"trainval": (1, 2), "test": (3,)}, "VOC2012": {"trainval": (4,)}}
    splits = [(year, split, some) for year, of in lists.items() for split, some in of.items()]
    for year, split, numbers in splits:
        home = folder / "VOCdevkit" / year
        for inner in ("ImageSets/Main", "Annotations"):
            (home / inner).mkdir(parents=True, exist_ok=True)
        names = [f"{number:06}" for number in numbers]
        (home / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n")
        for number, name in zip(numbers, names, strict=True):
            write_jpeg(home / "JPEGImages" / f"{name}.jpg", number)
            objects = [("dog", (1, 1, 40, 32), 0), ("person", (5, 6, 14, 20), number % 2)]
            text = voc_xml(name, objects if number != 2 else [])
            (home / "Annotations" / f"{name}.xml").write_text(text)
    return folder


def bike_part(state: str, left: float, top: float, width: float, height: float) -> dict[str, Any]:
    """What DelftBikes tells of a part."""
    box = {"left": left, "top": top, "width": width, "height": height}
    return {"object_state": state, "absolute_bounding_box": box, "trust": 1.0}


def bike(parts: dict[str, Any], size: tuple[int, int] = (40, 32)) -> dict[str, Any]:
    """What DelftBikes tells of an image; size is width, height."""
    return {"image": {"channels": 3, "height": size[1], "width": size[0]}, "parts": parts}


def write_delftbikes(folder: Path) -> Path:
    """Four training and two test images with four parts, each in one of the states."""
    for split, count in (("train", 4), ("test", 2)):
        told = {}
        for n in range(count):
            write_jpeg(folder / split / f"{split}_{n}.jpg", n)
            told[f"{split}_{n}.jpg"] = bike(
                {
                    "saddle": bike_part("intact", 4 + n, 2, 8, 4),
                    "bell": bike_part("absent", 20, 3 + n, 4, 4),
                    "chain": bike_part("occluded", 10, 20, 12, 5),
                    "front_wheel": bike_part("damaged", 22, 12, 16, 16),
                }
            )
        (folder / f"{split}_annotations.json").write_text(json.dumps(told))
    return folder
