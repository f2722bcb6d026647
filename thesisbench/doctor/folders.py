"""The folders of runs and of data: can they be written to, with hard links, and is there room."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from thesisbench.doctor.check import Check
from thesisbench.errors import UserError
from thesisbench.store.files import publish
from thesisbench.store.runs import data_root, default_root

LITTLE_ROOM = 2 * 10**9  # bytes


def folder_checks() -> Iterator[Check]:
    """Runs folder and data root."""
    yield from checks_of("runs folder", default_root(), "THESISBENCH_RUNS", runs=True)
    yield from checks_of("data root", data_root(), "THESISBENCH_DATA", runs=False)


def checks_of(name: str, folder: Path, variable: str, *, runs: bool) -> Iterator[Check]:
    """Looks at a folder; nothing is left in it, and it is not made.

    Args:
        name: of the folder.
        folder: where it is or will be.
        variable: that says so.
        runs: it holds runs, so that nothing works without it.
    """
    folder = folder.absolute()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    there = "" if place == folder else f" (not there yet; {place} is)"
    todo = f"set {variable} to a folder that you may write to"
    if not place.is_dir():
        yield Check(name, "missing", f"{place} is a file", todo, essential=runs)
        return
    if not os.access(place, os.W_OK | os.X_OK):
        yield Check(name, "missing", f"{folder} cannot be written to", todo, essential=runs)
        return
    yield Check(name, "ok", f"{folder}{there}", essential=runs)
    yield _room(name, place, variable)
    if runs:
        yield hard_links(place, variable)


def hard_links(place: Path, variable: str) -> Check:
    """Whether files can be linked in a folder, which is how results are published."""
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".thesisbench-doctor-") as trial:
            publish(Path(trial) / "trial", "trial", durable=False)
    except (UserError, OSError) as error:
        todo = f"set {variable} to a folder on a file system with hard links"
        return Check("hard links", "missing", " ".join(str(error).split()), todo, essential=True)
    return Check("hard links", "ok", f"work in {place}", essential=True)


def _room(name: str, place: Path, variable: str) -> Check:
    free = shutil.disk_usage(place).free
    text = f"{free / 1e9:.1f} GB free"
    if free < LITTLE_ROOM:
        return Check(f"room in {name}", "warn", text, f"free some, or set {variable} elsewhere")
    return Check(f"room in {name}", "ok", text)
