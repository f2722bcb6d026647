"""A table as Markdown: one line a cell, then what the letters mean, then the claims."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from thesisbench.tables.render.headings import grouped_names
from thesisbench.tables.render.layout import lay_out
from thesisbench.tables.render.view import ClaimView, TableView

if TYPE_CHECKING:
    from thesisbench.tables.session import Session

_MARKUP = re.compile(r"([\\`*_\[\]|~#$])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ATOMS = ("Atom", "Kind", "Result", "Margin", "Interval", "n", "Power", "Why")


def render_markdown(session: Session, table_id: str) -> str:
    """A table of a session as Markdown, ending with a newline.

    Raises:
        UserError: no such table.
    """
    view = lay_out(session, table_id)
    parts = [f"# {escape(view.id)}: {escape(view.title)}"]
    parts.append(_bullets(view.facts))
    parts.append(_cells(view))
    parts.append(f"{escape(view.legend)}." if view.legend else "")
    parts.append(_bullets(f"({letter}) {why}" for letter, why in view.notes.items()))
    parts += [f"Note: {escape(remark)}" for remark in view.remarks]
    if view.claims:
        parts.append("## Claims")
        parts += [_claim(claim) for claim in view.claims]
    return "\n\n".join(filter(None, parts)) + "\n"


def escape(text: str) -> str:
    r"""Text in which nothing is markup, a pipe ends no cell and a line break no line.

    >>> escape("a|b_<script>")
    'a\\|b\\_&lt;script&gt;'
    """
    plain = "".join(_HTML.get(c, c) for c in " ".join(text.split()))
    return _MARKUP.sub(r"\\\1", plain)


def _cells(view: TableView) -> str:
    """The table, one line a cell; a table of a single column does without the name of it."""
    single, names = len(view.columns) == 1, grouped_names(view.columns, view.groups)
    apart = ["Difference"] if view.has_differences else []
    heads = ["Row", *([] if single else ["Column"]), "Published", "Ours", *apart, "Verdict"]
    lines = []
    for row in view.rows:
        for name, cell in zip(names, row.cells, strict=True):
            words = [row.label, *([] if single else [name]), cell.published, cell.ours]
            words += [cell.difference] if apart else []
            lines.append([*words, f"{cell.verdict} ({cell.note})" if cell.note else cell.verdict])
    table = _table(heads, lines)
    return f"{escape(names[0])}:\n\n{table}" if single else table


def _claim(claim: ClaimView) -> str:
    parts = [f"### {escape(claim.id)}: {escape(claim.summary)}", escape(claim.text)]
    if claim.why:
        parts.append(f"Why: {escape(claim.why)}")
    if claim.atoms:
        rows = [
            [a.text, a.kind, a.result, a.margin, a.interval, a.n, a.power, a.why]
            for a in claim.atoms
        ]
        parts.append(_table(_ATOMS, rows))
    return "\n\n".join(parts)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(heads), ["---"] * len(heads)]
    lines += [[escape(text) for text in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(texts: Iterable[str]) -> str:
    return "\n".join(f"- {escape(text)}" for text in texts)
