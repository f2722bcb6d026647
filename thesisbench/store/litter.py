"""Temporary files that killed processes left behind."""

from __future__ import annotations

import contextlib
from pathlib import Path

from thesisbench.store.files import TEMPORARY
from thesisbench.store.owner import Process

FOREIGN_LITTER_AGE = 3600.0  # seconds after which another machine's temporary file is litter


def sweep(folder: Path, *, now: float) -> int:
    """Removes the temporary files that killed processes left in a folder.

    Those of live processes of this machine stay; those of other machines go after an hour.

    Args:
        folder: where to look (not below it).
        now: seconds since the epoch by the clock of the file system.

    Returns:
        The number of files removed.
    """
    removed = 0
    for path in folder.glob(f"{TEMPORARY}*"):
        writer = _writer(path)
        with contextlib.suppress(OSError):
            old = now - path.stat().st_mtime > FOREIGN_LITTER_AGE
            if writer and (writer.is_gone() or (old and not writer.is_near())):
                path.unlink()
                removed += 1
    return removed


def _writer(path: Path) -> Process | None:
    """The process that a temporary file names, None for a file that is not one of ours."""
    parts = path.name.removeprefix(TEMPORARY).split("-")
    if len(parts) != 5 or not all(part.isdecimal() for part in parts[1:4]):
        return None
    boot = "" if parts[0] == "unknown" else parts[0]
    return Process("", boot, int(parts[1]), int(parts[2]), int(parts[3]))
