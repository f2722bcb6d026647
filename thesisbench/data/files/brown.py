"""Files of the Brown patches: a zip archive a scene; addresses and counts are torchvision's."""

from __future__ import annotations

from pathlib import Path

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.brown_patches import (
    MATCHES,
    SCENES,
    keep_patches,
    kept_file,
    mosaics,
    read_mosaic,
    read_points,
    read_test_pairs,
)
from thesisbench.data.files.fetch import FetchError, download, unpack
from thesisbench.data.files.sources import Checked, Say

PAIRS = 100_000
SITE = "http://matthewalunbrown.com/patchdata"  # of an author


def prepare(name: str, folder: Path, say: Say) -> list[str]:
    """Downloads and unpacks the scenes that are not there, and keeps their patches at half size."""
    del name
    left = []
    for scene in SCENES:
        place = folder / scene
        try:
            if not place.is_dir():
                _fetch(scene, folder)
                say(f"{place} made")
            if not kept_file(place).exists():
                say(f"{keep_patches(place)} made")
        except FetchError as error:
            left.append(f"{error}; its archive, unpacked, belongs in {place}")
    return left


def _fetch(scene: str, folder: Path) -> None:
    from torchvision.datasets import PhotoTour

    url, file, md5 = PhotoTour.urls[scene]
    archive = folder / file
    download([url, f"{SITE}/{file}"], archive, f"md5:{md5}")
    unpack(archive, folder / scene)
    archive.unlink()


def verify(name: str, folder: Path, *, decode: bool) -> Checked:
    """Number of patches and of test pairs of each scene; with `decode`, every mosaic is read."""
    del name
    checked = Checked()
    for scene in SCENES:
        place = folder / scene
        if not place.is_dir():
            checked.problems.append(f"no folder {place}")
            continue
        _verify_scene(scene, place, checked, decode=decode)
    return checked


def _verify_scene(scene: str, place: Path, checked: Checked, *, decode: bool) -> None:
    from torchvision.datasets import PhotoTour

    try:
        checked.expect(f"{scene} patches", len(read_points(place)), PhotoTour.lens[scene])
        checked.expect(f"{scene} test pairs", len(read_test_pairs(place)), PAIRS)
    except BadFileError as error:
        checked.problems.append(str(error))
        if not (place / MATCHES).exists() and MATCHES not in str(error):
            checked.problems.append(f"no file {place / MATCHES}")
    try:
        files = mosaics(place)
    except BadFileError as error:
        checked.problems.append(str(error))
        return
    room = 0
    for path in files if decode else ():
        try:
            room += len(read_mosaic(path))
        except BadFileError as error:
            checked.problems.append(str(error))
    needed = checked.counts.get(f"{scene} patches", 0)
    if decode and room < needed:
        checked.problems.append(f"{place}: the mosaics hold {room:,} patches, not {needed:,}")
