"""Tables as CSV (RFC 4180), one line a cell, for spreadsheets and data frames.

Numbers stand in full precision and are never rounded or altered. A text that a spreadsheet would
take for a formula (it begins with = + - @, a tab or a carriage return) gets an apostrophe in front.
Lines end with CR LF: write the text to a file opened with `newline=""`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import TYPE_CHECKING

from thesisbench.tables.render.headings import grouped_names
from thesisbench.tables.render.layout import lay_out
from thesisbench.tables.render.words import finished
from thesisbench.tables.stats import mean_and_sd

if TYPE_CHECKING:
    from thesisbench.tables.model import Cell
    from thesisbench.tables.session import Session

HEADER = (
    "table", "row", "row_label", "column", "column_name", "metric", "unit", "better", "source",
    "published", "published_sd", "reason", "ours", "ours_sd", "n", "difference", "verdict", "state",
    "why", "scale", "comparable", "runs",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render_csv(pairs: Iterable[tuple[Session, str]]) -> str:
    """Tables of sessions as one CSV text, header first.

    Args:
        pairs: (session, table id), in the order wanted.

    Raises:
        UserError: no such table.
    """
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    for session, table_id in pairs:
        writer.writerows([_field(value) for value in line] for line in _lines(session, table_id))
    return text.getvalue()


def _lines(session: Session, table_id: str) -> Iterator[list[str | float | None]]:
    """The cells of a table, row by row, with the values of HEADER."""
    view, table = lay_out(session, table_id), session.catalog.table(table_id)
    names = grouped_names([column.name for column in table.columns.values()], table.header)
    for shown, (row_key, row) in zip(view.rows, table.rows.items(), strict=True):
        columns = zip(table.columns.items(), names, shown.cells, strict=True)
        for (key, column), name, words in columns:
            cell = session.cells[table_id, row_key, key]
            detail = session.verdicts[table_id, row_key, key]
            yield [
                *(table_id, row_key, row.label, key, name),
                *(column.metric, column.unit, column.better, cell.source),
                *(cell.target.value, cell.target.std, cell.target.reason),
                *_ours(cell),
                *(detail.difference, detail.verdict, cell.state, view.notes.get(words.note)),
                *(session.scale, str(cell.comparable).lower(), _runs(cell)),
            ]


def _ours(cell: Cell) -> tuple[float | None, float | None, int | None]:
    """Mean, spread and number of the seeds that count; a spread needs two of them."""
    values = finished(cell)
    if not values:
        return None, None, None
    mean, sd = mean_and_sd(values)
    return mean, sd if len(values) > 1 else None, len(values)


def _runs(cell: Cell) -> str:
    """Ids of the runs behind a cell, each once, in order of the seeds."""
    return " ".join(dict.fromkeys(i for ids in cell.runs.values() for i in ids))


def _field(value: str | float | None) -> str:
    """A value as it is written: nothing for None, all digits of a number, no formula in a text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return repr(value)
