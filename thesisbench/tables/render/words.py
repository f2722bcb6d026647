"""Cells in words: what is printed in the thesis, what we have, and how far apart they are.

A number is shown with the digits the thesis prints. Where there is no number, a word says why;
none is ever filled in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from thesisbench.tables.expr import Reference
from thesisbench.tables.model import Cell, Interval
from thesisbench.tables.sample import finished_values
from thesisbench.tables.stats import mean_and_sd

SIGNIFICANT = 4  # digits of numbers for which the thesis sets no precision
MAX_DECIMALS = 8

_REASONS = {
    "not_printed": "not printed",
    "diverged": "diverged",
    "not_applicable": "n/a",
    "not_measured": "not measured",
}
_NOT_RUN = {
    "published": "not run (printed by others)",
    "external": "not run (external software)",
    "human": "not run (human)",
}


def number(value: float, decimals: int) -> str:
    """A number with so many digits after the point; zero has no sign.

    >>> number(89.66, 1), number(-0.04, 1)
    ('89.7', '0.0')
    """
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def spread(sd: float, decimals: int) -> str:
    """A spread with as many digits as the mean, more where it would look like zero.

    >>> spread(0.46, 1), spread(0.04, 1), spread(0.0, 1)
    ('0.5', '0.04', '0.0')
    """
    text = number(sd, decimals)
    return f"{sd:.1g}" if sd and float(text) == 0 else text


def figure(value: float | None) -> str:
    """A number with four significant digits; nothing for None."""
    return "" if value is None else f"{value:.{SIGNIFICANT}g}"


def retried(attempts: Mapping[str, int], most: int = 5) -> str:
    """The runs that needed more than one attempt, in words, those with the most attempts first.

    Nothing where none did.

    >>> retried({"3f0c": 2, "9ab1": 1})
    '1 run needed more than one attempt: 3f0c (2)'
    """
    several = {run: count for run, count in attempts.items() if count > 1}
    if not several:
        return ""
    first = sorted(several.items(), key=lambda item: -item[1])[:most]
    named = ", ".join(f"{run} ({count})" for run, count in first)
    more = f", and {len(several) - most} more" if len(several) > most else ""
    runs = "run" if len(several) == 1 else "runs"
    return f"{len(several)} {runs} needed more than one attempt: {named}{more}"


def interval_text(interval: Interval | None) -> str:
    """An interval and its level; nothing for None."""
    if interval is None:
        return ""
    return f"{figure(interval.low)} to {figure(interval.high)} ({figure(100 * interval.level)}%)"


def duration(seconds: float) -> str:
    """A time span for people.

    >>> duration(8.24), duration(200), duration(7300)
    ('8.2 s', '3.3 min', '2.0 h')
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def finished(cell: Cell) -> list[float]:
    """The values of a cell that count, one a seed."""
    return list(finished_values(Reference(), cell).values())


def decimals_of(cells: Iterable[Cell], declared: int | None) -> int:
    """Digits after the point in a column: declared, as printed in the thesis, or four in all.

    Args:
        cells: of the column.
        declared: what the table's spec says.
    """
    cells = list(cells)
    if declared is not None:
        return declared
    if printed := [cell.target.decimals for cell in cells if cell.target.value is not None]:
        return max(printed)
    values = [float(value) for cell in cells for value in finished(cell)]
    means = [mean_and_sd(found)[0] for cell in cells if (found := finished(cell))]
    if all(value.is_integer() for value in (*values, *means)):
        return 0
    exponent = math.floor(math.log10(max(map(abs, values))))
    return min(max(SIGNIFICANT - 1 - exponent, 0), MAX_DECIMALS)


def published_text(cell: Cell, decimals: int) -> str:
    """The published value with its spread, or why there is none."""
    target = cell.target
    if target.value is None:
        return _REASONS.get(target.reason or "", "no target")
    text = number(target.value, decimals)
    return text if target.std is None else f"{text} ± {spread(target.std, decimals)}"


def ours_text(cell: Cell, decimals: int) -> str:
    """Our mean, spread and number of seeds, or what stands in the way of them."""
    if cell.state == "printed":
        return _NOT_RUN.get(cell.source, "not run")
    if cell.state == "skipped":
        text = f"skipped: {cell.why or 'no reason given'}"
    else:
        text = ", ".join(filter(None, (_measured(cell, decimals), _outcome(cell)))) or cell.state
    return f"= {text}" if cell.same_as else text


def difference_text(difference: float | None, decimals: int) -> str:
    """Ours minus published, with its sign; nothing for None."""
    if difference is None:
        return ""
    text = number(difference, decimals)
    return f"+{text}" if difference > 0 and float(text) else text


def _measured(cell: Cell, decimals: int) -> str:
    """Mean, spread and n; nothing when no seed has a value."""
    values = finished(cell)
    if not values:
        return ""
    mean, sd = mean_and_sd(values)
    if cell.constant:
        return number(mean, decimals)
    if len(values) == 1:
        return f"{number(mean, decimals)} (n=1)"
    return f"{number(mean, decimals)} ± {spread(sd, decimals)} (n={len(values)})"


def _outcome(cell: Cell) -> str:
    """What became of the seeds that have no value; nothing when all have one."""
    planned = len({*cell.expected, *cell.values, *cell.diverged})
    parts = [f"diverged ({len(cell.diverged)} of {planned})"] if cell.diverged else []
    done = len({*finished_values(Reference(), cell), *cell.diverged})
    if cell.state == "partial":
        parts.append(f"partial {done}/{planned}")
    elif cell.state in ("failed", "missing", "stale"):
        parts.append(cell.state)
    return ", ".join(parts)
