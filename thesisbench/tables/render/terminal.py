"""A table on a terminal: words carry every meaning, colour only repeats it.

Where the window is too narrow for columns, each cell becomes a few lines of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from thesisbench.tables.render.headings import grouped_names
from thesisbench.tables.render.layout import lay_out
from thesisbench.tables.render.view import AtomView, CellView, ClaimView, TableView

if TYPE_CHECKING:
    from thesisbench.tables.session import Session

NARROW = 70  # columns of text below which cells are stacked

_STYLES = {
    "reproduced": "green",
    "better": "cyan",
    "holds": "green",
    "worse": "red",
    "fails": "red",
    "failed": "red",
    "undecided": "yellow",
    "missing": "yellow",
}


def render_terminal(session: Session, table_id: str, console: Console) -> None:
    """Prints a table of a session, what its letters mean, and the claims that rest on it.

    Raises:
        UserError: no such table.
    """
    view = lay_out(session, table_id)
    _say(console, f"{view.id}: {view.title}", "bold")
    for fact in view.facts:
        _say(console, fact)
    if console.width < NARROW:
        _print_stacked(view, console)
    else:
        console.print(_cells(view))
    if view.legend:
        _say(console, view.legend, "dim")
    for letter, why in view.notes.items():
        _say(console, f"({letter}) {why}")
    for remark in view.remarks:
        _say(console, f"Note: {remark}", "dim")
    for claim in view.claims:
        _print_claim(claim, console)
    console.print()


def _say(console: Console, text: str, style: str = "", indent: int = 0) -> None:
    """Prints text as it is: brackets are no markup, and numbers get no colours of their own."""
    console.print(Padding(Text(text, style=style, overflow="fold"), (0, 0, 0, indent)))


def _cells(view: TableView) -> Table:
    """The table, one line a cell; a row's label stands at its first cell."""
    single, names = len(view.columns) == 1, grouped_names(view.columns, view.groups)
    title = Text(names[0], style="bold") if single else None
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for name in ("Row", *([] if single else ["Column"])):
        table.add_column(name, overflow="fold")
    for name in ("Published", "Ours", *(["Difference"] if view.has_differences else [])):
        table.add_column(name, overflow="fold", justify="right")
    table.add_column("Verdict", no_wrap=True)
    for row in view.rows:
        label = row.label
        for name, cell in zip(names, row.cells, strict=True):
            words = [label, *([] if single else [name]), cell.published, cell.ours]
            words += [cell.difference] if view.has_differences else []
            table.add_row(*map(Text, words), _verdict(cell.verdict, cell.note))
            label = ""
        if not single:
            table.add_section()
    return table


def _print_stacked(view: TableView, console: Console) -> None:
    names = grouped_names(view.columns, view.groups)
    for row in view.rows:
        console.print()
        _say(console, row.label, "bold")
        for name, cell in zip(names, row.cells, strict=True):
            _say(console, name, indent=2)
            for text in _lines(cell):
                console.print(Padding(text, (0, 0, 0, 4)))
    console.print()


def _lines(cell: CellView) -> list[Text]:
    lines = [f"published: {cell.published}", f"ours: {cell.ours}"]
    lines += [f"difference: {cell.difference}"] if cell.difference else []
    return [*map(Text, lines), Text("verdict: ").append(_verdict(cell.verdict, cell.note))]


def _verdict(word: str, note: str = "") -> Text:
    text = Text(word, style=_STYLES.get(word, ""))
    return text.append(f" ({note})", style="default") if note else text


def _print_claim(claim: ClaimView, console: Console) -> None:
    console.print()
    head = Text(f"Claim {claim.id} ", style="bold", overflow="fold")
    console.print(head.append(claim.summary, style=_STYLES.get(claim.summary.split()[0], "")))
    _say(console, claim.text, indent=2)
    if claim.why:
        _say(console, f"Why: {claim.why}", indent=2)
    if claim.atoms:
        console.print(Padding(atoms_grid(claim), (0, 0, 0, 2)))


def atoms_grid(claim: ClaimView) -> Table:
    """Result beside each atom, what it rests on below."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for atom in claim.atoms:
        below = Text(f"\n{_basis(atom)}", style="dim")
        grid.add_row(_verdict(atom.result), Text(atom.text).append(below))
    return grid


def _basis(atom: AtomView) -> str:
    margin = (
        ", ".join(filter(None, (f"margin {atom.margin}", atom.interval))) if atom.margin else ""
    )
    n = f"n = {atom.n}" if atom.n else ""
    return "; ".join(filter(None, (atom.kind, margin, n, atom.power, atom.why)))
