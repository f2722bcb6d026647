"""Miniature data sets in the publishers' own formats; every writer returns its folder."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write_cifar(folder: Path, name: str = "cifar10", per_file: int = 20) -> Path:
    """Pickled batches; image i of a file is filled with i, its label is i modulo the classes."""
    layout = {
        "cifar10": ("cifar-10-batches-py", [f"data_batch_{i}" for i in range(1, 6)], "test_batch"),
        "cifar100": ("cifar-100-python", ["train"], "test"),
    }
    inner, train, test = layout[name]
    (folder / inner).mkdir(parents=True)
    for file in (*train, test):
        data = np.repeat(np.arange(per_file, dtype=np.uint8)[:, None], 3072, axis=1)
        labels = [i % 10 for i in range(per_file)]
        entry = {"data": data, "labels": labels, "fine_labels": labels, "batch_label": file}
        (folder / inner / file).write_bytes(pickle.dumps(entry, protocol=2))
    return folder


def write_idx(path: Path, array: np.ndarray) -> None:
    """IDX: two zeros, type 8 (unsigned byte), number of axes, sizes, values."""
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def write_fashion_mnist(folder: Path, train: int = 30, test: int = 20) -> Path:
    """Four IDX files; image i is filled with i, its label is i modulo 10."""
    for prefix, n in (("train", train), ("t10k", test)):
        images = np.broadcast_to(np.arange(n)[:, None, None], (n, 28, 28))
        raw = folder / "FashionMNIST" / "raw"
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images)
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", np.arange(n) % 10)
    return folder


def write_jpeg(path: Path, seed: int, size: tuple[int, int] = (40, 32)) -> None:
    """A smooth random image, width and height in pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size).save(path, "JPEG", quality=90)


def truncate(path: Path) -> Path:
    """Cuts a file to its first half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def write_imagenet(
    folder: Path, wnids: Sequence[str] = ("n01", "n02", "n03"), train: int = 4, val: int = 2
) -> Path:
    """Class folders of JPEG files."""
    for label, wnid in enumerate(wnids):
        for i in range(train):
            write_jpeg(folder / "train" / wnid / f"{wnid}_{i}.JPEG", 100 * label + i)
        for i in range(val):
            write_jpeg(folder / "val" / wnid / f"val_{label}_{i}.JPEG", 9000 + 100 * label + i)
    return folder


def write_devkit(folder: Path, wnids: Sequence[str], truth: Sequence[int]) -> None:
    """The development kit: ids of all synsets, of which the last is a parent, and the classes."""
    from scipy.io import savemat

    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("num_children", "O")]
    rows = [(i + 1, wnid, 0) for i, wnid in enumerate(wnids)] + [(1001, "n99", 3)]
    data = folder / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    savemat(data / "meta.mat", {"synsets": np.array(rows, dtype=kind)})
    lines = "".join(f"{number}\n" for number in truth)
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text(lines)


def brown_patch(number: int) -> np.ndarray:
    """Patch of a number: four grey values by pixel parity, so that halving it has a known mean."""
    patch = np.empty((64, 64), dtype=np.uint8)
    for row, column, more in ((0, 0, 0), (0, 1, 4), (1, 0, 8), (1, 1, 12)):
        patch[row::2, column::2] = number + more
    return patch


def write_brown(
    folder: Path,
    scenes: Sequence[str] = ("liberty", "notredame", "yosemite"),
    points: Sequence[int] = (7, 7, 7, 9, 9, 12, 15, 15),
) -> Path:
    """Scenes of two mosaics of 2x3 patches (the last are empty), info.txt and test pairs."""
    for scene in scenes:
        (folder / scene).mkdir(parents=True)
        for file in range(2):
            mosaic = np.zeros((128, 192), dtype=np.uint8)
            for place in range(6):
                number = 6 * file + place
                if number < len(points):
                    y, x = 64 * (place // 3), 64 * (place % 3)
                    mosaic[y : y + 64, x : x + 64] = brown_patch(number)
            Image.fromarray(mosaic).save(folder / scene / f"patches{file:04}.bmp")
        info = "".join(f"{point} 0\n" for point in points)
        (folder / scene / "info.txt").write_text(info)
        pairs = [(0, 1), (3, 5), (6, 7), (2, 6)]
        lines = [f"{a} {points[a]} 0 {b} {points[b]} 0 0\n" for a, b in pairs]
        (folder / scene / "m50_100000_100000_0.txt").write_text("".join(lines))
    return folder


def write_office31(folder: Path, classes: Sequence[str], per_class: int = 2) -> Path:
    """Domains of class folders of JPEG files; images of all sizes, numbered as published."""
    for number, domain in enumerate(("amazon", "dslr", "webcam")):
        for label, name in enumerate(classes):
            for i in range(per_class):
                path = folder / domain / "images" / name / f"frame_{i + 1:04}.jpg"
                write_jpeg(path, 10_000 * number + 100 * label + i, (36 + 4 * i, 40))
    return folder
