"""Files of ImageNet, which its publisher gives to those who register; nothing is downloaded.

`prepare` unpacks the published archives and keeps the list of files; `verify` counts and decodes.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.files.each import problems_of
from thesisbench.data.files.fetch import fits, made_whole, unpack
from thesisbench.data.files.sources import Checked, Say
from thesisbench.data.image_files import FORMATS
from thesisbench.data.imagenet200_classes import CLASSES
from thesisbench.data.imagenet_layout import DEVKIT, Names, index_file, listed, scanned, wnids_of
from thesisbench.errors import UserError
from thesisbench.store.files import write_text

SITE = "https://image-net.org/challenges/LSVRC/2012 (after registration)"
N_CLASSES = 1000
COUNTS = {"train": 1_281_167, "val": 50_000}
VAL_PER_CLASS = 50


def archives() -> dict[str, tuple[str, str]]:
    """Part -> file name and md5 of its archive, as torchvision knows them."""
    from torchvision.datasets import imagenet

    known: dict[str, tuple[str, str]] = imagenet.ARCHIVE_META
    return known


def prepare(name: str, folder: Path, say: Say) -> list[str]:
    """Unpacks what archives are there and lists the files of both splits."""
    del name
    left = []
    for part, place in _places(folder).items():
        if place.is_dir():
            continue
        if part == "devkit" and (folder / "val").is_dir() and not _is_flat(folder):
            continue  # classes are known without it
        file, md5 = archives()[part]
        archive = folder / file
        if not archive.exists():
            left.append(
                f"fetch {file} from {SITE} and put it in {folder}, or its images in {place}"
            )
            continue
        if not fits(archive, f"md5:{md5}"):
            raise UserError(f"{archive} is broken (its checksum is not md5 {md5}); fetch it anew")
        _unpack(part, archive, place)
        say(f"{place} made")
    for split in COUNTS:
        if (folder / split).is_dir():
            names = scanned(folder, split)
            write_text(index_file(folder, split), b"".join(n + b"\n" for n in names.tolist()))
            say(f"{index_file(folder, split)} made: {len(names):,} images")
    return left


def _places(folder: Path) -> dict[str, Path]:
    return {"devkit": folder / DEVKIT.parent, "train": folder / "train", "val": folder / "val"}


def _is_flat(folder: Path) -> bool:
    return not any(path.is_dir() for path in (folder / "val").iterdir())


def _unpack(part: str, archive: Path, place: Path) -> None:
    """An archive in its place; that of training images holds an archive a class."""
    if part != "train":
        unpack(archive, place, inside=place.name if part == "devkit" else "")
        return
    with made_whole(place) as partial:
        unpack(archive, partial / ".archives")
        for inner in sorted((partial / ".archives").iterdir()):
            unpack(inner, partial / inner.stem)
            inner.unlink()
        (partial / ".archives").rmdir()


def verify(name: str, folder: Path, *, decode: bool) -> Checked:
    """Counts classes and images; with `decode`, reads every image of the data set."""
    checked = Checked()
    for split in COUNTS:
        try:
            _verify_split(name, folder, split, checked, decode=decode)
        except BadFileError as error:
            checked.problems.append(str(error))
    return checked


def _verify_split(name: str, folder: Path, split: str, checked: Checked, *, decode: bool) -> None:
    names = scanned(folder, split)
    of = wnids_of(folder, split, names)
    if index_file(folder, split).exists() and not np.array_equal(names, listed(folder, split)):
        text = f"{index_file(folder, split)} lists other files than are there"
        checked.problems.append(f"{text}; run `thesisbench data prepare {name}` again")
    wanted_classes, wanted = N_CLASSES, COUNTS[split]
    if name == "imagenet200":
        keep = np.isin(of, np.array([wnid.encode() for wnid in CLASSES]))
        names, of = names[keep], of[keep]
        wanted_classes, wanted = len(CLASSES), len(CLASSES) * VAL_PER_CLASS
    per_class = Counter(of.tolist())
    checked.expect(f"{split} classes", len(per_class), wanted_classes)
    known = None if name == "imagenet200" and split == "train" else wanted
    checked.expect(f"{split} images", len(names), known)
    if split == "val":
        for wnid, count in sorted(per_class.items()):
            if count != VAL_PER_CLASS:
                text = f"{folder / split}: class {wnid.decode()} has {count} images"
                checked.problems.append(f"{text}, not {VAL_PER_CLASS}")
    if decode:
        checked.problems += broken_images(folder / split, names)


def broken_images(folder: Path, names: Names) -> list[str]:
    """One line for each file that is no whole image.

    JPEG files are decoded at an eighth of their size, which reads all of the file.
    """

    def look(name: bytes) -> list[str]:
        path = folder / name.decode()
        try:
            with Image.open(path, formats=FORMATS) as image:
                image.draft("RGB", (image.width // 8, image.height // 8))
                image.load()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            reason = " ".join(str(error).split()).replace(f" '{path}'", "")
            return [f"{path}: {reason}"]
        return []

    return problems_of(look, names.tolist(), folder.name)
