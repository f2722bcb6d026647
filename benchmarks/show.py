"""Comparisons as a table for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks.harness import AT_LEAST, Comparison, Figure, Timing

COLUMNS = ("case", "baseline", "ours", "figure", "bound", "met")
WORDS: Mapping[Figure, Callable[[float], str]] = {
    "overhead": lambda value: f"{value:+.1f} %",
    "extra": lambda value: f"{value:+.3f} s",
    "speedup": lambda value: f"{value:.2f}x as fast",
    "factor": lambda value: f"{value:.2f}x as long",
    "time": lambda value: seconds(value),
    "busy": lambda value: f"{value:.1f} %",
}
_SHORT: Mapping[Figure, Callable[[float], str]] = {
    "overhead": lambda value: f"{value:+.1f}",
    "extra": lambda value: f"{value:+.3f}",
    "speedup": lambda value: f"{value:.2f}",
    "factor": lambda value: f"{value:.2f}",
    "time": lambda value: seconds(value),
    "busy": lambda value: f"{value:.1f}",
}


def table(comparisons: Sequence[Comparison]) -> str:
    """One line a comparison: medians, spreads (least to most) and whether the bound is met."""
    lines = [COLUMNS, *(_cells(c) for c in comparisons)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    shown = ["  " + "  ".join(t.ljust(w) for t, w in zip(x, widths, strict=True)) for x in lines]
    labels = dict.fromkeys(
        f"baseline: {c.baseline.label}; ours: {c.ours.label}" for c in comparisons
    )
    notes = dict.fromkeys(f"{c.case}: {c.note}" for c in comparisons if c.note)
    return "\n".join(line.rstrip() for line in [*shown, *(f"  {t}" for t in (*labels, *notes))])


def summary(comparisons: Iterable[Comparison]) -> str:
    """How many bounds are met, and which are not."""
    bound = [c for c in comparisons if c.met is not None]
    missed = [c.case for c in bound if not c.met]
    text = f"{len(bound)} bounds, {len(bound) - len(missed)} met"
    return text + (f"; not met: {', '.join(missed)}" if missed else "")


def seconds(value: float) -> str:
    """A time in a unit that suits it.

    >>> seconds(12.3), seconds(0.0412), seconds(0.00007)
    ('12.3 s', '41.2 ms', '70.0 us')
    """
    if value >= 1:
        return f"{value:.3g} s" if value < 1000 else f"{value:.0f} s"
    return f"{value * 1e3:.1f} ms" if value >= 1e-3 else f"{value * 1e6:.1f} us"


def _cells(comparison: Comparison) -> tuple[str, ...]:
    c = comparison
    low, high = _SHORT[c.figure](min(c.figures)), _SHORT[c.figure](max(c.figures))
    figure = f"{WORDS[c.figure](c.value)} ({low}..{high})"
    sign = ">=" if c.figure in AT_LEAST else "<="
    bound = "-" if c.bound is None else f"{sign} {WORDS[c.figure](c.bound)}"
    met = {None: "-", True: "yes", False: "NO"}[c.met]
    return (c.case, _timing(c.baseline), _timing(c.ours), figure, bound, met)


def _timing(timing: Timing) -> str:
    low, high = min(timing.seconds), max(timing.seconds)
    return f"{seconds(timing.median)} ({seconds(low)}..{seconds(high)})"
