"""Files of PASCAL VOC 2007 and 2012 with boxes; addresses and checksums are torchvision's."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.files.boxes import check_split
from thesisbench.data.files.fetch import FetchError, download, unpack
from thesisbench.data.files.sources import Checked, Say
from thesisbench.data.voc_boxes import DEVKIT, listed, read_split

COUNTS = {("VOC2007", "trainval"): 5011, ("VOC2007", "test"): 4952, ("VOC2012", "trainval"): 11_540}
ARCHIVES = {"2007": ("VOC2007", "trainval"), "2007-test": ("VOC2007", "test"),
            "2012": ("VOC2012", "trainval")}  # fmt: skip


def archives() -> dict[tuple[str, str], tuple[str, str, str]]:
    """Published split -> address, file name and md5 of its archive, as torchvision knows them."""
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    known = {split: DATASET_YEAR_DICT[key] for key, split in ARCHIVES.items()}
    return {split: (of["url"], of["filename"], of["md5"]) for split, of in known.items()}


def prepare(name: str, folder: Path, say: Say) -> list[str]:
    """Downloads and unpacks the archives whose lists are not there."""
    del name
    left = []
    for (year, split), (url, file, md5) in archives().items():
        if _has(folder, year, split):
            continue
        inner = f"{DEVKIT}/{year}"
        try:
            download([url], folder / file, f"md5:{md5}")
            _add(folder / file, folder / inner, split)
        except FetchError as error:
            left.append(f"{error}; its folder {inner}, unpacked, belongs in {folder / inner}")
            continue
        (folder / file).unlink()
        say(f"{folder / inner} has {split}")
    return left


def _has(folder: Path, year: str, split: str) -> bool:
    try:
        return bool(listed(folder, year, split))
    except BadFileError:
        return False


def _add(archive: Path, place: Path, split: str) -> None:
    """Adds an archive to the folder of its year, which another may share; the list comes last."""
    if not place.exists():
        unpack(archive, place, inside=f"{DEVKIT}/{place.name}")
        return
    new = place.with_name(f".{place.name}.new")
    if not new.exists():
        unpack(archive, new, inside=f"{DEVKIT}/{place.name}")
    ready = new / "ImageSets" / "Main" / f"{split}.txt"
    files = sorted(path for path in new.rglob("*") if path.is_file() and path != ready)
    for path in [*files, *([ready] if ready.exists() else [])]:
        target = place / path.relative_to(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    for path in sorted(new.rglob("*"), reverse=True):
        path.rmdir()
    new.rmdir()


def verify(name: str, folder: Path, *, decode: bool) -> Checked:
    """Counts and checks each published split; with `decode`, reads all images."""
    del name
    checked = Checked()
    for (year, split), wanted in COUNTS.items():
        read = partial(read_split, folder, [(year, split)])
        check_split(checked, f"{year} {split}", read, wanted, decode=decode)
    return checked
