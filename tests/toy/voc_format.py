"""A miniature of PASCAL VOC 2012 and SBD, in their own formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from real_formats import write_jpeg

VOC, SBD = "VOCdevkit/VOC2012", "benchmark_RELEASE/dataset"


def mask_of(number: int, size: tuple[int, int]) -> np.ndarray:
    """Background, a block of a class that depends on the number, a rim of void; size is w, h."""
    width, height = size
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[2 : height // 2, 2 : width // 2] = 255
    mask[3 : height // 2 - 1, 3 : width // 2 - 1] = 1 + number % 20
    return mask


def write_png_mask(path: Path, mask: np.ndarray) -> None:
    """An indexed PNG with some palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask).convert("P")
    image.putpalette([value % 256 for value in range(768)])
    image.putdata(mask.flatten().tolist())
    image.save(path)


def write_mat_mask(path: Path, mask: np.ndarray) -> None:
    """A struct GTcls with its fields, as SBD has them."""
    from scipy.io import savemat

    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"Boundaries": np.zeros((20, 1)), "Segmentation": mask}
    savemat(path, {"GTcls": fields | {"CategoriesPresent": np.unique(mask)}}, do_compression=True)


def write_voc(folder: Path) -> Path:
    """VOC: train v0 v1 v2, val v3 v4; SBD: train v0 s5 s6, val v3 s7; image n is 40 + n wide."""
    voc, sbd = folder / VOC, folder / SBD
    lists = {voc / "ImageSets/Segmentation": ([0, 1, 2], [3, 4]), sbd: ([0, 5, 6], [3, 7])}
    for place, (train, val) in lists.items():
        place.mkdir(parents=True)
        for split, numbers in (("train", train), ("val", val)):
            (place / f"{split}.txt").write_text("".join(f"{name_of(n)}\n" for n in numbers))
    for number in range(8):
        size = (40 + number, 32)
        if number < 5:
            write_jpeg(voc / f"JPEGImages/{name_of(number)}.jpg", number, size)
            write_png_mask(voc / f"SegmentationClass/{name_of(number)}.png", mask_of(number, size))
        if number in (0, 3, 5, 6, 7):
            write_jpeg(sbd / f"img/{name_of(number)}.jpg", number, size)
            mask = mask_of(number, size)
            write_mat_mask(sbd / f"cls/{name_of(number)}.mat", np.where(mask == 255, 0, mask))
    return folder


def name_of(number: int) -> str:
    """Name of an image, without ending."""
    return f"2008_{number:06}"
