"""What the local launcher adds to a run: folder, child, lease, checkpoints, record.

The baseline trains the same networks on the same data in a plain loop in this process. The fork
server runs already, as it does from a sweep's second run on; its start is shown by itself.
"""

from __future__ import annotations

from benchmarks import by_hand
from benchmarks.by_hand import Size
from benchmarks.grid import fits, locally, run_all
from benchmarks.harness import Comparison, alternate
from thesisbench.launch.forked import stop_server
from thesisbench.tables.model import PlannedRun

BOUND = 0.25  # seconds a run
OURS, BASELINE = "local launcher, seconds a run", "plain loop, seconds a run"
COLD, WARM = "a run and the server's start", "a run on a running server"


def measure(quick: bool) -> list[Comparison]:
    """Fits at two sizes, then the start of the server."""
    count, repetitions = (1, 1) if quick else (5, 5)
    sizes = {"2 epochs of 400 images": Size(2, 400, 200, 200)}
    if not quick:
        sizes["5 epochs of 1000 images"] = Size(5, 1000, 500, 500)
    compared = [_compare(name, size, count, repetitions) for name, size in sizes.items()]
    return [*compared, _server_start(fits(_words(next(iter(sizes.values()))), 1), repetitions)]


def _compare(name: str, size: Size, count: int, repetitions: int) -> Comparison:
    runs = fits(_words(size), count)
    times = alternate(
        {
            BASELINE: lambda: _by_hand(size, count),
            OURS: lambda: run_all(runs, locally()),
        },
        repetitions,
        per=count,
    )
    return Comparison(f"same, {name}", times[OURS], times[BASELINE], "extra", BOUND)


def _words(size: Size) -> list[str]:
    return ["border=same", *size.overrides]


def _by_hand(size: Size, count: int) -> None:
    for seed in range(count):
        by_hand.fit("same", size, seed)


def _server_start(runs: list[PlannedRun], repetitions: int) -> Comparison:
    def cold() -> None:
        stop_server()
        run_all(runs, locally())

    actions = {WARM: lambda: run_all(runs, locally()), COLD: cold}
    times = alternate(actions, min(repetitions, 3))
    return Comparison("server start, once a sweep", times[COLD], times[WARM], "extra")
