"""What killed processes left in run folders, cleared away once it serves nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from thesisbench.errors import UserError
from thesisbench.store.lease import filesystem_time
from thesisbench.store.litter import sweep
from thesisbench.store.runs import RunFolder, RunStore


def tidy(folder: Path, kept: str | None) -> None:
    """Leaves of the checkpoints of a finished run only the kept weights.

    Args:
        folder: of the run.
        kept: path of the weights below it; None: nothing is kept.
    """
    for path in (folder / "attempts").glob("*/checkpoints/*"):
        if path.is_file() and (kept is None or path != folder / kept):
            path.unlink(missing_ok=True)


def clear_leftovers(store: RunStore, ids: Iterable[str]) -> None:
    """Removes what killed processes left: temporary files, and checkpoints of finished runs.

    A process killed between publishing a record and tidying up cannot do it itself. What cannot be
    removed stays.
    """
    now = filesystem_time(store.root)
    with contextlib.suppress(OSError):
        sweep(store.root, now=now)
    for run_id in ids:
        folder = store.folder(run_id)
        with contextlib.suppress(OSError, UserError):
            sweep(folder.path, now=now)
            _clear_checkpoints(folder)


def _clear_checkpoints(folder: RunFolder) -> None:
    """Tidies a finished run that has more than one file of checkpoints."""
    files = list((folder.path / "attempts").glob("*/checkpoints/*"))
    if not files or (len(files) == 1 and files[0].name.startswith("weights-")):
        return
    record = folder.read_record()
    if record is not None:
        facts = (record.get("provenance") or {}).get("facts") or {}
        tidy(folder.path, facts.get("weights"))
