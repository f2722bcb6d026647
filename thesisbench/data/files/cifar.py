"""Files of CIFAR-10 and CIFAR-100: addresses and checksums are torchvision's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.cifar import LAYOUTS, read_batch
from thesisbench.data.files.fetch import download, fits, unpack
from thesisbench.data.files.sources import Checked, Say

TRAIN, TEST = 50_000, 10_000


def published(name: str) -> Any:
    """What torchvision knows of the files."""
    from torchvision.datasets import CIFAR10, CIFAR100

    return {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]


def prepare(name: str, folder: Path, say: Say) -> list[str]:
    """Downloads and unpacks the archive."""
    place = folder / LAYOUTS[name].folder
    if place.is_dir():
        say(f"{place} is there")
        return []
    known = published(name)
    archive = folder / known.filename
    download([known.url], archive, f"md5:{known.tgz_md5}")
    unpack(archive, place, inside=known.base_folder)
    archive.unlink()
    say(f"{place} made")
    return []


def verify(name: str, folder: Path, *, decode: bool) -> Checked:
    """Checksums of all files, and the number of images and classes in them."""
    del decode  # reading them is quick
    layout, known, checked = LAYOUTS[name], published(name), Checked()
    place = folder / layout.folder
    checksums = {file: f"md5:{md5}" for file, md5 in (*known.train_list, *known.test_list)}
    for split, files, wanted in (("train", layout.train, TRAIN), ("test", layout.test, TEST)):
        seen: list[int] = []
        for file in files:
            seen += _labels(place / file, checksums[file], name, checked)
        checked.expect(f"{split} images", len(seen), wanted)
        checked.expect(f"{split} classes", len(set(seen)), layout.classes)
    return checked


def _labels(path: Path, checksum: str, name: str, checked: Checked) -> list[int]:
    """Labels of one file; what is wrong with it is noted."""
    if path.exists() and not fits(path, checksum):
        checked.problems.append(f"{path}: other checksum than published; fetch it anew")
    try:
        labels: list[int] = read_batch(path, LAYOUTS[name])[1].tolist()
    except BadFileError as error:
        checked.problems.append(str(error))
        return []
    return labels
