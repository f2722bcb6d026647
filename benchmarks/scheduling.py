"""What the local launcher needs between runs: 500 runs that do nothing, one worker.

Ours is the wall time beyond the lives of the children, a run. A child lives from its first act, the
log that it opens, to its last, the lease that it gives back, by the clock of the file system: its
fork, its end and how that is noticed are the launcher's. The baseline is the rest: claim, state and
record of a run. The fork server runs already.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Comparison, Timing
from thesisbench.instantiate import ALLOW_VARIABLE
from thesisbench.launch.environment import changed_environment
from thesisbench.launch.jobs import Job
from thesisbench.launch.local import HUGE_PAGES, PRELOAD, LocalLauncher
from thesisbench.store.folder import RunFolder
from thesisbench.store.runs import RunStore

BOUND = 0.030  # seconds a run
COUNT = 500
OURS, BASELINE = "between runs, seconds a run", "a child's life, seconds a run"
CONFIG = {"kind": "analytic", "seed": 0, "compute": {"_target_": "benchmarks.scheduling.Nothing"}}


class Nothing:
    """A compute of nothing."""

    def __call__(self, context: Any) -> dict[str, float]:
        """A metric, without which no record is complete."""
        del context
        return {"nothing": 0.0}


def measure(quick: bool) -> list[Comparison]:
    """Runs of nothing, after a few that start the server."""
    count, repetitions = (10, 1) if quick else (COUNT, 3)
    with changed_environment({ALLOW_VARIABLE: "benchmarks"}):
        _launch(3)
        measured = [_launch(count) for _ in range(repetitions)]
    between, lives = zip(*measured, strict=True)
    note = f"{1 / (between[0] + lives[0]):.0f} runs a second"
    times = Timing(OURS, between), Timing(BASELINE, lives)
    return [Comparison(f"{count} runs of nothing, one worker", *times, "time", BOUND, note)]


def _launch(count: int) -> tuple[float, float]:
    """Seconds a run between the children, and in them.

    Raises:
        RuntimeError: one of the runs did not finish.
    """
    launcher = LocalLauncher(preload=(PRELOAD, __name__, HUGE_PAGES))
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder))
        jobs = [Job(f"run{i}") for i in range(count)]
        for job in jobs:
            data = {"id": job.id, "kind": "analytic", "needs": {}, "config": CONFIG}
            store.folder(job.id).write_config(data)
        start = time.perf_counter()
        outcome = launcher.launch(store, jobs, lambda *_: None, lambda _: None)
        wall = time.perf_counter() - start
        if set(outcome.values()) != {"done"}:
            raise RuntimeError(f"not all runs of nothing are done: {outcome}")
        lives = sum(_life(store.folder(job.id)) for job in jobs)
    return (wall - lives) / count, lives / count


def _life(folder: RunFolder) -> float:
    """Seconds between the first and the last act of the child."""
    begin = folder.log_file.stat().st_mtime_ns  # nothing was printed
    end = (folder.path / "lease.1").stat().st_ctime_ns
    return (end - begin) / 1e9
