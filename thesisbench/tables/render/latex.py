r"""A table as LaTeX, in the layout it has in the thesis: published and ours side by side.

A fragment is one float (`table`, or `sidewaystable` where it is wide) with caption, label and
notes. Verdicts are words; there is no colour. Claims are left to the other forms.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thesisbench.tables.render.headings import names_below
from thesisbench.tables.render.latex_text import escape
from thesisbench.tables.render.layout import lay_out
from thesisbench.tables.render.view import CellView, RowView, TableView

if TYPE_CHECKING:
    from thesisbench.tables.session import Session

PACKAGES = (
    r"\usepackage[T1]{fontenc}",
    r"\usepackage{adjustbox}",
    r"\usepackage{booktabs}",
    r"\usepackage{rotating}",
)
LABEL_WIDTH = 40  # characters of a row's label in a line
NAME_WIDTH = 22  # characters of a column's name in a line
SIDEWAYS = 110  # characters beyond which a table is turned

_MINUS = re.compile(r"(?<!\S)-(?=\d)")
_SKIPPED = re.compile(r"^((?:= )?skipped): .*", re.DOTALL)  # why is said by the note
_ARROW = re.compile(" (?=[↑↓])")  # stays on the line of the last word
_BREAK = re.compile(r", |(?<=^not run) ")
_COMPARED = ("reproduced", "better", "worse", "undecided")


@dataclass(frozen=True)
class _Part:
    """One of the columns under a column's name: its head, and the lines of its cells."""

    name: str
    lines: Callable[[CellView], list[str]]


_PUBLISHED = _Part("published", lambda cell: [cell.published])
_OURS = _Part("ours", lambda cell: _BREAK.split(_SKIPPED.sub(r"\1", cell.ours)))
_VERDICT = _Part("verdict", lambda cell: [*filter(None, [cell.difference]), cell.verdict])


def render_latex(session: Session, table_id: str) -> str:
    """A table of a session as a LaTeX float, ending with a newline.

    Raises:
        UserError: no such table.
    """
    view = lay_out(session, table_id)
    parts = _parts(view)
    body = [_row(row, parts, last=row is view.rows[-1]) for row in view.rows]
    turned = sum(_widths(view, parts)) > SIDEWAYS
    float_, tall = ("sidewaystable", "width") if turned else ("table", "height")
    spec = f"l*{{{len(view.columns) * len(parts)}}}{{r}}"
    return "\n".join(
        [
            f"% Table {escape(view.id)} at scale {view.scale}. It needs",
            *(f"%   {package}" for package in PACKAGES),
            f"\\begin{{{float_}}}[tbp]",
            r"\centering\small\setlength{\belowcaptionskip}{6pt}",
            rf"\caption[{escape(view.title)}]{{{_caption(view, parts)}}}",
            rf"\label{{{label(view.id)}}}",
            rf"\begin{{adjustbox}}{{max width=\linewidth, max totalheight=0.6\text{tall}}}",
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            *_head(view, parts),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{adjustbox}",
            *_notes(view),
            f"\\end{{{float_}}}",
            "",
        ]
    )


def latex_document(fragments: Iterable[str]) -> str:
    """A whole document of fragments that pdflatex compiles."""
    return "\n".join(
        [
            r"\documentclass[a4paper]{article}",
            r"\usepackage[margin=2cm]{geometry}",
            *PACKAGES,
            r"\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}",
            r"\begin{document}",
            *(f"{fragment}\\clearpage" for fragment in fragments),
            r"\end{document}",
            "",
        ]
    )


def label(table_id: str) -> str:
    r"""What `\ref` calls a table.

    >>> label("kayhan.t2.1")
    'tab:kayhan-t2-1'
    """
    return f"tab:{re.sub('[^A-Za-z0-9]+', '-', table_id)}"


def _parts(view: TableView) -> list[_Part]:
    """Published only, where nothing is run; a verdict only where a cell is compared."""
    if view.targets_only:
        return [_PUBLISHED]
    compared = any(cell.verdict in _COMPARED for row in view.rows for cell in row.cells)
    return [_PUBLISHED, _OURS, *([_VERDICT] if compared else [])]


def _caption(view: TableView, parts: Sequence[_Part]) -> str:
    """Id and title, the facts that stand above a table, and what its signs mean."""
    sentences = [f"{view.title.rstrip('.')}.", *view.facts]
    sentences += [f"{view.legend[0].upper()}{view.legend[1:]}."] if view.legend else []
    if _VERDICT in parts:
        sentences.append("Verdict: ours minus published, where both are there, and in a word.")
    return rf"\texttt{{{escape(view.id)}}}: {escape(' '.join(sentences))}"


def _head(view: TableView, parts: Sequence[_Part]) -> list[str]:
    """Labels over groups of columns, names of columns, and what stands under each name."""
    lines = []
    if view.groups:
        lines += _spanning([(name, over * len(parts)) for name, over in view.groups])
    named = [(name, len(parts)) for name in names_below(view.columns, view.groups)]
    lines += _spanning(named) if len(parts) > 1 else _spanning(named)[:1]
    if len(parts) > 1:
        names = [part.name for _ in view.columns for part in parts]
        lines.append(rf" & {' & '.join(names)} \\")
    return lines


def _spanning(named: Iterable[tuple[str, int]]) -> list[str]:
    """A line of names over so many columns each, and the rules under those that have a name."""
    cells, rules, at = [], [], 2
    for name, over in named:
        kept = _ARROW.sub("\u00a0", name)
        text = _stacked(textwrap.wrap(kept, NAME_WIDTH * over) or [""], "b", "c")
        cells.append(rf"\multicolumn{{{over}}}{{c}}{{{text}}}")
        rules += [rf"\cmidrule(lr){{{at}-{at + over - 1}}}"] if name else []
        at += over
    return [rf" & {' & '.join(cells)} \\", *(["".join(rules)] if rules else [])]


def _row(row: RowView, parts: Sequence[_Part], *, last: bool) -> str:
    cells = [_stacked(textwrap.wrap(row.label, LABEL_WIDTH), "t", "l")]
    for cell in row.cells:
        for part in parts:
            text = _stacked(part.lines(cell), "t", "r")
            noted = cell.note and part is not _PUBLISHED and part is parts[-1]
            cells.append(rf"{text}\textsuperscript{{{cell.note}}}" if noted else text)
    tall = any("tabular" in cell for cell in cells) and not last
    return f"{' & '.join(cells)} " + (r"\\ \addlinespace" if tall else r"\\")


def _stacked(lines: Sequence[str], place: str, side: str) -> str:
    """Lines of text, one above the other; the first or last of them is on the line of its row."""
    texts = [_MINUS.sub("$-$", escape(line)) for line in lines]
    if len(texts) < 2:
        return "".join(texts)
    inner = r"\\".join(texts)
    return rf"\begin{{tabular}}[{place}]{{@{{}}{side}@{{}}}}{inner}\end{{tabular}}"


def _widths(view: TableView, parts: Sequence[_Part]) -> list[int]:
    """Characters that the labels and then each column take, with the space after them."""
    labels = [line for row in view.rows for line in textwrap.wrap(row.label, LABEL_WIDTH)]
    columns = zip(*(row.cells for row in view.rows), strict=True)
    texts = [
        [part.name, *(line for cell in column for line in part.lines(cell))]
        for column in columns
        for part in parts
    ]
    return [2 + max(map(len, lines)) for lines in (labels, *texts)]


def _notes(view: TableView) -> list[str]:
    """What the letters mean, and remarks, under the table; without a grid, all have one reason."""
    letters = {} if view.targets_only else view.notes
    notes = [rf"\textsuperscript{{{n}}} {escape(why)}" for n, why in letters.items()]
    notes += [f"Note: {escape(remark)}" for remark in view.remarks]
    if not notes:
        return []
    lines = [rf"{note}\par" for note in notes]
    head = r"\begin{minipage}{\linewidth}\footnotesize\raggedright"
    return [r"\par\medskip", head, *lines, r"\end{minipage}"]
