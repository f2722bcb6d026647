"""How far 10,000 runs are: `thesisbench status` as a process of its own, start-up included.

Most of the runs are done, as they are in a runs folder of some age; the index is there. The others
wait, have failed with a log, were interrupted, or go on (this process holds their leases). The
baseline only asks the system whether each folder has a record.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.grid import TABLE
from benchmarks.harness import Comparison, alternate
from benchmarks.runs_folder import write_finished
from thesisbench.compose import Composer
from thesisbench.status.gather import of_folder
from thesisbench.status.look import LookingStore
from thesisbench.store.folder import RunFolder
from thesisbench.store.lease import Lease
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.session import Session

BOUND = 1.0  # seconds
BASELINE = "asking for each record"
FOLDER, TABLES, AGAIN = (
    "all runs, a new process",
    "a table, a new process",
    "all runs, looked again",
)
SHARES = {"queued": 0.15, "failed": 0.06, "interrupted": 0.08, "running": 0.01}
RUNS_A_SEED = 8


def measure(quick: bool) -> list[Comparison]:
    """10,000 folders (400 when quick)."""
    count = 400 if quick else 10_000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        states = _write(root, count)
        watching = LookingStore(root)
        assert dict(of_folder(watching).states) == states
        actions = {
            BASELINE: lambda: _ask(root),
            FOLDER: _say(root),
            TABLES: _say(root, TABLE, "--scale", "paper"),
            AGAIN: lambda: _look(watching),
        }
        times = alternate(actions, 1 if quick else 7)
    note = ", ".join(f"{n} {state}" for state, n in states.items())
    bounds = {FOLDER: BOUND, TABLES: None, AGAIN: BOUND}
    return [
        Comparison(f"{count} folders, {label}", times[label], times[BASELINE], "time", bound, note)
        for label, bound in bounds.items()
    ]


def _write(root: Path, count: int) -> dict[str, int]:
    """The folders; how many runs are in which state."""
    seeds = tuple(range(count // RUNS_A_SEED))
    session = Session(Catalog.at(), RunStore(root), Composer(), (TABLE,), "paper", seeds=seeds)
    write_finished(session)
    left = sorted(session.plan.runs)
    states = {"done": count}
    for state, share in SHARES.items():
        states[state] = round(share * count)
        states["done"] -= states[state]
        for _ in range(states[state]):
            _undo(session.store.folder(left.pop()), state)
    RunStore(root).summaries()  # writes the index
    return {name: states[name] for name in ("done", "running", "failed", "interrupted", "queued")}


def _undo(folder: RunFolder, state: str) -> None:
    """Takes the record of a run away, and leaves what a run in that state leaves."""
    folder.record_file.unlink()
    if state == "queued":
        return
    lease = Lease.claim(folder.path).lease
    assert lease is not None
    said = {"name": "failed" if state == "failed" else "running", "message": ""}
    folder.write_state({**said, "progress": {"epoch": 3, "epochs": 10}}, lease)
    if state == "failed":
        folder.log_file.write_text("Traceback\n" * 50 + "failed: ValueError: too small\n")
    if state != "running":
        lease.release()


def _say(root: Path, *words: str) -> Callable[[], None]:
    command = [sys.executable, "-m", "thesisbench", "status", *words]
    environment = {**os.environ, "THESISBENCH_RUNS": str(root)}

    def act() -> None:
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)

    return act


def _look(store: LookingStore) -> None:
    of_folder(store)


def _ask(root: Path) -> None:
    with os.scandir(root) as entries:
        for entry in entries:
            (root / entry.name / "record.json").exists()
