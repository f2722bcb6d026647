"""Two workers against one on the grid of Table 2.1 at scale small, with fewer epochs.

One thread each, on a server that runs already. Fits of the four borders differ in length as they do
in the whole grid, so what is lost at its end, when one worker has nothing left to do, is counted.
How busy the cores are is what the runs, their server and the launcher computed in the time.
"""

from __future__ import annotations

import os
import time
from multiprocessing import forkserver
from pathlib import Path

from benchmarks.grid import locally, run_all, table_runs
from benchmarks.harness import Comparison, Timing, alternate
from thesisbench.launch.options import available_cores
from thesisbench.tables.model import PlannedRun

BOUND = 1.8  # times as fast
BUSY = 90.0  # percent of two cores
OURS, BASELINE = "two workers, one thread each", "one worker"
CORES, COMPUTED = "seconds of two cores", "seconds they computed"


def measure(quick: bool) -> list[Comparison]:
    """The grid with one worker and with two."""
    words = ["schedule.epochs=1", "dataset.splits.n_train=200", "dataset.splits.n_val=200"]
    words.append("dataset.splits.n_test=200")
    if quick:
        runs = table_runs("small", *words, seeds=[0])
    else:
        runs = table_runs("small", "schedule.epochs=5")
    busy: list[tuple[float, float]] = []
    actions = {BASELINE: lambda: run_all(runs, locally(1)), OURS: lambda: _watched(runs, busy)}
    run_all(runs[:2], locally(1))  # a fit and its test start the server with all it will need
    times = alternate(actions, 1 if quick else 3, warm_up=False)
    cores = available_cores()
    note = "" if cores > 1 else "this process may use one core only"
    case = f"Red-Green grid, {len(runs)} runs on {cores} cores"
    wall, computed = zip(*busy, strict=True)
    shared = Timing(CORES, wall), Timing(COMPUTED, computed)
    load = f"load {os.getloadavg()[0]:.1f}: what else the machine does counts as idle here"
    return [
        Comparison(case, times[OURS], times[BASELINE], "speedup", BOUND, note),
        Comparison("both cores, two workers", *shared, "busy", BUSY, load),
    ]


def _watched(runs: list[PlannedRun], busy: list[tuple[float, float]]) -> None:
    """Runs a grid with two workers; adds the seconds of two cores, and those they computed."""
    start, before = time.perf_counter(), _computed()
    run_all(runs, locally(2))
    busy.append((2 * (time.perf_counter() - start), _computed() - before))


def _computed() -> float:
    """Seconds of a core that this process, the server and the server's children have computed."""
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[11:15])  # of the server, and of its dead children
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")
