"""Training steps of `thesisbench.training.fit.run_fit` over a loop written by hand.

Callbacks, journal, checkpoints and validation are all in; the first epoch of each fit is not
counted, and what happens once a run is the business of `run_overhead`.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import by_hand
from benchmarks.by_hand import Size
from benchmarks.harness import Comparison, alternate
from thesisbench.compose import Composer
from thesisbench.step import StepContext
from thesisbench.store.folder import RunFolder
from thesisbench.training.fit import run_fit

BOUND = 5.0  # percent
RECIPE = "experiment=kayhan/full_conv/red_green"
OURS, BASELINE = "our fit, seconds a step", "loop by hand, seconds a step (validation included)"


def measure(quick: bool) -> list[Comparison]:
    """Both fits at two sizes of step: same and full convolutions."""
    size = Size(2, 400, 200, 200) if quick else Size(4)
    return [_compare(border, size, 1 if quick else 7) for border in ("same", "full")]


def _compare(border: str, size: Size, repetitions: int) -> Comparison:
    words = [RECIPE, f"border={border}", "schedule.patience=null", *size.overrides]
    config = Composer().compose([*words, "dataset.splits.protocol=released"]).config
    times = alternate(
        {BASELINE: lambda: _by_hand(border, size), OURS: lambda: _ours(config)},
        repetitions,
        per=size.steps * (size.epochs - 1),
    )
    case = f"{border}, batch {by_hand.BATCH}"
    return Comparison(case, times[OURS], times[BASELINE], "overhead", BOUND)


def _ours(config: dict[str, Any]) -> float:
    """Seconds from the end of the first epoch to the end of the last."""
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        context = StepContext(
            config=config,
            folder=RunFolder(Path(folder)),
            attempt=Path(folder) / "attempt",
            report=lambda _: ends.append(time.perf_counter()),
        )
        run_fit(context)
    return ends[-1] - ends[0]


def _by_hand(border: str, size: Size) -> float:
    ends: list[float] = []
    by_hand.fit(border, size, 0, lambda: ends.append(time.perf_counter()))
    return ends[-1] - ends[0]
