"""What a table says: columns, rows, published values, stand-in; typed, validated on load.

The exact meaning is in docs/spec-format.md. Nothing here knows Hydra, runs or any chapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from thesisbench.errors import SpecError, unknown
from thesisbench.tables.chapter import Chapter, LevelName, Struct, check_keys, check_level, word
from thesisbench.tables.model import Source
from thesisbench.tables.typed import convert

# Why a cell has no printed value; one that is not applicable is not run either.
REASONS = ("not_printed", "diverged", "not_applicable", "not_measured")

Number = int | float


class Column(Struct, frozen=True):
    """A column: a metric, perhaps at fixed levels, or derived from other columns."""

    name: str
    metric: str
    unit: str = ""
    better: Literal["higher", "lower", "none"] = "higher"
    at: dict[str, LevelName] = {}
    step: str | None = None
    read: str | None = None
    cell: str | None = None
    decimals: int | None = None


class Row(Struct, frozen=True):
    """A row: levels, published values, and where its numbers come from.

    Attributes:
        settings: what the thesis says of the row (backbone, loss, ...), for readers and searches;
            nothing is run from it.
    """

    label: str
    settings: dict[str, Any] = {}
    at: dict[str, LevelName] = {}
    step: str | None = None
    read: str | dict[str, str] | None = None
    values: dict[str, Number | None] = {}
    std: dict[str, Number | None] = {}
    reasons: dict[str, str] = {}
    source: Source = "run"
    sources: dict[str, Source] = {}
    cell: str | None = None
    extra: bool = False
    note: str | None = None


class StandIn(Struct, frozen=True):
    """Bounds that show a stand-in is neither too easy nor too hard."""

    reference: str
    chance: Number
    perfect: Number
    why: str | None = None


class Plot(Struct, frozen=True):
    """How a figure is drawn.

    Attributes:
        kind: of marks; a column is a series.
        x: settings key whose number is a row's place on the axis; "row" takes rows in order.
        against: column whose values are the places instead (scatter); points bear row labels.
        series: settings key by which rows belong to one curve or another.
        log: axes with a logarithmic scale.
    """

    kind: Literal["line", "bar", "scatter"]
    x: str = "row"
    against: str | None = None
    series: str | None = None
    xlabel: str = ""
    ylabel: str = ""
    log: list[Literal["x", "y"]] = []


class Table(Struct, frozen=True):
    """A published table or numeric figure, or a supplement of ours.

    Attributes:
        says: what the thesis concludes from it, in a sentence.
        datasets, weights: names in experiments/datasets.yaml and weights.yaml.
        header: labels over groups of columns, and how many columns each stands over.
    """

    id: str
    thesis: str
    chapter: int
    kind: Literal["table", "figure", "supplement"]
    title: str
    task: str
    columns: dict[str, Column]
    rows: dict[str, Row]
    source: str | int | None = None
    says: str | None = None
    datasets: list[str] = []
    weights: list[str] = []
    replicates: dict[str, dict[Literal["smoke", "small", "paper"], list[int]] | list[int]] = {}
    published_n: int | None = None
    at: dict[str, LevelName] = {}
    step: str | None = None
    stand_in: StandIn | None = None
    header: list[tuple[str, int]] = []
    plot: Plot | None = None
    notes: str | None = None
    findings: str | None = None

    @property
    def key(self) -> str:
        """The name atoms use: "kayhan.t2.1" -> "t2_1"."""
        return self.id.split(".", 1)[1].replace(".", "_").lower()

    @property
    def steps(self) -> list[str]:
        """The steps its cells name, in order."""
        return list(dict.fromkeys(step for _, step in _steps(self)))

    @property
    def says_how(self) -> bool:
        """It names a step or a level; a table that names none has targets only."""
        return bool(self.steps) or any(at for _, at in _assignments(self))


def parse_table(data: Any, chapter: Chapter, origin: str) -> Table:
    """Validates a table against its chapter.

    Raises:
        SpecError: naming file, key and valid choices.
    """
    table: Table = convert(data, Table, origin)
    thesis = chapter.slug.split("/")[0]
    if table.thesis != thesis or not table.id.startswith(f"{thesis}."):
        raise SpecError(
            f"{origin}: id {table.id!r} and thesis {table.thesis!r} must be of {thesis!r}"
        )
    check_keys([*table.columns, *table.rows, table.key], origin)
    for place, at in _assignments(table):
        for factor, level in at.items():
            check_level(chapter, factor, word(level), f"{origin}: {place}.at")
    for place, step in _steps(table):
        if step not in chapter.steps:
            raise SpecError(f"{origin}: {place}: {unknown('step', step, chapter.steps)}")
    for name, row in table.rows.items():
        _check_row(table, name, row, origin)
    _check_layout(table, origin)
    return table


def _check_layout(table: Table, origin: str) -> None:
    over = sum(n for _, n in table.header)
    if table.header and (over != len(table.columns) or min(n for _, n in table.header) < 1):
        raise SpecError(
            f"{origin}: header stands over {over} columns, and the table has {len(table.columns)}"
        )
    if table.plot is None:
        return
    known = dict.fromkeys(key for row in table.rows.values() for key in row.settings)
    for place, key in (("x", table.plot.x), ("series", table.plot.series)):
        if key not in (None, "row", *known):
            raise SpecError(f"{origin}: plot.{place}: {unknown('setting', str(key), known)}")
    _check_against(table, table.plot, origin)


def _check_against(table: Table, plot: Plot, origin: str) -> None:
    if plot.against is None:
        return
    if plot.against not in table.columns:
        known = tuple(table.columns)
        raise SpecError(f"{origin}: plot.against: {unknown('column', plot.against, known)}")
    if plot.kind != "scatter" or plot.x != "row" or len(table.columns) < 2:
        text = "plot.against is for `kind: scatter` without `x`, of a table with another column"
        raise SpecError(f"{origin}: {text}")


def _assignments(table: Table) -> list[tuple[str, dict[str, LevelName]]]:
    rows = [(f"rows.{k}", r.at) for k, r in table.rows.items()]
    columns = [(f"columns.{k}", c.at) for k, c in table.columns.items()]
    return [("table", table.at), *rows, *columns]


def _steps(table: Table) -> list[tuple[str, str]]:
    named = [("step", table.step)]
    named += [(f"rows.{k}.step", r.step) for k, r in table.rows.items()]
    named += [(f"columns.{k}.step", c.step) for k, c in table.columns.items()]
    return [(place, step) for place, step in named if step is not None]


def _check_row(table: Table, name: str, row: Row, origin: str) -> None:
    per_column: dict[str, Mapping[str, Any]] = {
        "values": row.values,
        "std": row.std,
        "reasons": row.reasons,
        "sources": row.sources,
    }
    if isinstance(row.read, dict):
        per_column["read"] = row.read
    for place, entries in per_column.items():
        for column in entries:
            if column not in table.columns:
                raise SpecError(
                    f"{origin}: rows.{name}.{place}: {unknown('column', column, table.columns)}"
                )
    for column, reason in row.reasons.items():
        if reason not in REASONS:
            raise SpecError(
                f"{origin}: rows.{name}.reasons.{column}: {unknown('reason', reason, REASONS)}"
            )
    if row.extra and row.values:
        raise SpecError(f"{origin}: rows.{name}: an extra row is ours and has no published values")
    if (row.source == "derived") != (row.cell is not None):
        raise SpecError(f"{origin}: rows.{name}: 'source: derived' and 'cell:' go together")
