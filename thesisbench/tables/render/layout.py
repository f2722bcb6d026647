"""A table in plain words, for every form it is rendered in: header, rows, cells, notes, claims.

Nothing is decided here: numbers come from cells, words from verdicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thesisbench.tables.grid import TARGETS_ONLY
from thesisbench.tables.judge import power_note
from thesisbench.tables.model import AtomVerdict, Cell, ClaimVerdict
from thesisbench.tables.render.facts import table_facts
from thesisbench.tables.render.view import AtomView, CellView, ClaimView, RowView, TableView
from thesisbench.tables.render.words import (
    decimals_of,
    difference_text,
    figure,
    interval_text,
    ours_text,
    published_text,
)
from thesisbench.tables.spec import Column, Row, Table

if TYPE_CHECKING:
    from thesisbench.tables.claims import Claim
    from thesisbench.tables.compare import CellVerdictDetail
    from thesisbench.tables.session import Session

ARROWS = {"higher": "↑", "lower": "↓", "none": ""}
LEGEND = {"higher": "↑ higher is better", "lower": "↓ lower is better"}
_ORIGINS = {
    "published": "by others",
    "external": "external",
    "human": "human",
    "derived": "derived",
}


class _Notes:
    """Reasons, each written once and named by a letter."""

    def __init__(self) -> None:
        self.letters: dict[str, str] = {}

    def letter(self, reason: str) -> str:
        """The letter of a reason; nothing for no reason."""
        if not reason:
            return ""
        return self.letters.setdefault(reason, _letter(len(self.letters)))


def lay_out(session: Session, table_id: str) -> TableView:
    """Describes a table of a session.

    Raises:
        UserError: no such table.
    """
    table, notes = session.catalog.table(table_id), _Notes()
    folder, has_grid = session.catalog.tables[table_id], table_id in session.built
    rows = tuple(_row(session, table, key, notes) for key in table.rows)
    return TableView(
        id=table_id,
        title=table.title,
        scale=session.scale,
        facts=table_facts(session, table_id).sentences() if has_grid else _printed_facts(table),
        columns=tuple(header(column) for column in table.columns.values()),
        groups=tuple(table.header),
        rows=rows,
        legend=_legend(session, table),
        notes={letter: reason for reason, letter in notes.letters.items()},
        remarks=_remarks(table),
        claims=_claims(session, table_id),
        chapter=f"{table.thesis}, chapter {table.chapter}: {folder.chapter.title}",
        slug=folder.slug,
        says=_one_line(table.says),
        findings=_one_line(table.findings),
        targets_only=not has_grid,
    )


def header(column: Column) -> str:
    """Name, unit and direction of a column, such as "AP (%) ↑"."""
    unit = f"({column.unit})" if column.unit else ""
    return " ".join(filter(None, (column.name, unit, ARROWS[column.better])))


def claims_on(session: Session, table_id: str) -> list[ClaimVerdict]:
    """Verdicts of the claims that rest on a table."""
    judged = session.claims.get(session.catalog.tables[table_id].slug, [])
    return [verdict for verdict in judged if table_id in verdict.tables]


def _printed_facts(table: Table) -> tuple[str, ...]:
    """What stands above a table that has no grid."""
    repeats = [f"Published values: n = {table.published_n}."] if table.published_n else []
    return (f"{TARGETS_ONLY.capitalize()}. What is shown is what the thesis prints.", *repeats)


def _row(session: Session, table: Table, key: str, notes: _Notes) -> RowView:
    row = table.rows[key]
    origin = "ours" if row.extra else _ORIGINS.get(row.source, "")
    label = f"{row.label} ({origin})" if origin else row.label
    cells = []
    for name, column in table.columns.items():
        in_column = [session.cells[table.id, r, name] for r in table.rows]
        place = (table.id, key, name)
        decimals = decimals_of(in_column, column.decimals)
        cells.append(_cell(session.cells[place], session.verdicts[place], decimals, notes))
    return RowView(key, label, tuple(cells))


def _cell(cell: Cell, detail: CellVerdictDetail, decimals: int, notes: _Notes) -> CellView:
    shown = f"= is the run of {cell.same_as}" if cell.same_as else ""
    reason = "no record" if cell.state == "missing" else detail.why
    why = "; ".join(filter(None, (reason, shown)))
    return CellView(
        published=published_text(cell, decimals),
        ours=ours_text(cell, decimals),
        difference=difference_text(detail.difference, decimals),
        verdict=detail.verdict,
        note=notes.letter(why),
    )


def _legend(session: Session, table: Table) -> str:
    directions = dict.fromkeys(column.better for column in table.columns.values())
    parts = [LEGEND[better] for better in directions if better in LEGEND]
    if any(cell.same_as for cell in session.cells.values() if cell.table == table.id):
        parts.append("= the same run as another cell's")
    if "seed" in table.replicates and table.id in session.built:
        parts.append("ours: mean ± standard deviation over n seeds")
    return "; ".join(parts)


def _remarks(table: Table) -> tuple[str, ...]:
    rows: list[Row] = list(table.rows.values())
    on_rows = [f"{row.label}: {_one_line(row.note)}" for row in rows if row.note]
    return (*on_rows, _one_line(table.notes)) if table.notes else tuple(on_rows)


def _claims(session: Session, table_id: str) -> tuple[ClaimView, ...]:
    stated = {claim.id: claim for claim in session.catalog.tables[table_id].claims}
    return tuple(claim_view(v, stated.get(v.claim)) for v in claims_on(session, table_id))


def claim_view(
    verdict: ClaimVerdict, stated: Claim | None, *, seeds_needed: bool = True
) -> ClaimView:
    """What a claim came to, in words.

    Args:
        verdict: of the claim.
        stated: the claim itself, where it is still stated.
        seeds_needed: say of atoms of low power how many seeds they need, which is computed.
    """
    alpha = stated.alpha_per_look if stated and seeds_needed else None
    atoms = tuple(_atom(atom, alpha) for atom in verdict.atoms)
    no_grid = atoms and all(atom.why.endswith(TARGETS_ONLY) for atom in atoms)
    return ClaimView(
        verdict.claim,
        _one_line(verdict.text),
        verdict.summary,
        TARGETS_ONLY if no_grid else verdict.why or "",
        atoms,
        result=verdict.result,
        standing=_one_line(stated.standing if stated else None),
        tables=verdict.tables,
    )


def _atom(atom: AtomVerdict, alpha: float | None) -> AtomView:
    lost = f" (dropped: {', '.join(map(str, atom.dropped))})" if atom.dropped else ""
    return AtomView(
        text=atom.text,
        kind=atom.kind.replace("_", " "),
        result=atom.result,
        margin=figure(atom.margin),
        interval=interval_text(atom.interval),
        n=f"{atom.n}{lost}" if atom.n or lost else "",
        power=power_note(atom, alpha=alpha),
        why=atom.why or "",
    )


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _letter(index: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    before, last = divmod(index, 26)
    return (_letter(before - 1) if before else "") + chr(ord("a") + last)
