"""From records to states and cells, beside only reading the records' JSON.

The records are made up, with every metric that a cell reads and a provenance as long as real ones.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.grid import TABLE
from benchmarks.harness import Comparison, alternate
from thesisbench.compose import Composer
from thesisbench.execute import folder_config, write_folders
from thesisbench.store.files import write_json
from thesisbench.store.provenance import collect_provenance
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.model import PlannedRun
from thesisbench.tables.session import Session

STATES, CELLS = "states, seconds a run", "cells and verdicts, seconds a run"
BASELINE = "reading each record's JSON, seconds a run"


def measure(quick: bool) -> list[Comparison]:
    """Table 2.1 at scale paper, with 10 and with 100 seeds (2 when quick)."""
    return [c for seeds in ((2,) if quick else (10, 100)) for c in _compare(seeds, quick)]


def _compare(seeds: int, quick: bool) -> list[Comparison]:
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder))
        session = Session(
            Catalog.at(), store, Composer(), (TABLE,), "paper", seeds=tuple(range(seeds))
        )
        count = _write_records(session)
        _ = session.paper_ids
        actions = {
            BASELINE: lambda: _read_only(store),
            STATES: lambda: _states(session),
            CELLS: lambda: _cells(session),
        }
        times = alternate(actions, 1 if quick else 5, per=count)
    baseline = times[BASELINE]
    return [
        Comparison(f"{what} of {count} records", times[label], baseline, "factor")
        for what, label in (("states", STATES), ("cells", CELLS))
    ]


def _write_records(session: Session) -> int:
    """Makes every run of a session done; returns how many there are."""
    runs, store, metrics = session.plan.runs, session.store, all_metrics(session)
    write_folders(store, runs.values(), runs, overridden=False)
    for run in runs.values():
        write_json(store.folder(run.id).record_file, made_up_record(run, metrics), durable=False)
    return len(runs)


def all_metrics(session: Session) -> dict[str, float]:
    """A value for every metric that a cell reads."""
    return {c.spec.read: 50.0 for c in session.plan.cells.values() if c.spec.read}


def made_up_record(run: PlannedRun, metrics: Mapping[str, float]) -> dict[str, Any]:
    """A record as long as a real one."""
    return {
        **{k: v for k, v in folder_config(run).items() if k not in ("config", "tables")},
        "result": {"outcome": "ok", "metrics": dict(metrics), "digests": {}},
        "cost": {"seconds": 1.0},
        "provenance": {**_provenance(), "config": run.config},
    }


@cache
def _provenance() -> dict[str, Any]:
    now = time.time()
    return collect_provenance(threads=1, started=now, finished=now, config={})


def _read_only(store: RunStore) -> None:
    for path in store.root.glob("*/record.json"):
        json.loads(path.read_bytes())


def _states(session: Session) -> None:
    session.refresh()
    assert set(session.states.values()) == {"done"}


def _cells(session: Session) -> float:
    """Seconds for cells and verdicts, the states being known."""
    session.refresh()
    _ = session.states
    start = time.perf_counter()
    assert all(cell.state in ("done", "printed") for cell in session.cells.values())
    _ = session.verdicts
    return time.perf_counter() - start
