"""A cell against its published value: reproduced, better, worse, or why it cannot be said.

A cell is compared only when every run behind it is one of scale paper. It is reproduced when the
published value lies in the prediction interval of our mean (`stats.prediction_interval`).
Divergence is an outcome: it is reproduced when the thesis's run diverged too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thesisbench.tables import stats
from thesisbench.tables.expr import Reference
from thesisbench.tables.model import Cell, CellVerdict, Interval
from thesisbench.tables.sample import finished_values, is_printed

Better = Literal["higher", "lower", "none"]
MIN_RUNS = 3

_REASONS = {
    "not_printed": "the thesis prints no number here",
    "not_applicable": "the cell has no meaning in the thesis",
    "not_measured": "the thesis did not measure it",
}


@dataclass(frozen=True)
class CellVerdictDetail:
    """A cell against its published value.

    Attributes:
        verdict: one word.
        why: the reason in plain words, empty when the verdict says it all.
        difference: our mean minus the published value, where both are there and comparable.
        interval: prediction interval the published value was looked for in.
    """

    verdict: CellVerdict
    why: str = ""
    difference: float | None = None
    interval: Interval | None = None


def judge_cell(
    cell: Cell, *, better: Better, target_n: int | None = None, level: float = 0.95
) -> CellVerdictDetail:
    """Compare a cell with its published value.

    Args:
        cell: as measured.
        better: which direction of its metric is better; with "none" any difference is "worse".
        target_n: number of replicates behind the published value, where the thesis says it.
        level: level of the prediction interval.
    """
    early = _not_compared(cell)
    if early is not None:
        return early
    values = list(finished_values(Reference(), cell).values())
    target = cell.target.value
    if target is None or not values:
        return _judge_divergence(cell, len(values))
    mean, sd = stats.mean_and_sd(values)
    difference, n, lost = mean - target, len(values), _lost(cell)
    if cell.constant:
        return _judge_constant(cell, difference)
    if n < MIN_RUNS:
        return CellVerdictDetail("undecided", "single run" if n == 1 else f"{n} runs", difference)
    interval = stats.prediction_interval(
        mean,
        sd,
        n,
        target_sd=cell.target.std,
        target_n=target_n,
        decimals=cell.target.decimals,
        level=level,
    )
    why = f"{lost} of {n + lost} seeds have no value" if lost else ""
    if lost > n:
        return CellVerdictDetail("undecided", why, difference, interval)
    if interval.low <= target <= interval.high:
        return CellVerdictDetail("reproduced", why, difference, interval)
    verdict = _direction(difference, better)
    if better == "none":
        why = "; ".join(filter(None, ("differs, and neither direction is better", why)))
    return CellVerdictDetail(verdict, why, difference, interval)


def _not_compared(cell: Cell) -> CellVerdictDetail | None:
    """The verdict of a cell that cannot be compared; None for one that can."""
    if cell.state == "failed":
        return CellVerdictDetail("failed", cell.why or "a run failed")
    if cell.state in ("missing", "stale"):
        why = "records of an older revision only" if cell.state == "stale" else "no record"
        return CellVerdictDetail("missing", cell.why or why)
    if is_printed(cell):
        return CellVerdictDetail("not comparable", "a printed number: nothing is run for it")
    if cell.state == "skipped":
        return CellVerdictDetail("not comparable", f"skipped: {cell.why or 'no reason given'}")
    if cell.target.value is None and cell.target.reason != "diverged":
        why = _REASONS.get(cell.target.reason or "", "there is no published number")
        return CellVerdictDetail("not comparable", why)
    if not cell.comparable:
        return CellVerdictDetail("not comparable", cell.why or "not made at scale paper")
    return None


def _judge_divergence(cell: Cell, finished: int) -> CellVerdictDetail:
    """The thesis's run diverged, or none of ours has a value."""
    diverged = len(cell.diverged)
    if not finished and not diverged:
        return CellVerdictDetail("undecided", "no finished run")
    if cell.target.value is not None:
        return CellVerdictDetail("worse", f"{_all(diverged)} diverged")
    if not finished:
        return CellVerdictDetail("reproduced", f"{_all(diverged)} diverged, as in the thesis")
    if not diverged:
        return CellVerdictDetail("better", "diverged in the thesis, finished here")
    why = f"{diverged} of {finished + diverged} runs diverged; in the thesis the run did"
    return CellVerdictDetail("undecided", why)


def _judge_constant(cell: Cell, difference: float) -> CellVerdictDetail:
    """A cell without replicates: its digits agree with the printed ones, or nothing can be said."""
    half = 0.5 * 10.0**-cell.target.decimals
    if abs(difference) <= half * (1 + 1e-9):
        return CellVerdictDetail("reproduced", "the printed digits agree", difference)
    return CellVerdictDetail("undecided", "one value without replicates", difference)


def _direction(difference: float, better: Better) -> CellVerdict:
    wanted = {"higher": difference > 0, "lower": difference < 0, "none": False}
    return "better" if wanted[better] else "worse"


def _all(runs: int) -> str:
    return "the one run" if runs == 1 else f"all {runs} runs"


def _lost(cell: Cell) -> int:
    """Planned seeds without a value."""
    planned = {*cell.expected, *cell.values, *cell.diverged}
    return len(planned - (cell.values.keys() - cell.diverged))
