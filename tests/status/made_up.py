"""A runs folder that holds a run in every state, made up of the store's own files."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toy_specs import Toy, publish, toy_chapter

from thesisbench.execute import folder_config
from thesisbench.store.files import write_json
from thesisbench.store.folder import RunFolder
from thesisbench.store.lease import Lease
from thesisbench.tables.model import PlannedRun
from thesisbench.tables.session import Session

ROWS = (
    "a: {label: A, at: {rate: low}, values: {top: 1}}, "
    "b: {label: B, at: {rate: high}, values: {top: 1}}"
)


def chapter(root: Path) -> Toy:
    """A table of two cells at two seeds: four fits, and a test of each."""
    return toy_chapter(root).table(ROWS, replicates="{seed: [0, 1]}")


def fits(session: Session) -> list[PlannedRun]:
    """The four fits: of low rate at both seeds, then of high rate."""
    runs = [run for run in session.plan.runs.values() if run.step == "fit"]
    return sorted(runs, key=lambda run: (run.levels["rate"] == "high", run.replicate["seed"]))


def queue(session: Session, run: PlannedRun) -> RunFolder:
    """A run that is planned and never was claimed."""
    folder = session.store.folder(run.id)
    folder.write_config(folder_config(run))
    return folder


def claim(session: Session, run: PlannedRun, **state: Any) -> Lease:
    """A run that this process holds, and what it says of it."""
    folder = queue(session, run)
    lease = Lease.claim(folder.path).lease
    assert lease is not None
    folder.write_state({"name": "running", "message": "", "progress": {}, **state}, lease)
    return lease


def fail(session: Session, run: PlannedRun, log: str, **state: Any) -> None:
    """A run that has failed, and its log."""
    lease = claim(session, run, **{"name": "failed", "message": "ValueError: too small", **state})
    session.store.folder(run.id).log_file.write_text(log)
    lease.release()


def interrupt(session: Session, run: PlannedRun) -> None:
    """A run that was claimed and given back."""
    claim(session, run).release()


def quieten(lease: Lease, seconds: float) -> None:
    """Lets the last heartbeat be so long ago."""
    beat = time.time() - seconds
    os.utime(lease.path, (beat, beat))


def finish(session: Session, run: PlannedRun, seconds: float | None = None) -> None:
    """A run with a record; its wall time where one is given."""
    publish(session.store, run, {"top": 1.0})
    path = session.store.folder(run.id).record_file
    if seconds is not None:
        record = session.store.record(run.id)
        assert record is not None
        head = {k: v for k, v in folder_config(run).items() if k not in ("config", "tables")}
        provenance = {"wall_seconds": seconds}
        write_json(path, {**head, **record, "provenance": provenance})


def tree(root: Path) -> Mapping[str, tuple[int, bytes]]:
    """Every file below a folder, with its time and content."""
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
