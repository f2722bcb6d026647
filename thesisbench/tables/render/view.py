"""What a rendered table consists of, in plain words; the same for every form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CellView:
    """A cell in words.

    Attributes:
        published, ours: the numbers, or why there is none. difference: ours minus published, where
            comparable. verdict: in one word. note: letter of the note that says why, or nothing.
    """

    published: str
    ours: str
    difference: str
    verdict: str
    note: str


@dataclass(frozen=True)
class RowView:
    """A row: its key, its label (with "ours" or the like in brackets) and its cells by column."""

    key: str
    label: str
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class AtomView:
    """An atom of a claim in words."""

    text: str
    kind: str
    result: str
    margin: str
    interval: str
    n: str
    power: str
    why: str


@dataclass(frozen=True)
class ClaimView:
    """A claim in words.

    Attributes:
        id, text: what it says. summary: what it came to; result: the same in one word.
        why: reason when undecided or not tested. atoms: its parts. standing: how it stands in the
            thesis itself, where that is in doubt. tables: ids of all the tables it rests on.
    """

    id: str
    text: str
    summary: str
    why: str
    atoms: tuple[AtomView, ...]
    result: str = ""
    standing: str = ""
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableView:
    """A table in words.

    Attributes:
        id, title, scale: of the table. facts: sentences for the head. columns: their headers.
        groups: labels over the columns, and how many columns each stands over; may be empty.
        rows: in order. legend: what the signs mean. notes: letter -> reason, and more in words.
        remarks: on rows, and of the table as a whole. claims: those that rest on the table.
        chapter: where the table stands, such as "kayhan, chapter 2". slug: of that chapter.
        says: what the thesis concludes from it. findings: what we found.
        targets_only: there is no grid, so that only published values can be shown.
    """

    id: str
    title: str
    scale: str
    facts: tuple[str, ...]
    columns: tuple[str, ...]
    groups: tuple[tuple[str, int], ...]
    rows: tuple[RowView, ...]
    legend: str
    notes: Mapping[str, str]
    remarks: tuple[str, ...]
    claims: tuple[ClaimView, ...]
    chapter: str = ""
    slug: str = ""
    says: str = ""
    findings: str = ""
    targets_only: bool = False

    @property
    def has_differences(self) -> bool:
        """At least one cell is compared with its published value."""
        return any(cell.difference for row in self.rows for cell in row.cells)
