"""One line of a listing, and the filters that lines are chosen by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A line of a listing.

    Attributes:
        data: for machines, the same keys in every entry of a listing.
        shown: column -> text, for people; the last column may be long.
        facets: thesis, chapter, task, state -> the values it can be chosen by.
    """

    data: dict[str, Any]
    shown: dict[str, str]
    facets: Mapping[str, Collection[str]] = field(default_factory=dict)


def thesis_of(slug: str) -> str:
    """The thesis of a chapter: "kayhan/full_conv" -> "kayhan"."""
    return slug.partition("/")[0]


def yes(flag: bool) -> str:
    """A flag in words."""
    return "yes" if flag else "no"


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "cell"), counted(0, "cell")
    ('1 cell', '0 cells')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(text: str | None) -> str:
    """Text without line breaks; nothing for None."""
    return " ".join((text or "").split())
