"""What a figure draws: which numbers, in which panels; nothing here knows how it is drawn.

Columns of one unit share a panel. Published values and ours share an axis only where every value
of ours is of the published experiment; otherwise each has a panel of its own. A cell without a
value is absent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thesisbench.tables.model import Cell
from thesisbench.tables.render.layout import ARROWS, header
from thesisbench.tables.render.words import finished
from thesisbench.tables.spec import Column, Plot, Table
from thesisbench.tables.stats import mean_and_sd

if TYPE_CHECKING:
    from thesisbench.tables.session import Session

BARS = Plot(kind="bar")  # how a figure is drawn that does not say it


@dataclass(frozen=True)
class Point:
    """A number: its place on the x axis (of bars: the index of its category), value and sd.

    Attributes:
        x_sd: of the place, where it was measured too. name: written beside it.
    """

    x: float
    y: float
    sd: float | None = None
    x_sd: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Series:
    """Points that belong together.

    Attributes:
        name: for the legend; may be empty. index: of its colour, the same for published and ours.
        ours: measured here, not published. points: in order of x.
    """

    name: str
    index: int
    ours: bool
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Panel:
    """Series on one pair of axes, with a title above them."""

    title: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Band:
    """Panels side by side that show one quantity: label of the value axis, and the panels."""

    label: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class PlotData:
    """All that a figure draws.

    Attributes:
        kind: line, bar or scatter. xlabel: of the other axis. log: logarithmic axes ("x", "y").
        categories: names of the places on the x axis; none where x is a number.
        bands: one a unit. caption: what is drawn, in sentences.
    """

    kind: str
    xlabel: str
    log: tuple[str, ...]
    categories: tuple[str, ...]
    bands: tuple[Band, ...]
    caption: str

    @property
    def series(self) -> Iterator[Series]:
        """All series of all panels."""
        return (s for band in self.bands for panel in band.panels for s in panel.series)

    @property
    def description(self) -> str:
        """The figure in words, for those who do not see it."""
        bands = [
            f"{band.label}: " + "; ".join(_in_words(s) for p in band.panels for s in p.series)
            for band in self.bands
        ]
        names = {"line": "Line chart", "bar": "Bar chart", "scatter": "Scatter plot"}
        return f"{names[self.kind]}. {'. '.join(bands)}. The table holds all the numbers."


def plot_data(session: Session, table_id: str) -> PlotData | None:
    """What the figure of a table draws; None for a table without one, or without a number.

    A figure of a thesis whose spec does not say how is drawn as bars.
    """
    table = session.catalog.table(table_id)
    plot = table.plot or (BARS if table.kind == "figure" else None)
    if plot is None:
        return None
    reading = _Reading(session, table, plot)
    bands = tuple(filter(None, map(reading.band, _groups(table))))
    if not bands:
        return None
    xlabel = plot.xlabel or (header(table.columns[plot.against]) if plot.against else "")
    caption, log = reading.caption(bands), tuple(plot.log)
    return PlotData(plot.kind, xlabel, log, reading.categories, bands, caption)


def _groups(table: Table) -> list[dict[str, Column]]:
    """Columns by unit, but for one that is the x axis; those without a unit by metric."""
    groups: dict[str, dict[str, Column]] = {}
    against = table.plot.against if table.plot else None
    for key, column in ((k, c) for k, c in table.columns.items() if k != against):
        groups.setdefault(column.unit or column.metric, {})[key] = column
    return list(groups.values())


class _Reading:
    """Turns the cells of a table into series."""

    def __init__(self, session: Session, table: Table, plot: Plot) -> None:
        self.session, self.table, self.plot = session, table, plot
        self.left_out: set[tuple[str, str]] = set()
        self.several = len(_groups(table)) > 1
        cells = [c for c in session.cells.values() if c.table == table.id and _mean(c) is not None]
        self.comparable = all(cell.comparable for cell in cells)
        numeric = plot.kind != "bar" and (plot.x != "row" or plot.against is not None)
        self.places = {} if numeric else self._places()
        self.categories = tuple(self.places.values())

    def band(self, columns: dict[str, Column]) -> Band | None:
        """The panels of columns that share a unit; None where they hold no number."""
        published, ours = self._series(columns, ours=False), self._series(columns, ours=True)
        if published and ours and self.comparable:
            panels = [Panel("", (*published, *ours))]
        else:
            panels = [Panel("published", published)] if published else []
            panels += [Panel(self._title(), ours)] if ours else []
        return Band(self._label(list(columns.values())), tuple(panels)) if panels else None

    def caption(self, bands: Iterable[Band]) -> str:
        """What is drawn and how to read it."""
        panels = [panel for band in bands for panel in band.panels]
        measured = {series.ours for panel in panels for series in panel.series}
        how = "error bars: the standard deviation of ours over seeds"
        if measured == {False}:
            said = ["Published values only: nothing has been measured yet."]
        elif measured == {True}:
            said = [f"Values of ours; {how}."]
        else:
            said = [f"Published values are hollow and dashed, ours filled and solid; {how}."]
        if True in measured and not self.comparable:
            said.append("Ours are not of the published experiment: compare no number with it.")
        if self.left_out:
            said.append(f"{len(self.left_out)} values have no place on these axes.")
        return " ".join(said)

    def _series(self, columns: dict[str, Column], *, ours: bool) -> tuple[Series, ...]:
        found: dict[str, list[Point]] = {}
        for key, column in columns.items():
            for row in self.table.rows:
                name = self._name(row, column.name, alone=len(columns) == 1)
                points = found.setdefault(name, [])
                point = self._point(self.session.cells[self.table.id, row, key], ours=ours)
                if point is not None:
                    points.append(point)
        in_order = {name: sorted(points, key=lambda p: p.x) for name, points in found.items()}
        return tuple(
            Series(name, index, ours, tuple(points))
            for index, (name, points) in enumerate(in_order.items())
            if points
        )

    def _name(self, row: str, column: str, *, alone: bool) -> str:
        parts = [] if alone else [column]
        if self.plot.series is not None:
            parts.append(str(self.table.rows[row].settings.get(self.plot.series, "")))
        return ", ".join(filter(None, parts))

    def _point(self, cell: Cell, *, ours: bool) -> Point | None:
        mean, sd = _value(cell, ours=ours)
        if mean is None:
            return None
        x, x_sd = self._place(cell.row, ours=ours)
        if x is None or ("y" in self.plot.log and mean <= 0):
            self.left_out.add((cell.row, cell.column))
            return None
        return Point(x, mean, sd, x_sd, self._category(cell.row) if self.plot.against else "")

    def _place(self, row: str, *, ours: bool) -> tuple[float | None, float | None]:
        """Where on the axis a row is, and the sd of that."""
        if self.places:
            return float(list(self.places).index(self._identity(row))), None
        if self.plot.against is not None:
            x, sd = _value(self.session.cells[self.table.id, row, self.plot.against], ours=ours)
        else:
            x, sd = _number(self.table.rows[row].settings.get(self.plot.x)), None
        return (None, None) if x is None or ("x" in self.plot.log and x <= 0) else (x, sd)

    def _places(self) -> dict[str, str]:
        """What tells one place on the axis from another -> its name."""
        names: dict[str, str] = {}
        for row in self.table.rows:
            names.setdefault(self._identity(row), self._category(row))
        return names

    def _identity(self, row: str) -> str:
        """Rows of equal label are apart, unless they belong to several curves."""
        apart = self.plot.x == "row" and self.plot.series is None
        return row if apart else self._category(row)

    def _category(self, row: str) -> str:
        spec = self.table.rows[row]
        text: Any = spec.label if self.plot.x == "row" else spec.settings.get(self.plot.x, "")
        return str(text) + (" (ours)" if spec.extra and self.plot.x == "row" else "")

    def _title(self) -> str:
        scale = self.session.scale
        if self.comparable:
            return f"ours, scale {scale}"
        used = [self.session.brief(i) for i, run in self.session.plan.runs.items()
                if self.table.id in run.tables]  # fmt: skip
        stand_in = any(_stands_in(record) for record in used)
        return f"ours, scale {scale}{' (stand-in)' if stand_in else ''}, not comparable"

    def _label(self, columns: list[Column]) -> str:
        if self.several or not self.plot.ylabel:
            return header(columns[0]) if len(columns) == 1 else _shared_header(columns)
        return f"{self.plot.ylabel} {_arrow(columns)}".strip()


def _shared_header(columns: list[Column]) -> str:
    """Metric or unit of several columns, and their direction."""
    names = dict.fromkeys(column.unit or column.metric for column in columns)
    return f"{', '.join(names)} {_arrow(columns)}".strip()


def _arrow(columns: list[Column]) -> str:
    directions = {column.better for column in columns}
    return ARROWS[directions.pop()] if len(directions) == 1 else ""


def _mean(cell: Cell) -> tuple[float, float | None] | None:
    """Mean and sd of what was measured in a cell."""
    values = finished(cell)
    if not values:
        return None
    mean, sd = mean_and_sd(values)
    return mean, sd if len(values) > 1 else None


def _value(cell: Cell, *, ours: bool) -> tuple[float | None, float | None]:
    """Mean and sd of ours, or what is published; None where there is no finite number."""
    mean, sd = (_mean(cell) or (None, None)) if ours else (cell.target.value, None)
    return (None, None) if mean is None or not math.isfinite(mean) else (float(mean), sd)


def _number(setting: Any) -> float | None:
    """A setting that is a finite number."""
    if isinstance(setting, bool) or not isinstance(setting, int | float):
        return None
    return float(setting) if math.isfinite(setting) else None


def _stands_in(record: Any) -> bool:
    facts = (record or {}).get("provenance", {}).get("facts") or {}
    return bool((facts.get("data") or {}).get("stand_in_for"))


def _in_words(series: Series) -> str:
    whose = "ours" if series.ours else "published"
    low, high = min(p.y for p in series.points), max(p.y for p in series.points)
    name = f"{series.name}, " if series.name else ""
    n = len(series.points)
    span = f"{low:.4g}" if low == high else f"from {low:.4g} to {high:.4g}"
    return f"{name}{whose}: {n} {'value' if n == 1 else 'values'}, {span}"
