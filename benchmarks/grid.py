"""Grids of the Red-Green experiment, planned and executed in a folder of their own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from thesisbench.compose import Composer
from thesisbench.execute import Work, execute, job_of, make_launcher, write_folders
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.model import PlannedRun
from thesisbench.tables.plan import Planner
from thesisbench.train import plan_sweep

TABLE = "kayhan.t2.1"
RECIPE = "experiment=kayhan/full_conv/red_green"
Execute = Callable[[RunStore, Sequence[PlannedRun]], None]


def table_runs(
    scale: str, *overrides: str, seeds: Sequence[int] | None = None, border: str | None = None
) -> list[PlannedRun]:
    """Runs of Table 2.1, needed ones first; only those behind one border where one is named."""
    planner = Planner(Catalog.at(), Composer(), overrides, tuple(seeds) if seeds else None)
    plan = planner.plan([TABLE], scale)
    if border is None:
        return list(plan.runs.values())
    cells = [c for (_, row, _), c in plan.cells.items() if row == border]
    wanted = {b for c in cells for ids in c.runs.values() for i in ids for b in plan.behind(i)}
    return [run for run in plan.runs.values() if run.id in wanted]


def fits(overrides: Sequence[str], count: int) -> list[PlannedRun]:
    """Red-Green fits that differ in their seeds."""
    seeds = ",".join(str(seed) for seed in range(count))
    words = [RECIPE, "dataset.splits.protocol=released", *overrides, f"seed={seeds}"]
    return plan_sweep(Composer(), words, multirun=count > 1)


def run_all(runs: Sequence[PlannedRun], how: Execute) -> None:
    """Executes runs in an empty runs folder, which is removed again.

    Raises:
        RuntimeError: one of them did not finish.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder))
        write_folders(store, runs, [run.id for run in runs], overridden=True)
        how(store, runs)
        for run in runs:
            if (state := store.state(run.id)).name != "done":
                log = store.folder(run.id).log_file
                text = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise RuntimeError(f"{run.title} is {state.name}: {state.message}\n{text}")


def locally(workers: int = 1) -> Execute:
    """By the local launcher: a child a run, forked from a server."""

    def how(store: RunStore, runs: Sequence[PlannedRun]) -> None:
        launcher = make_launcher({"name": "local", "workers": workers, "threads": 1}, runs)
        work = Work([job_of(run) for run in runs])
        execute(store, launcher, work, lambda *_: None, lambda _: None)

    return how


def freshly(store: RunStore, runs: Sequence[PlannedRun]) -> None:
    """By a new interpreter a run, one after the other."""
    for run in runs:
        command = [sys.executable, "-m", "thesisbench", "run", str(store.folder(run.id).path)]
        with store.folder(run.id).log_file.open("ab") as log:
            subprocess.run(command, stdout=log, stderr=log, check=False)
