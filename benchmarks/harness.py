"""Measures two ways of doing the same side by side, and what one costs beyond the other.

Both run in one process, in alternating order, so that whatever else the machine does hits both
alike. A figure is computed for each pair of neighbours; its median and its spread are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

Action = Callable[[], float | None]
Clock = Callable[[], float]
Figure = Literal["overhead", "extra", "speedup", "factor", "time", "busy"]

# How a figure comes from the seconds of a pair: ours and the baseline's.
FORMULAS: Mapping[Figure, Callable[[float, float], float]] = {
    "overhead": lambda ours, base: 100 * (ours / base - 1),  # percent more, at most the bound
    "extra": lambda ours, base: ours - base,  # seconds more, at most the bound
    "speedup": lambda ours, base: base / ours,  # times as fast, at least the bound
    "factor": lambda ours, base: ours / base,  # times as long
    "time": lambda ours, _: ours,  # seconds, at most the bound
    "busy": lambda ours, base: 100 * base / ours,  # percent of the cores' time, at least the bound
}
AT_LEAST = ("speedup", "busy")  # the others have a bound from above


@dataclass(frozen=True)
class Timing:
    """Seconds that something took, one number a repetition.

    Attributes:
        label: what was measured. seconds: per unit of work.
    """

    label: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median over the repetitions."""
        return median(self.seconds)


@dataclass(frozen=True)
class Comparison:
    """Ours beside a baseline.

    Attributes:
        case: what varies within a benchmark. ours, baseline: their times, repetition by repetition.
        figure: overhead (percent), extra (seconds), speedup (times), factor (times as long), time
            (seconds of ours alone) or busy (percent of ours that is the baseline).
        bound: what an overhead, extra or time may be at most, a speedup or busy must be at least;
            None: for information. note: what a reader of the figure should know.
    """

    case: str
    ours: Timing
    baseline: Timing
    figure: Figure
    bound: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.ours.seconds) != len(self.baseline.seconds) or not self.ours.seconds:
            raise ValueError(f"{self.case}: ours and the baseline need equally many repetitions")
        if self.bound is not None and self.figure == "factor":
            raise ValueError(f"{self.case}: a factor is for information and has no bound")

    @property
    def figures(self) -> tuple[float, ...]:
        """The figure of each pair."""
        pairs = zip(self.ours.seconds, self.baseline.seconds, strict=True)
        return tuple(FORMULAS[self.figure](ours, base) for ours, base in pairs)

    @property
    def value(self) -> float:
        """Median of the figures of the pairs."""
        return median(self.figures)

    @property
    def met(self) -> bool | None:
        """Whether the bound is met; None where there is none."""
        if self.bound is None:
            return None
        return self.value >= self.bound if self.figure in AT_LEAST else self.value <= self.bound

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "case": self.case,
            "figure": self.figure,
            "value": self.value,
            "low": min(self.figures),
            "high": max(self.figures),
            "bound": self.bound,
            "met": self.met,
            "note": self.note,
            "ours": {"label": self.ours.label, "seconds": self.ours.seconds},
            "baseline": {"label": self.baseline.label, "seconds": self.baseline.seconds},
        }


def alternate(
    actions: Mapping[str, Action],
    repetitions: int,
    *,
    per: float = 1,
    warm_up: bool = True,
    clock: Clock = time.perf_counter,
) -> dict[str, Timing]:
    """Runs actions in turn, in the opposite order in every other repetition.

    Args:
        actions: label -> what is measured. One that returns a number has measured itself: these
            seconds count; of one that returns None its whole duration counts.
        repetitions: how often each runs.
        per: units of work in one run of an action (steps, runs); the times are per unit.
        warm_up: let each run once before, uncounted.
        clock: tells the time in seconds.

    Returns:
        Label -> its times.
    """
    if repetitions < 1:
        raise ValueError(f"repetitions must be at least 1; got {repetitions}")
    if warm_up:
        for action in actions.values():
            action()
    seconds: dict[str, list[float]] = {label: [] for label in actions}
    for repetition in range(repetitions):
        for label in _order(list(actions), repetition):
            seconds[label].append(_measure(actions[label], clock) / per)
    return {label: Timing(label, tuple(times)) for label, times in seconds.items()}


def _order(labels: Sequence[str], repetition: int) -> Sequence[str]:
    return labels if repetition % 2 == 0 else labels[::-1]


def _measure(action: Action, clock: Clock) -> float:
    start = clock()
    own = action()
    return clock() - start if own is None else own
