"""Files of COCO, whose images are under Flickr's terms; nothing is downloaded.

`prepare` unpacks the archives that are there and says where to fetch the others (the images are
19 GB); `verify` counts, checks annotations and decodes. No checksum of an archive is published.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from thesisbench.data.coco import MINIVAL, annotation_file, minival, read_split
from thesisbench.data.files.boxes import check_split
from thesisbench.data.files.fetch import unpack
from thesisbench.data.files.sources import Checked, Say

SITE = "http://images.cocodataset.org"
COUNTS = {"train2014": 82_783, "val2014": 40_504, "train2017": 118_287, "val2017": 5_000}
ANNOTATIONS = "annotations_trainval{year}.zip"


def _year(folder: Path) -> str:
    """The year whose layout is there, or was begun."""
    begun = ("train2014", "val2014", "train2014.zip", "val2014.zip")
    whole = ("train2017", "val2017", "train2017.zip", "val2017.zip")
    old = any((folder / name).exists() for name in begun)
    return "2014" if old and not any((folder / name).exists() for name in whole) else "2017"


def prepare(name: str, folder: Path, say: Say) -> list[str]:
    """Unpacks the archives that are there; one line for each part that is not."""
    del name
    year = _year(folder)
    parts = {f"zips/{split}{year}.zip": (f"{split}{year}",) * 2 for split in ("train", "val")}
    parts[f"annotations/{ANNOTATIONS.format(year=year)}"] = ("annotations", "annotations")
    left = []
    for address, (inner, inside) in parts.items():
        archive = folder / address.rpartition("/")[2]
        if (folder / inner).is_dir():
            continue
        if not archive.exists():
            text = f"fetch {SITE}/{address} and put it in {folder}"
            left.append(f"{text}, or its folder {inside}, unpacked")
            continue
        unpack(archive, folder / inner, inside=inside)
        say(f"{folder / inner} made")
    if year == "2014" and not any(annotation_file(folder, file).exists() for file in MINIVAL):
        place = folder / "annotations"
        left.append(f"put {MINIVAL[0]} or {MINIVAL[1]} in {place}: either lists minival")
    return left


def verify(name: str, folder: Path, *, decode: bool) -> Checked:
    """Counts and checks the splits of the year that is there; with `decode`, reads all images."""
    checked = Checked()
    year = _year(folder)
    for split in (f"train{year}", f"val{year}"):
        read = partial(read_split, folder, [split])
        check_split(checked, split, read, COUNTS[split], decode=decode)
    if name == "coco2014_minival" and year == "2014":
        # Its images are among those of val2014.
        read = partial(minival, folder)
        check_split(checked, "minival", read, COUNTS["val2017"], decode=False)
    return checked
