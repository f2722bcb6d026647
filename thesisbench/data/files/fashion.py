"""Files of Fashion-MNIST: addresses and checksums are torchvision's."""

from __future__ import annotations

import gzip
from pathlib import Path

from thesisbench.data.fashion_mnist import CLASSES, RAW, read_fashion_mnist
from thesisbench.data.files.fetch import download, fits
from thesisbench.data.files.sources import Checked, Say
from thesisbench.errors import UserError

TRAIN, TEST = 60_000, 10_000


def prepare(name: str, folder: Path, say: Say) -> list[str]:
    """Downloads the four files."""
    from torchvision.datasets import FashionMNIST

    del name
    for file, md5 in FashionMNIST.resources:
        path = folder / RAW / file
        if not path.exists() and not path.with_suffix("").exists():
            download([mirror + file for mirror in FashionMNIST.mirrors], path, f"md5:{md5}")
            say(f"{path} made")
    return []


def verify(name: str, folder: Path, *, decode: bool) -> Checked:
    """Checksums of the packed files, and the number of images and classes."""
    from torchvision.datasets import FashionMNIST

    del name, decode
    checked = Checked()
    for file, md5 in FashionMNIST.resources:
        _check_file(folder / RAW / file, md5, checked)
    if any("no file" in problem for problem in checked.problems):
        return checked
    try:
        splits = read_fashion_mnist(folder)
    except UserError as error:
        checked.problems.append(str(error))
        return checked
    for split, wanted in (("train", TRAIN), ("test", TEST)):
        checked.expect(f"{split} images", len(splits[split][0]), wanted)
        checked.expect(f"{split} classes", len(splits[split][1].unique()), CLASSES)
    return checked


def _check_file(path: Path, md5: str, checked: Checked) -> None:
    """Notes what is wrong with a packed file; of an unpacked one only whether it is there."""
    if not path.exists():
        if not path.with_suffix("").exists():
            checked.problems.append(f"no file {path}")
        return
    if not fits(path, f"md5:{md5}"):
        checked.problems.append(f"{path}: other checksum than published; fetch it anew")
    try:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
    except (OSError, EOFError) as error:
        checked.problems.append(f"{path}: {error}; fetch it anew")
