"""Assignment: which factor takes which level in a cell, and which steps stand behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from thesisbench.errors import SpecError
from thesisbench.tables.chapter import EMPTY_LEVELS, Chapter, Need, check_level, word
from thesisbench.tables.expr import Expression, parse
from thesisbench.tables.model import Source, Target
from thesisbench.tables.spec import Column, Row, Table

Assignment = Mapping[str, str]


@dataclass(frozen=True)
class CellSpec:
    """A cell as its table says it, before any scale.

    Attributes:
        row, column: keys. source: where its number comes from.
        step, read: the step and the metric of its run ("" where nothing is run).
        assignment: factor -> level, defaults filled in; taken: the factors of the steps behind it.
        formula: of a derived cell; by_row: its bare names are rows of this column.
        target: the published value.
    """

    row: str
    column: str
    source: Source
    step: str = ""
    read: str = ""
    assignment: Assignment = field(default_factory=dict)
    taken: tuple[str, ...] = ()
    formula: Expression | None = None
    by_row: bool = False
    target: Target = field(default_factory=Target)


def cell_specs(table: Table, chapter: Chapter) -> list[CellSpec]:
    """All cells of a table, row by row.

    Raises:
        SpecError: contradictory levels, a missing step, a factor that no step takes, a cell without
            a value that gives no reason, or a formula that names an unknown cell.
    """
    return [
        _cell(table, chapter, r, row, c, column)
        for r, row in table.rows.items()
        for c, column in table.columns.items()
    ]


def _cell(table: Table, chapter: Chapter, r: str, row: Row, c: str, column: Column) -> CellSpec:
    where = f"{table.id}[{r}].{c}"
    target = _target(table, row, column, c, where)
    source = row.sources.get(c, row.source)
    if source in ("published", "external", "human"):
        return CellSpec(r, c, source, target=target)
    formula = row.cell or column.cell
    if formula is not None:
        expression = _formula(table, formula, by_row=row.cell is not None, where=where)
        return CellSpec(
            r, c, "derived", formula=expression, by_row=row.cell is not None, target=target
        )
    step = column.step or row.step or table.step
    if step is None and not table.says_how:
        return CellSpec(r, c, "run", target=target)  # targets only: how to run it is not said yet
    if step is None:
        raise SpecError(
            f"{where}: no step; give column, row or table one of {', '.join(chapter.steps)}"
        )
    read = (row.read.get(c) if isinstance(row.read, dict) else row.read) or column.read or c
    assignment, taken = _assignment(table, chapter, row, column, step, where)
    return CellSpec(r, c, "run", step, read, assignment, taken, target=target)


def _assignment(
    table: Table, chapter: Chapter, row: Row, column: Column, step: str, where: str
) -> tuple[Assignment, tuple[str, ...]]:
    given: dict[str, str] = {f: word(v) for f, v in table.at.items()}
    given |= {f: word(v) for f, v in row.at.items()}
    for factor, level in column.at.items():
        if factor in row.at and word(row.at[factor]) != word(level):
            raise SpecError(
                f"{where}: row says {factor}={word(row.at[factor])}, "
                f"column says {factor}={word(level)}"
            )
        given[factor] = word(level)
    taken = steps_factors(chapter, step)
    stray = [f for f in given if f not in taken]
    if stray:
        raise SpecError(
            f"{where}: sets {', '.join(stray)}, which no step behind it takes "
            f"({', '.join(taken) or 'none'})"
        )
    full = {**{f: v for f, v in chapter.defaults.items() if f in taken}, **given}
    missing = [f for f in taken if f not in full]
    if missing:
        raise SpecError(
            f"{where}: no level for {', '.join(missing)}; "
            "set it in `at:` or in the chapter's defaults"
        )
    for factor, level in full.items():
        check_level(chapter, factor, level, where)
    return full, taken


def steps_factors(chapter: Chapter, step: str) -> tuple[str, ...]:
    """Factors taken by a step or by any it needs, in order (conditions count as taken)."""
    found = dict.fromkeys(chapter.steps[step].takes)
    for needs in chapter.steps[step].inputs().values():
        for need in needs:
            fixed = set(need.at)
            found |= dict.fromkeys(f for f in steps_factors(chapter, need.step) if f not in fixed)
            found |= dict.fromkeys(_conditions(need))
    return tuple(found)


def active_factors(chapter: Chapter, step: str, levels: Assignment) -> tuple[str, ...]:
    """The same under given levels: needs whose condition is untrue bring no factors."""
    found = dict.fromkeys(chapter.steps[step].takes)
    for needs in chapter.steps[step].inputs().values():
        for need in needs:
            found |= dict.fromkeys(_conditions(need))
            if applies(need, levels):
                inner = active_factors(chapter, need.step, {**levels, **fixed(need)})
                found |= dict.fromkeys(f for f in inner if f not in need.at)
    return tuple(found)


def applies(need: Need, levels: Assignment) -> bool:
    """Whether a conditional need is wanted under these levels."""
    if need.when is None:
        return True
    if isinstance(need.when, str):
        return levels[need.when] not in EMPTY_LEVELS
    return all(levels[f] in {word(v) for v in values} for f, values in need.when.items())


def fixed(need: Need) -> dict[str, str]:
    """The levels a need changes for its step."""
    return {factor: word(level) for factor, level in need.at.items()}


def _conditions(need: Need) -> list[str]:
    if need.when is None:
        return []
    return [need.when] if isinstance(need.when, str) else list(need.when)


def _target(table: Table, row: Row, column: Column, c: str, where: str) -> Target:
    value = row.values.get(c)
    if table.kind == "supplement" or row.extra:
        return Target()
    reason = row.reasons.get(c)
    if value is None and reason is None:
        raise SpecError(
            f"{where}: has no printed value; say why in `reasons:` (not_printed, diverged, ...)"
        )
    decimals = column.decimals if column.decimals is not None else _decimals(table, c)
    std = row.std.get(c)
    return Target(value, std, decimals, reason)


def _decimals(table: Table, c: str) -> int:
    """Digits after the point: the most any value of the column was given with."""
    numbers = [row.values.get(c) for row in table.rows.values()]
    return max((len(str(n).partition(".")[2]) for n in numbers if isinstance(n, float)), default=0)


def _formula(table: Table, text: str, *, by_row: bool, where: str) -> Expression:
    expression = parse(text, "row" if by_row else "column")
    for reference in sorted(expression.references(), key=str):
        for name, known in ((reference.row, table.rows), (reference.column, table.columns)):
            if name is not None and name not in known:
                raise SpecError(
                    f"{where}: formula {text!r} names {name!r}, which the table does not have"
                )
    return expression
