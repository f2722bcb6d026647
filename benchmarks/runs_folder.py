"""A table of many runs: from their folders to a rendered report, without and with the index.

The folders hold made-up records as long as real ones; planning is not counted (see `planning`). The
baseline parses each record as JSON, without looking at anything.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmarks.collecting import all_metrics, made_up_record
from benchmarks.grid import TABLE
from benchmarks.harness import Comparison, alternate
from thesisbench.cli import collect_garbage_rarely
from thesisbench.compose import Composer
from thesisbench.execute import folder_config
from thesisbench.store.files import format_json
from thesisbench.store.index import INDEX
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.render.markdown import render_markdown
from thesisbench.tables.session import Session

COLD_BOUND, INDEXED_BOUND = 2.0, 5.0  # seconds
COLD, INDEXED, BASELINE = "no index yet", "with an index", "each record's JSON"
RUNS_A_SEED = 8
DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def measure(quick: bool) -> list[Comparison]:
    """10,000 folders without an index and with one, then 100,000 with one."""
    collect_garbage_rarely()  # as the command line does
    if quick:
        return _compare(16, 1, cold=COLD_BOUND, indexed=None)
    return [
        *_compare(10_000, 5, cold=COLD_BOUND, indexed=None),
        *_compare(100_000, 3, cold=None, indexed=INDEXED_BOUND),
    ]


def _compare(
    count: int, repetitions: int, *, cold: float | None, indexed: float | None
) -> list[Comparison]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        seeds = tuple(range(count // RUNS_A_SEED))
        session = Session(Catalog.at(), RunStore(root), Composer(), (TABLE,), "paper", seeds=seeds)
        write_finished(session)
        _ = session.claims  # plans the other tables that these claims rest on
        made = {
            BASELINE: lambda: _parse(root),
            COLD: _report(session, root, keep_index=False),
            INDEXED: _report(session, root, keep_index=True),
        }
        times = alternate(made, repetitions)
    note = f"{len(session.plan.runs)} runs in one table"
    return [
        Comparison(f"{count} folders, {name}", times[name], times[BASELINE], "time", bound, note)
        for name, bound in ((COLD, cold), (INDEXED, indexed))
    ]


def write_finished(session: Session) -> None:
    """Folders of finished runs; the long part of the configuration is the same, and never read."""
    runs, metrics = list(session.plan.runs.values()), all_metrics(session)
    tail = yaml.safe_dump({"config": dict(runs[0].config)})
    for run in runs:
        head = {k: v for k, v in folder_config(run).items() if k != "config"}
        folder = session.store.folder(run.id)
        folder.path.mkdir()
        folder.config_file.write_text(yaml.dump(head, Dumper=DUMPER, sort_keys=False) + tail)
        folder.record_file.write_text(format_json(made_up_record(run, metrics)))


def _report(session: Session, root: Path, *, keep_index: bool) -> Callable[[], None]:
    def act() -> None:
        if not keep_index:
            (root / INDEX).unlink(missing_ok=True)
        session.store = RunStore(root)
        session.refresh()
        assert "not comparable" not in render_markdown(session, TABLE).partition("## Claims")[0]

    return act


def _parse(root: Path) -> None:
    for path in root.glob("*/record.json"):
        json.loads(path.read_bytes())
