"""From records to cells: what each cell of a table came to, seed by seed.

Records come from the runs folder and, where it has none, from the accepted results of a chapter.
Derived cells are computed per replicate, never from means.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from thesisbench.tables.expr import ExpressionError, Reference
from thesisbench.tables.model import Cell, CellState
from thesisbench.tables.plan import CONSTANT, CellPlan, Plan

Key = tuple[str, str, str]
Record = Mapping[str, Any]
_WORST: tuple[CellState, ...] = ("failed", "skipped", "stale", "missing", "partial")


@dataclass
class Sources:
    """Where records are looked up.

    Attributes:
        records: run id -> record, or None. failures: run id -> why it failed, where it did.
        stale: ids that only have a record of an older revision.
    """

    records: Callable[[str], Record | None]
    failures: Mapping[str, str] = field(default_factory=dict)
    stale: frozenset[str] = frozenset()


def collect(
    plan: Plan, sources: Sources, paper: Mapping[Key, Collection[str]] | None = None
) -> dict[Key, Cell]:
    """All cells of a plan.

    Args:
        plan: with the cells and the runs they read.
        sources: of records.
        paper: cell -> ids of its runs at scale paper; a cell made of these only is comparable.
    """
    cells: dict[Key, Cell] = {}
    for key, planned in plan.cells.items():
        if planned.spec.source == "run":
            cells[key] = _measured(key, planned, plan, sources, (paper or {}).get(key, ()))
        elif planned.spec.source != "derived":
            cells[key] = _printed(key, planned)
    for key, planned in plan.cells.items():
        if planned.spec.source == "derived":
            _derive(key, plan, cells, ())
    return {key: cells[key] for key in plan.cells}


def _printed(key: Key, planned: CellPlan) -> Cell:
    spec = planned.spec
    return Cell(*key, source=spec.source, state="printed", target=spec.target, constant=True)


def _measured(
    key: Key, planned: CellPlan, plan: Plan, sources: Sources, paper: Collection[str]
) -> Cell:
    spec = planned.spec
    common: dict[str, Any] = {"source": "run", "target": spec.target, "same_as": planned.same_as}
    if planned.skipped is not None:
        return Cell(*key, state="skipped", why=planned.skipped, **common)
    reading = _Reading(spec.read, sources)
    for seed, ids in planned.runs.items():
        reading.read(seed, ids)
    behind = {r for ids in planned.runs.values() for i in ids for r in plan.behind(i)}
    outside = behind.difference(paper)
    state = reading.state(len(planned.runs), sorted(behind))
    measured = state in ("done", "partial")
    return Cell(
        *key,
        state=state,
        values=reading.values,
        diverged=frozenset(reading.diverged),
        expected=tuple(planned.runs),
        runs={seed: tuple(ids) for seed, ids in planned.runs.items()},
        comparable=not outside,
        constant=tuple(planned.runs) == (CONSTANT,),
        why=reading.why or (_not_paper(plan.scale) if outside and measured else None),
        **common,
    )


def _not_paper(scale: str) -> str:
    if scale == "paper":
        return "changed by an override"
    return f"scale {scale}: not the published experiment"


@dataclass
class _Reading:
    """Reads one metric from the records of a cell."""

    metric: str
    sources: Sources
    values: dict[int, float] = field(default_factory=dict)
    diverged: set[int] = field(default_factory=set)
    why: str | None = None
    broken: bool = False

    def read(self, seed: int, ids: tuple[str, ...]) -> None:
        """Notes a seed: the mean over its other replicates, when all of them are there."""
        records = [self.sources.records(run_id) for run_id in ids]
        found = [record for record in records if record is not None]
        if any(record["result"]["outcome"] == "diverged" for record in found):
            self.diverged.add(seed)
            return
        values = [self._value(record) for record in found]
        present = [value for value in values if value is not None]
        if len(present) == len(ids):
            self.values[seed] = fmean(present) if len(present) > 1 else present[0]

    def _value(self, record: Record) -> float | None:
        metrics = {**(record.get("cost") or {}), **record["result"]["metrics"]}
        if self.metric in metrics:
            return float(metrics[self.metric])
        has = ", ".join(sorted(metrics)) or "none"
        self.broken = True
        self.why = f"run {record.get('id')} has no metric {self.metric!r}; it has {has}"
        return None

    def state(self, expected: int, behind: list[str]) -> CellState:
        """One word on the cell."""
        finished = len(self.values) + len(self.diverged)
        failed = [
            f"run {i}: {self.sources.failures[i]}" for i in behind if i in self.sources.failures
        ]
        if self.broken or (failed and finished < expected):
            self.why = self.why or failed[0]
            return "failed"
        if finished == expected:
            return "done"
        if any(i in self.sources.stale for i in behind) and not finished:
            self.why = "records of an older revision only"
            return "stale"
        return "partial" if finished else "missing"


def _derive(key: Key, plan: Plan, cells: dict[Key, Cell], path: tuple[Key, ...]) -> Cell:
    """Computes a derived cell, those it rests on first."""
    if key in cells:
        return cells[key]
    spec = plan.cells[key].spec
    formula = spec.formula
    assert formula is not None
    if key in path:
        cells[key] = Cell(
            *key, "derived", "failed", why="derived cells in a circle", target=spec.target
        )
        return cells[key]
    inputs = {
        reference: _derive(_place(key, reference), plan, cells, (*path, key))
        for reference in sorted(formula.references(), key=str)
    }
    cells[key] = _combined(key, plan.cells[key], inputs)
    return cells[key]


def _place(key: Key, reference: Reference) -> Key:
    table, row, column = key
    return (table, reference.row or row, reference.column or column)


def _combined(key: Key, planned: CellPlan, inputs: Mapping[Reference, Cell]) -> Cell:
    spec = planned.spec
    common: dict[str, Any] = {"source": "derived", "target": spec.target}
    if why := planned.skipped or _unlike(inputs):
        return Cell(*key, state="skipped", why=why, **common)
    worst = next((s for s in _WORST if any(c.state == s for c in inputs.values())), None)
    seeds = _common_seeds(inputs.values())
    values: dict[int, float] = {}
    why = next((c.why for c in inputs.values() if c.state == worst and c.why), None)
    for seed in seeds:
        try:
            assert spec.formula is not None
            values[seed] = spec.formula.evaluate(lambda r, s=seed: _at(inputs[r], s))  # type: ignore[misc]
        except ExpressionError as error:
            worst, why = worst or "failed", str(error)
    state: CellState = worst or "done"
    if worst in ("missing", "partial"):
        state = "partial" if values else "missing"
    if why is None and state in ("done", "partial"):
        why = next((c.why for c in inputs.values() if not c.comparable and c.why), None)
    return Cell(
        *key,
        state=state,
        values=values if state not in ("skipped", "failed") else {},
        diverged=frozenset(s for c in inputs.values() for s in c.diverged),
        expected=tuple(dict.fromkeys(s for c in inputs.values() for s in c.expected)),
        runs=_merged(inputs.values()),
        comparable=all(c.comparable for c in inputs.values() if c.state != "printed"),
        constant=all(c.constant for c in inputs.values()),
        same_as=next((c.same_as for c in inputs.values() if c.same_as), None),
        why=why,
        **common,
    )


def _unlike(inputs: Mapping[Reference, Cell]) -> str | None:
    """Why a cell cannot be computed from a printed number and one of another experiment."""
    printed = any(cell.state == "printed" for cell in inputs.values())
    ours = [cell for cell in inputs.values() if cell.state in ("done", "partial")]
    if printed and any(not cell.comparable for cell in ours):
        return "would mix a printed number with one of another experiment"
    return None


def _common_seeds(cells: Iterable[Cell]) -> list[int]:
    varying = [set(cell.values) for cell in cells if not cell.constant]
    if not varying:
        return [CONSTANT]
    return sorted(set.intersection(*varying))


def _at(cell: Cell, seed: int) -> float:
    if cell.state == "printed":
        if cell.target.value is None:
            raise ExpressionError(f"{cell.row}.{cell.column} has no printed value")
        return cell.target.value
    if cell.constant:
        seed = CONSTANT
    if seed not in cell.values:
        raise ExpressionError(f"{cell.row}.{cell.column} has no value")
    return cell.values[seed]


def _merged(cells: Iterable[Cell]) -> dict[int, tuple[str, ...]]:
    runs: dict[int, tuple[str, ...]] = {}
    for cell in cells:
        for seed, ids in cell.runs.items():
            runs[seed] = tuple(dict.fromkeys([*runs.get(seed, ()), *ids]))
    return runs
