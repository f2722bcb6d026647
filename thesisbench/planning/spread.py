"""Measured numbers with their range, and times and sizes in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True)
class Spread:
    """A number with the range it was seen in: 10th percentile, median, 90th percentile."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of measured values, at least one.

        >>> Spread.of([1.0, 2.0, 4.0])
        Spread(low=1.2, middle=2.0, high=3.6)
        """
        ordered = sorted(values)
        return cls(_quantile(ordered, LOW), median(ordered), _quantile(ordered, HIGH))

    def times(self, factor: float) -> Spread:
        """All three times a factor."""
        return Spread(self.low * factor, self.middle * factor, self.high * factor)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """A quantile of sorted values, linear between them."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def seconds_text(seconds: float) -> str:
    """A time for people, in the unit that suits it.

    >>> [seconds_text(s) for s in (0.0123, 67.4, 300, 9000, 400000)]
    ['0.012 s', '67 s', '5 min', '2.5 h', '4.6 days']
    """
    for limit, unit, name in ((100, 1, "s"), (5940, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{_short(seconds / unit)} {name}"
    return f"{_short(seconds / 86400)} days"


def _short(value: float) -> str:
    """Two digits or, from 100 on, all before the point."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def range_text(spread: Spread) -> str:
    """A time with its range, where that is worth a word.

    >>> range_text(Spread(50, 60, 90)), range_text(Spread(60, 60, 60.4))
    ('60 s (50 s to 90 s)', '60 s')
    """
    low, middle, high = (seconds_text(s) for s in (spread.low, spread.middle, spread.high))
    return middle if low == high else f"{middle} ({low} to {high})"


def bytes_text(size: float) -> str:
    """A size for people.

    >>> bytes_text(900), bytes_text(2_500_000)
    ('900 bytes', '2.5 MB')
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{_short(size / unit)} {name}"
    return f"{size:.0f} bytes"
