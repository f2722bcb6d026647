"""Files of PASCAL VOC 2012 and of SBD: one archive each; addresses are torchvision's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.files.each import problems_of
from thesisbench.data.files.fetch import FetchError, download, unpack
from thesisbench.data.files.sources import Checked, Say
from thesisbench.data.image_files import read_image
from thesisbench.data.mask_files import PairList, read_mask, size_problem
from thesisbench.data.voc import SBD, VOC, listed, voc_splits

T = TypeVar("T")
COUNTS = {"train": 10_582, "val": 1449}
LISTS = {(VOC, "train"): 1464, (VOC, "val"): 1449, (SBD, "train"): 8498, (SBD, "val"): 2857}


def archives() -> dict[str, tuple[str, str, str]]:
    """Folder -> address, file name and md5 of its archive, as torchvision knows them."""
    from torchvision.datasets import SBDataset
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    voc = DATASET_YEAR_DICT["2012"]
    return {
        "VOCdevkit": (voc["url"], voc["filename"], voc["md5"]),
        "benchmark_RELEASE": (SBDataset.url, SBDataset.filename, SBDataset.md5),
    }


def prepare(name: str, folder: Path, say: Say) -> list[str]:
    """Downloads and unpacks the archives whose folders are not there."""
    del name
    left = []
    for inner, (url, file, md5) in archives().items():
        if (folder / inner).is_dir():
            continue
        try:
            download([url], folder / file, f"md5:{md5}")
            unpack(folder / file, folder / inner, inside=inner)
        except FetchError as error:
            left.append(f"{error}; its folder {inner}, unpacked, belongs in {folder}")
            continue
        (folder / file).unlink()
        say(f"{folder / inner} made")
    return left


def verify(name: str, folder: Path, *, decode: bool) -> Checked:
    """Counts lists and splits, and looks for all files; with `decode`, reads images and masks."""
    del name
    checked = Checked()
    for (home, split), wanted in LISTS.items():
        title = f"{home.partition('/')[0]} {split} list"
        try:
            checked.expect(title, len(listed(folder, home, split)), wanted)
        except BadFileError as error:
            checked.problems.append(str(error))
    if len(checked.counts) < len(LISTS):
        return checked
    for split, pairs in voc_splits(root=str(folder)).items():
        checked.expect(f"{split} images", len(pairs), COUNTS[split])
        checked.problems += broken_pairs(pairs, split, decode=decode)
    return checked


def broken_pairs(pairs: PairList, title: str, *, decode: bool) -> list[str]:
    """One line for each image or mask that is missing and, with `decode`, broken or unfit.

    Args:
        pairs: to look at.
        title: of the bar that shows how far it is.
        decode: whether files are read, too.
    """

    def look(index: int) -> list[str]:
        image, mask = pairs.paths(index)
        if not decode:
            return [f"no file {path}" for path in (image, mask) if not path.is_file()]
        problems: list[str] = []
        picture = _try(lambda: read_image(image), problems)
        labels = _try(lambda: read_mask(mask, pairs.classes), problems)
        if picture is not None and labels is not None:
            unlike = size_problem(picture, labels, image, mask)
            problems += [unlike] if unlike else []
        return problems

    return problems_of(look, range(len(pairs)), title)


def _try(read: Callable[[], T], problems: list[str]) -> T | None:
    """What is read; None where that fails, and why is added to the problems."""
    try:
        return read()
    except BadFileError as error:
        problems.append(str(error))
        return None
