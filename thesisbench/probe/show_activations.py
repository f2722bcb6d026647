"""The report on responses of layers: in the terminal, for machines, and as a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thesisbench.metrics.activations import LayerFigures
from thesisbench.probe.show import write_drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

COLUMNS = {  # figure -> its heading and format
    "drift": ("drift", ".3g"),
    "std": ("std", ".3g"),
    "dominant": ("top %", ".0f"),
    "skewness": ("skew", ".2f"),
    "symmetry": ("sym", ".2f"),
    "weight_symmetry": ("w sym", ".2f"),
    "constant": ("const %", ".0f"),
}
UNTRAINED = "random weights; batch normalisations use the statistics of these images"


@dataclass(frozen=True)
class ActivationReport:
    """What was probed and what came out.

    Attributes:
        name: of the network. trained: False for random weights. images: what they are.
        count: how many. layers: figures of each layer, in the order of computing.
    """

    name: str
    trained: bool
    images: str
    count: int
    layers: tuple[LayerFigures, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def heading(self) -> list[str]:
        """What was probed and what the figures are, in lines."""
        lines = [
            f"activations of {self.name}: {self.count} images ({self.images}), "
            "outputs of convolutions and linear layers",
            "drift: |mean|/std of a channel; top: positions at which the channel that is largest "
            "most often is the largest; sym, w sym: symmetry around zero of responses and of "
            "weights, 1 symmetric, 0 one-sided; const: channels that do not vary",
        ]
        return lines if self.trained else [*lines, UNTRAINED]

    def rows(self) -> list[list[str]]:
        """The table; the first row is its head."""
        found = [["layer", "ch", *(heading for heading, _ in COLUMNS.values())]]
        for layer in self.layers:
            values = [(getattr(layer, key), form) for key, (_, form) in COLUMNS.items()]
            cells = ["-" if value is None else f"{value:{form}}" for value, form in values]
            found.append([layer.name or "(network)", str(layer.channels), *cells])
        return found


def print_activations(report: ActivationReport, console: Console) -> None:
    """A table with a row a layer."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    for line in report.heading():
        console.print(line, markup=False, highlight=False)
    head, *rows = report.rows()
    table = Table(*(escape(name) for name in head), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns:
        column.no_wrap = True
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def write_activations(report: ActivationReport, path: Path) -> None:
    """Writes a picture, or a page with the picture and the table.

    Raises:
        StorageError: the file cannot be written.
    """
    write_drawn(path, _draw(report), "Activations", report.heading(), report.rows())


def _draw(report: ActivationReport) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    left = figure.add_subplot(1, 2, 1, xlabel="layer", yscale="log")
    right = figure.add_subplot(1, 2, 2, xlabel="layer", ylim=(0, 1.03))
    numbers = range(1, len(report.layers) + 1)

    def values(key: str) -> list[float]:
        found = (getattr(layer, key) for layer in report.layers)
        return [float("nan") if value is None else value for value in found]

    for key in ("drift", "std"):
        left.plot(numbers, values(key), marker=".", label=COLUMNS[key][0])
    right.plot(numbers, values("symmetry"), marker=".", label="symmetry")
    right.plot(numbers, values("weight_symmetry"), marker=".", label="symmetry of weights")
    shares = [share / 100 for share in values("dominant")]
    right.plot(numbers, shares, marker=".", color="black", label="dominant share")
    for axes in (left, right):
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), fontsize="small")
    return figure
