"""Whether a stand-in is neither too easy nor too hard: it must leave room on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from thesisbench.errors import SpecError
from thesisbench.tables.model import Cell
from thesisbench.tables.spec import Table

LOW, HIGH = 0.25, 0.9


@dataclass(frozen=True)
class StandInCheck:
    """How far the reference network gets on a stand-in.

    Attributes:
        reference: "row.column". share: of the way from chance to perfect. fits: within bounds.
    """

    reference: str
    share: float
    fits: bool

    def __str__(self) -> str:
        verdict = "as it should" if self.fits else "too easy" if self.share > HIGH else "too hard"
        return (
            f"stand-in: {self.reference} reaches {self.share:.2f} of the way from chance to "
            f"perfect ({LOW} to {HIGH} wanted): {verdict}"
        )


def check_stand_in(table: Table, cells: Mapping[tuple[str, str, str], Cell]) -> StandInCheck | None:
    """Checks the stand-in of a table; None without one, or before its reference has a value.

    Raises:
        SpecError: the reference names no cell of the table.
    """
    if table.stand_in is None:
        return None
    row, _, column = table.stand_in.reference.partition(".")
    if row not in table.rows or column not in table.columns:
        raise SpecError(f"{table.id}: stand_in.reference {row}.{column} is no cell of the table")
    cell = cells.get((table.id, row, column))
    if cell is None or not cell.values:
        return None
    chance, perfect = table.stand_in.chance, table.stand_in.perfect
    share = (fmean(cell.values.values()) - chance) / (perfect - chance)
    return StandInCheck(f"{row}.{column}", share, LOW <= share <= HIGH)
