"""Two workers against one on the grid of Table 2.1 at scale small, with fewer epochs.

One thread each, on a server that runs already. Fits of the four borders differ in length as they do
in the whole grid, so what is lost at its end, when one worker has nothing left to do, is counted.
"""

from __future__ import annotations

from benchmarks.grid import locally, run_all, table_runs
from benchmarks.harness import Comparison, alternate
from thesisbench.execute import available_cores

BOUND = 1.8  # times as fast
OURS, BASELINE = "two workers, one thread each", "one worker"


def measure(quick: bool) -> list[Comparison]:
    """The grid with one worker and with two."""
    words = ["schedule.epochs=1", "dataset.splits.n_train=200", "dataset.splits.n_val=200"]
    words.append("dataset.splits.n_test=200")
    if quick:
        runs = table_runs("small", *words, seeds=[0])
    else:
        runs = table_runs("small", "schedule.epochs=5")
    actions = {BASELINE: lambda: run_all(runs, locally(1)), OURS: lambda: run_all(runs, locally(2))}
    run_all(runs[:2], locally(1))  # a fit and its test start the server with all it will need
    times = alternate(actions, 1 if quick else 3, warm_up=False)
    cores = available_cores()
    note = "" if cores > 1 else "this process may use one core only"
    case = f"Red-Green grid, {len(runs)} runs on {cores} cores"
    return [Comparison(case, times[OURS], times[BASELINE], "speedup", BOUND, note)]
