"""What a chapter says and what a table says: typed, validated on load.

The exact meaning is in docs/spec-format.md. Nothing here knows Hydra, runs or any chapter.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from thesisbench.errors import SpecError, unknown
from thesisbench.tables.model import SCALES, Kind, Source
from thesisbench.tables.typed import convert

KEY = re.compile(r"[a-z][a-z0-9_]*\Z")
RESERVED = frozenset(keyword.kwlist)
# Why a cell has no printed value; one that is not applicable is not run either.
REASONS = ("not_printed", "diverged", "not_applicable", "not_measured")
EMPTY_LEVELS = ("false", "none")

LevelName = str | bool
Number = int | float


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything read from a spec: unknown keys are errors."""


class Need(_Struct, frozen=True):
    """An input of a step: which step makes it, with which changed levels, under which condition."""

    step: str
    at: dict[str, LevelName] = {}
    when: str | dict[str, list[LevelName]] | None = None


class Step(_Struct, frozen=True):
    """A recipe used in a chapter.

    Attributes:
        kind: fit, eval, prepare or analytic.
        recipe: its name in conf/experiment/<thesis>/<chapter>/.
        takes: factors it receives; their order is the order of precedence.
        needs: input name -> the step that makes it (a list: several runs in order).
        scales: scale -> the step's own overrides there.
        replicates: replicate keys it takes; None takes all of the table's.
        exclusive: timed, so nothing runs beside it.
    """

    kind: Kind
    recipe: str
    takes: list[str] = []
    needs: dict[str, str | Need | list[str | Need]] = {}
    scales: dict[Literal["smoke", "small", "paper"], list[str]] = {}
    replicates: list[str] | None = None
    exclusive: bool = False

    def inputs(self) -> dict[str, list[Need]]:
        """Input name -> needs, in the long form."""
        return {
            name: [n if isinstance(n, Need) else Need(step=n) for n in _as_list(value)]
            for name, value in self.needs.items()
        }


class Column(_Struct, frozen=True):
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


class Row(_Struct, frozen=True):
    """A row: levels, published values, and where its numbers come from."""

    label: str
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


class StandIn(_Struct, frozen=True):
    """Bounds that show a stand-in is neither too easy nor too hard."""

    reference: str
    chance: Number
    perfect: Number
    why: str | None = None


class Table(_Struct, frozen=True):
    """A published table or numeric figure, or a supplement of ours."""

    id: str
    thesis: str
    chapter: int
    kind: Literal["table", "figure", "supplement"]
    title: str
    task: str
    columns: dict[str, Column]
    rows: dict[str, Row]
    source: str | int | None = None
    datasets: list[str] = []
    replicates: dict[str, dict[Literal["smoke", "small", "paper"], list[int]] | list[int]] = {}
    published_n: int | None = None
    at: dict[str, LevelName] = {}
    step: str | None = None
    stand_in: StandIn | None = None
    header: list[Any] | None = None
    plot: dict[str, Any] | None = None
    notes: str | None = None
    findings: str | None = None

    @property
    def key(self) -> str:
        """The name atoms use: "kayhan.t2.1" -> "t2_1"."""
        return self.id.split(".", 1)[1].replace(".", "_").lower()


@dataclass(frozen=True)
class Overrides:
    """A level that can be run: overrides in Hydra's grammar."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Skip:
    """A level that is not run at a scale."""

    reason: str


@dataclass(frozen=True)
class SameAs:
    """A level that shows another level's run."""

    level: str


Level = Overrides | Skip | SameAs


class _ChapterFile(_Struct, frozen=True):
    title: str
    levels: dict[str, dict[LevelName, Any]] = {}
    steps: dict[str, Step] = {}
    defaults: dict[str, LevelName] = {}


@dataclass(frozen=True)
class Chapter:
    """Levels and steps of a chapter.

    Attributes:
        slug: "<thesis>/<chapter>".
        levels: factor -> level -> scale -> what it means there.
        defaults: factor -> the level an unset factor takes.
    """

    slug: str
    title: str
    levels: Mapping[str, Mapping[str, Mapping[str, Level]]]
    steps: Mapping[str, Step]
    defaults: Mapping[str, str]

    def level(self, factor: str, name: str, scale: str) -> Level:
        """What a level means at a scale; "smoke" falls back on "small"."""
        scales = self.levels[factor][name]
        return scales[scale] if scale in scales else scales["small"]


def word(level: LevelName) -> str:
    """A level as a word: YAML's true and false are the words "true" and "false"."""
    return str(level).lower() if isinstance(level, bool) else level


def parse_chapter(data: Any, slug: str, origin: str) -> Chapter:
    """Validates chapter.yaml.

    Raises:
        SpecError: naming file, key and valid choices.
    """
    raw: _ChapterFile = convert(data, _ChapterFile, origin)
    levels = {
        factor: _parse_factor(names, f"{origin}: levels.{factor}")
        for factor, names in raw.levels.items()
    }
    chapter = Chapter(
        slug, raw.title, levels, raw.steps, {f: word(v) for f, v in raw.defaults.items()}
    )
    _check_keys([*levels, *raw.steps, *(n for d in levels.values() for n in d)], origin)
    _check_same_as(chapter, origin)
    for factor, level in chapter.defaults.items():
        check_level(chapter, factor, level, f"{origin}: defaults")
    for name, step in raw.steps.items():
        _check_step(chapter, name, step, origin)
    return chapter


def check_level(chapter: Chapter, factor: str, level: str, origin: str) -> None:
    """Raises SpecError unless the chapter has this level of this factor."""
    if factor not in chapter.levels:
        raise SpecError(f"{origin}: {unknown('factor', factor, chapter.levels)}")
    if level not in chapter.levels[factor]:
        raise SpecError(f"{origin}: {unknown(f'level of {factor}', level, chapter.levels[factor])}")


def _check_same_as(chapter: Chapter, origin: str) -> None:
    for factor, names in chapter.levels.items():
        for name, scales in names.items():
            for scale, value in scales.items():
                if not isinstance(value, SameAs):
                    continue
                where = f"{origin}: levels.{factor}.{name}.{scale}"
                check_level(chapter, factor, value.level, where)
                if isinstance(chapter.level(factor, value.level, scale), SameAs):
                    raise SpecError(
                        f"{where}: same_as {value.level!r} is itself same_as another level"
                    )


def _check_step(chapter: Chapter, name: str, step: Step, origin: str) -> None:
    where = f"{origin}: steps.{name}"
    for factor in step.takes:
        if factor not in chapter.levels:
            raise SpecError(f"{where}.takes: {unknown('factor', factor, chapter.levels)}")
    for key, needs in step.inputs().items():
        for need in needs:
            if need.step not in chapter.steps:
                raise SpecError(f"{where}.needs.{key}: {unknown('step', need.step, chapter.steps)}")
            for factor, level in need.at.items():
                check_level(chapter, factor, word(level), f"{where}.needs.{key}.at")
            for factor in _when(need):
                if factor not in chapter.levels:
                    raise SpecError(
                        f"{where}.needs.{key}.when: {unknown('factor', factor, chapter.levels)}"
                    )
    _check_cycle(chapter, name, (), origin)


def _check_cycle(chapter: Chapter, name: str, path: tuple[str, ...], origin: str) -> None:
    if name in path:
        raise SpecError(
            f"{origin}: steps need each other in a circle: {' -> '.join((*path, name))}"
        )
    for needs in chapter.steps[name].inputs().values():
        for need in needs:
            if need.step in chapter.steps:
                _check_cycle(chapter, need.step, (*path, name), origin)


def _when(need: Need) -> list[str]:
    if need.when is None:
        return []
    return [need.when] if isinstance(need.when, str) else list(need.when)


def _parse_factor(names: dict[LevelName, Any], where: str) -> dict[str, dict[str, Level]]:
    """The levels of a factor; `true` and `false` may be written bare or as words."""
    levels: dict[str, dict[str, Level]] = {}
    for name, value in names.items():
        if word(name) in levels:
            raise SpecError(f"{where}: level {word(name)!r} is there twice")
        levels[word(name)] = _parse_level(value, f"{where}.{word(name)}")
    return levels


def _parse_level(value: Any, where: str) -> dict[str, Level]:
    if isinstance(value, list):
        return dict.fromkeys(SCALES, _parse_meaning(value, where))
    if not isinstance(value, dict):
        raise SpecError(
            f"{where}: must be a list of overrides, or one entry a scale; got {value!r}"
        )
    for scale in value:
        if scale not in SCALES:
            raise SpecError(f"{where}: {unknown('scale', str(scale), SCALES)}")
    missing = [s for s in ("small", "paper") if s not in value]
    if missing:
        raise SpecError(
            f"{where}: says nothing for scale {' and '.join(missing)}; "
            "give overrides, skip or same_as"
        )
    return {scale: _parse_meaning(v, f"{where}.{scale}") for scale, v in value.items()}


def _parse_meaning(value: Any, where: str) -> Level:
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return Overrides(tuple(value))
    if value == "skip":
        return Skip("not run at this scale")
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if key == "skip" and isinstance(inner, str):
            return Skip(inner)
        if key == "same_as" and isinstance(inner, str | bool):
            return SameAs(word(inner))
    raise SpecError(
        f"{where}: must be a list of overrides (text), 'skip: reason' or 'same_as: level'; "
        f"got {value!r}"
    )


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
    _check_keys([*table.columns, *table.rows, table.key], origin)
    for place, at in _assignments(table):
        for factor, level in at.items():
            check_level(chapter, factor, word(level), f"{origin}: {place}.at")
    for place, step in _steps(table):
        if step not in chapter.steps:
            raise SpecError(f"{origin}: {place}: {unknown('step', step, chapter.steps)}")
    for name, row in table.rows.items():
        _check_row(table, name, row, origin)
    return table


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


def _check_keys(keys: list[str], origin: str) -> None:
    for key in keys:
        if key in RESERVED or not KEY.match(key):
            raise SpecError(
                f"{origin}: key {key!r} must match [a-z][a-z0-9_]* and be no reserved word"
            )


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
