"""A grid by the local launcher, and by one new interpreter a run, which imports torch each time.

Ours includes the start of the fork server. At scale smoke the whole grid of Table 2.1 runs. At
scale small it is one row, with its full schedule: the other rows train longer, so that for the
whole grid the ratio is nearer to one.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.grid import freshly, locally, run_all, table_runs
from benchmarks.harness import Comparison, alternate
from thesisbench.launch.forked import stop_server
from thesisbench.tables.model import PlannedRun

BOUND = 2.0  # times as fast, at scale smoke
OURS, BASELINE = "local launcher with its server's start", "a new interpreter a run"


def measure(quick: bool) -> list[Comparison]:
    """The smoke grid, then a row of the small one."""
    if quick:
        runs = table_runs("smoke", "schedule.epochs=1", border="valid")
        return [_compare("smoke, one row", runs, 1, BOUND)]
    smoke, small = table_runs("smoke"), table_runs("small", border="valid")
    row = _compare("small, row V-Conv", small, 1, None, "a real subset, not the whole grid")
    return [_compare("smoke, whole grid", smoke, 3, BOUND), row]


def _compare(
    case: str, runs: Sequence[PlannedRun], repetitions: int, bound: float | None, note: str = ""
) -> Comparison:
    def ours() -> None:
        stop_server()
        run_all(runs, locally())

    actions = {BASELINE: lambda: run_all(runs, freshly), OURS: ours}
    times = alternate(actions, repetitions, warm_up=False)
    case = f"{case} ({len(runs)} runs)"
    return Comparison(case, times[OURS], times[BASELINE], "speedup", bound, note)
