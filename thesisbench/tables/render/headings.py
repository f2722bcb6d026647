"""Names of columns that stand under a grouped header.

A spec may repeat the label of a group in the names under it ("UCF101 top-1") or not ("top-1").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def grouped_names(names: Sequence[str], groups: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """Names that stand alone: the label in front, unless there is none or it is there already.

    Args:
        names: of the columns, in order.
        groups: labels, and how many columns each stands over; may be empty.

    >>> grouped_names(["AP", "Train AP", "Time"], [("Test", 1), ("Train", 1), ("", 1)])
    ('Test: AP', 'Train AP', 'Time')
    """
    return tuple(
        name if name.startswith(label) else f"{label}: {name}"
        for label, name in _labelled(names, groups)
    )


def names_below(names: Sequence[str], groups: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """Names that stand below the label of their group, which they do not repeat.

    >>> names_below(["AP", "Train AP", "Time"], [("Test", 1), ("Train", 1), ("", 1)])
    ('AP', 'AP', 'Time')
    """
    return tuple(name.removeprefix(f"{label} ") for label, name in _labelled(names, groups))


def _labelled(names: Sequence[str], groups: Iterable[tuple[str, int]]) -> list[tuple[str, str]]:
    labels = [label for label, over in groups for _ in range(over)] or [""] * len(names)
    return list(zip(labels, names, strict=True))
