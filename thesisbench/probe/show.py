"""The equivariance report: in the terminal, for machines, and as a picture.

Also the files that the reports of all probes are written to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from io import StringIO
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from thesisbench.errors import StorageError, UserError, unknown
from thesisbench.probe.equivariance import Change

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

ENDINGS = (".png", ".svg", ".html")
UNTRAINED = "random weights, in evaluation mode: says what the structure does, nothing of training"


@dataclass(frozen=True)
class Report:
    """What was probed and what came out.

    Attributes:
        name: of the network. trained: False for random weights. images: what they are.
        count: how many. mode: canvas or cyclic. stride: total stride, None: not known.
        changes: one a shift.
    """

    name: str
    trained: bool
    images: str
    count: int
    mode: str
    stride: int | None
    changes: tuple[Change, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data, with the mean over shifts that are multiples of the stride and others."""
        return {**asdict(self), "changes": [asdict(c) for c in self.changes], "mean": self.means()}

    def means(self) -> dict[str, dict[str, float | None]]:
        """Kind of shift -> mean of each figure, of kinds that there are."""
        kinds = {"multiples": True, "others": False} if self.stride else {"all": None}
        found = {name: [c for c in self.changes if c.aligned is k] for name, k in kinds.items()}
        return {name: _mean(changes) for name, changes in found.items() if changes}


def print_report(report: Report, console: Console) -> None:
    """A table of shifts, and the means below it."""
    from rich.table import Table

    for line in heading(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    table = Table("shift (px)", "multiple", "logits", "features", "same class")
    for change in report.changes:
        table.add_row(str(change.shift), _word(change.aligned), *_cells(asdict(change)))
    table.add_section()
    for name, means in report.means().items():
        table.add_row("mean", name, *_cells(means))
    console.print(table)


def heading(report: Report) -> list[str]:
    """What was probed, in lines."""
    stride = f"total stride {report.stride} px" if report.stride else "total stride not known"
    moved = "on a black canvas" if report.mode == "canvas" else "cyclically"
    lines = [
        f"equivariance of {report.name}: {report.count} images ({report.images}), "
        f"shifted {moved} down and to the right; {stride}",
        "change relative to the size of logits and pooled features; same class in percent",
    ]
    return lines if report.trained else [*lines, UNTRAINED]


def check_out(path: Path | None) -> None:
    """Raises UserError for a file of a kind that is not written."""
    if path is not None and path.suffix not in ENDINGS:
        raise UserError(unknown("ending of --out", path.suffix or path.name, ENDINGS))


def write_report(report: Report, path: Path) -> None:
    """Writes a picture, or a page with the picture and the table.

    Raises:
        StorageError: the file cannot be written.
    """
    names = ("shift (px)", "multiple", "logits", "features", "same class (%)")
    rows = [[str(c.shift), _word(c.aligned), *_cells(asdict(c))] for c in report.changes]
    rows += [["mean", name, *_cells(means)] for name, means in report.means().items()]
    write_drawn(path, _draw(report), "Equivariance", heading(report), [names, *rows])


def write_drawn(
    path: Path, figure: Figure, title: str, lines: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Writes a figure, or a page with the figure and a table.

    Args:
        path: ends in .png, .svg or .html.
        figure: drawn.
        title: of the page.
        lines: said above the figure.
        rows: of the table; the first is its head.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        if path.suffix == ".html":
            path.write_text(_page(figure, title, lines, rows), encoding="utf-8")
        else:
            figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else {})
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def _draw(report: Report) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    left = figure.add_subplot(1, 2, 1, xlabel="shift (px)", ylabel="relative change")
    right = figure.add_subplot(1, 2, 2, xlabel="shift (px)", ylabel="same class (%)", ylim=(0, 103))
    shifts = [change.shift for change in report.changes]
    left.plot(shifts, [c.logits for c in report.changes], marker=".", label="logits")
    if all(c.features is not None for c in report.changes):
        left.plot(shifts, [c.features or 0.0 for c in report.changes], marker=".", label="features")
    right.plot(shifts, [c.agreement for c in report.changes], marker=".", color="black")
    for axes in (left, right):
        for shift in (c.shift for c in report.changes if c.aligned):
            axes.axvline(shift, color="0.85", zorder=0)
    left.set_ylim(bottom=0)
    left.legend(frameon=False)
    return figure


def _page(figure: Figure, title: str, lines: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    drawn = StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    names, *others = rows
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in others
    )
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    svg = drawn.getvalue()
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1>{said}{svg[svg.index('<svg') :]}"
        f"<table><tr>{head}</tr>{body}</table></html>\n"
    )


def _mean(changes: Sequence[Change]) -> dict[str, float | None]:
    features = [c.features for c in changes if c.features is not None]
    return {
        "logits": fmean(c.logits for c in changes),
        "features": fmean(features) if features else None,
        "agreement": fmean(c.agreement for c in changes),
    }


def _word(aligned: bool | None) -> str:
    return {None: "?", True: "yes", False: "no"}[aligned]


def _cells(values: dict[str, Any]) -> list[str]:
    features = "-" if values["features"] is None else f"{values['features']:.2e}"
    return [f"{values['logits']:.2e}", features, f"{values['agreement']:.1f}"]
