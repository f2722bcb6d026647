"""Files of ImageNet-C and ImageNet-P: archives on Zenodo, each of a few corruptions.

Names and checksums of ImageNet-C's archives are those that many public loaders repeat. Those of
ImageNet-P stand in one of them (pytorch-ood), which says nothing of what an archive holds: it is
unpacked whole, and the groups below, those of the paper, only tell whether it still has to be.

*Deviations*. ImageNet-C's archive of extra corruptions, which no table here reads, is unpacked
where it is there but not downloaded.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.corruptions.severities import EXTRA, SEVERITIES
from thesisbench.data.files.each import problems_of
from thesisbench.data.files.fetch import FetchError, download, unpack
from thesisbench.data.files.imagenet import broken_images
from thesisbench.data.files.sources import Checked, Say
from thesisbench.data.imagenet_layout import Names, scanned
from thesisbench.data.imagenet_p import frames_of, listed_videos
from thesisbench.data.video_file import read_frames

N_CLASSES, PER_SPLIT = 1000, 50_000


@dataclass(frozen=True)
class Published:
    """What is published of a data set.

    Attributes:
        url: of the folder of its archives. md5: archive, without `.tar` -> checksum.
        holds: archive -> folders in it. optional: archives that are not downloaded.
    """

    url: str
    md5: Mapping[str, str]
    holds: Mapping[str, tuple[str, ...]]
    optional: tuple[str, ...] = ()


PUBLISHED = {
    "imagenet_c": Published(
        "https://zenodo.org/record/2235448/files",
        {
            "noise": "e80562d7f6c3f8834afb1ecf27252745",
            "blur": "2d8e81fdd8e07fef67b9334fa635e45c",
            "weather": "33ffea4db4d93fe4a428c40a6ce0c25d",
            "digital": "89157860d7b10d5797849337ca2e5c03",
            "extra": "d492dfba5fc162d8ec2c3cd8ee672984",
        },
        {
            "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
            "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
            "weather": ("snow", "frost", "fog", "brightness"),
            "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
            "extra": EXTRA,
        },
        optional=("extra",),
    ),
    "imagenet_p": Published(
        "https://zenodo.org/record/3565846/files",
        {
            "noise": "619b37b5139ce764f77ce3bed3aee837",
            "blur": "869b2d2fb1604d1baa4316b5ecc9fdea",
            "weather": "a597ff6db8c6fb0dbcd6eb12ed620002",
            "digital": "8c1f73e4912812788e2fdb637cd55372",
        },
        {
            "noise": ("gaussian_noise", "shot_noise"),
            "blur": ("motion_blur", "zoom_blur"),
            "weather": ("snow", "brightness"),
            "digital": ("translate", "rotate", "tilt", "scale"),
        },
    ),
}


def prepare(name: str, folder: Path, say: Say) -> list[str]:
    """Downloads and unpacks the archives whose folders are not there; tens of gigabytes."""
    known, left = PUBLISHED[name], []
    for archive, inner in known.holds.items():
        file = folder / f"{archive}.tar"
        if all((folder / each).is_dir() for each in inner):
            continue
        if archive in known.optional and not file.exists():
            continue
        try:
            download([f"{known.url}/{file.name}"], file, f"md5:{known.md5[archive]}")
            made = _unpack(file, folder, known)
        except FetchError as error:
            left.append(f"{error}; its folders, unpacked, belong in {folder}")
            continue
        file.unlink()
        say(f"{', '.join(made)} made in {folder}")
    return left


def _unpack(file: Path, folder: Path, known: Published) -> list[str]:
    """Puts the folders of an archive beside each other; those that are there stay as they are."""
    place = folder / f"{file.stem}_unpacked"
    shutil.rmtree(place, ignore_errors=True)  # left by one that was killed
    try:
        unpack(file, place)
        made = []
        for path in sorted(_inside(place, file, known).iterdir()):
            if path.is_dir() and not (folder / path.name).exists():
                path.rename(folder / path.name)
                made.append(path.name)
        return made
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _inside(place: Path, file: Path, known: Published) -> Path:
    """Where the folders of an unpacked archive are: on top, or in its one folder."""
    wanted = {each for inner in known.holds.values() for each in inner}
    for folder in (place, *sorted(place.iterdir())):
        if any((folder / each).is_dir() for each in wanted):
            return folder
    raise FetchError(f"{file} has none of the folders that are known; fetch it anew")


def verify(name: str, folder: Path, *, decode: bool) -> Checked:
    """Counts files and classes of each corruption; with `decode`, reads every file."""
    checked = Checked()
    broken = broken_images if name == "imagenet_c" else broken_videos
    for each in _expected(name, folder):
        checked.counts[each] = 0
        for split in [f"{each}/{s}" for s in SEVERITIES] if name == "imagenet_c" else [each]:
            try:
                names = _listed(name, folder, split)
            except BadFileError as error:
                checked.problems.append(str(error))
                continue
            checked.counts[each] += len(names)
            checked.problems += _miscounted(folder / split, names)
            if decode:
                checked.problems += broken(folder / split, names)
    return checked


def _listed(name: str, folder: Path, split: str) -> Names:
    if name == "imagenet_p":
        return listed_videos(folder, split)
    if not (folder / split).is_dir():
        raise BadFileError(f"no folder {folder / split}: run `thesisbench data prepare {name}`")
    return scanned(folder, split)


def _expected(name: str, folder: Path) -> Iterator[str]:
    """Folders that there must be, and optional ones that are there."""
    known = PUBLISHED[name]
    for archive, inner in known.holds.items():
        yield from (e for e in inner if archive not in known.optional or (folder / e).is_dir())


def _miscounted(folder: Path, names: Names) -> list[str]:
    classes = len({name.rpartition(b"/")[0] for name in names.tolist()})
    lines = []
    if classes != N_CLASSES:
        lines.append(f"{folder}: {classes:,} classes, not {N_CLASSES:,}")
    if len(names) != PER_SPLIT:
        lines.append(f"{folder}: {len(names):,} files, not {PER_SPLIT:,}")
    return lines


def broken_videos(folder: Path, names: Names) -> list[str]:
    """One line for each video that cannot be read or has another number of frames than others.

    Raises:
        UserError: what reads videos is not installed.
    """
    wanted = frames_of(folder.name)

    def look(name: bytes) -> list[str]:
        path = folder / name.decode()
        try:
            count = len(read_frames(path))
        except BadFileError as error:
            return [str(error)]
        return [] if count == wanted else [f"{path}: {count} frames, not {wanted}"]

    return problems_of(look, names.tolist(), folder.name)
