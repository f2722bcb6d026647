"""From specs to runs: which runs a table needs at a scale, and which cell reads which of them.

The rules (assignment, needs, skip, same_as, precedence, replicates) are in docs/spec-format.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from thesisbench.compose import Composer, key_of
from thesisbench.errors import SpecError, UserError, unknown
from thesisbench.identity import id_and_lineage, run_id
from thesisbench.tables.assign import (
    Assignment,
    CellSpec,
    active_factors,
    applies,
    cell_specs,
    fixed,
)
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.chapter import Chapter, Overrides, SameAs, Skip, Step, at_scale
from thesisbench.tables.model import SCALES, PlannedRun
from thesisbench.tables.replicates import WORTH_IT, Pair, Template, make_template
from thesisbench.tables.spec import Table
from thesisbench.tables.user_overrides import UserOverrides

CONSTANT = -1


@dataclass(frozen=True)
class CellPlan:
    """A cell and the runs it reads.

    Attributes:
        spec: assignment, step and metric of the cell.
        runs: seed -> run ids (one for each combination of the other replicate keys); the seed is
            -1 for a step without replicates. Empty for cells that are not run.
        skipped: reason when a level of the cell is skipped at this scale.
        same_as: "factor=level" whose run is shown instead.
    """

    spec: CellSpec
    runs: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    skipped: str | None = None
    same_as: str | None = None


@dataclass
class Plan:
    """All runs of some tables at one scale, needed runs first.

    Attributes:
        runs: id -> run, in an order in which each run comes after those it needs.
        cells: (table, row, column) -> cell.
        seeds: table -> its seeds.
        shown: (chapter, run, metric) -> levels and place of the first cell that shows it.
        overridden: ids of runs that an override of the user made another than the spec's.
        unused: override of the user that changes no run -> a line that says so.
    """

    scale: str
    runs: dict[str, PlannedRun] = field(default_factory=dict)
    cells: dict[tuple[str, str, str], CellPlan] = field(default_factory=dict)
    seeds: dict[str, tuple[int, ...]] = field(default_factory=dict)
    shown: dict[tuple[str, str, str], tuple[dict[str, str], str]] = field(default_factory=dict)
    overridden: set[str] = field(default_factory=set)
    unused: dict[str, str] = field(default_factory=dict)
    _behind: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def behind(self, run: str) -> tuple[str, ...]:
        """The run and all runs it needs, directly or not."""
        if run not in self._behind:
            needed = [n for ids in self.runs[run].needs.values() for n in ids]
            found = dict.fromkeys([run, *(b for n in needed for b in self.behind(n))])
            self._behind[run] = tuple(found)
        return self._behind[run]


@dataclass
class Planner:
    """Plans tables of a catalog.

    Attributes:
        catalog: the chapters at hand. composer: makes configurations.
        overrides: the user's, applied last, each to the runs it is for.
        seeds: replaces the seeds of the spec (only adds or leaves out replicates).
        second_look: doubles the seeds, for claims that declare two looks.
    """

    catalog: Catalog
    composer: Composer
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None
    second_look: bool = False
    made: dict[tuple[str, str], dict[Any, PlannedRun]] = field(default_factory=dict)
    templates: dict[tuple[str, str], dict[Any, Template | None]] = field(default_factory=dict)

    def plan(self, tables: Iterable[str], scale: str) -> Plan:
        """Plans tables at a scale.

        Raises:
            UserError: an unknown table or scale, or overrides that do not compose.
            SpecError: a spec that contradicts itself.
        """
        if scale not in SCALES:
            raise UserError(unknown("scale", scale, SCALES))
        plan, theirs = Plan(scale), UserOverrides(self.overrides, self.composer)
        for table_id in tables:
            folder = self.catalog.tables.get(table_id)
            table = self.catalog.table(table_id)
            assert folder is not None
            _TablePlanner(self, plan, folder.chapter, table, theirs).add()
        plan.unused = theirs.unused()
        return plan


class _SkippedError(Exception):
    """A level of a cell, or of a run it needs, is skipped at this scale."""


@dataclass
class _TablePlanner:
    planner: Planner
    plan: Plan
    chapter: Chapter
    table: Table
    theirs: UserOverrides
    shown_instead: list[str] = field(default_factory=list)
    count: int = 0  # of replicates

    def add(self) -> None:
        """Plans all cells of the table."""
        if not self.table.says_how:
            raise UserError(f"{self.table.id} has targets only: it has no grid yet")
        replicates = self._replicates()
        self.count = len(replicates)
        self.plan.seeds[self.table.id] = tuple(dict.fromkeys(r.get("seed", 0) for r in replicates))
        for spec in cell_specs(self.table, self.chapter):
            cell = self._cell(spec, replicates)
            self.plan.cells[self.table.id, spec.row, spec.column] = cell
            if cell.same_as is None:
                self._check_distinct(cell)

    def _replicates(self) -> list[dict[str, int]]:
        """All combinations of the replicate keys at this scale."""
        values: dict[str, Sequence[int]] = {}
        for key, scales in self.table.replicates.items():
            chosen = at_scale(scales, self.plan.scale)
            if not chosen:
                raise SpecError(
                    f"{self.table.id}: replicates.{key} says nothing for {self.plan.scale}"
                )
            values[key] = self._seeds(chosen) if key == "seed" else chosen
        combinations = itertools.product(*values.values())
        return [dict(zip(values, combination, strict=True)) for combination in combinations]

    def _seeds(self, declared: Sequence[int]) -> Sequence[int]:
        if self.planner.seeds is not None:
            return self.planner.seeds
        if self.planner.second_look:
            top = max(declared) + 1
            return [*declared, *range(top, top + len(declared))]
        return declared

    def _cell(self, spec: CellSpec, replicates: list[dict[str, int]]) -> CellPlan:
        if spec.source in ("run", "derived") and spec.target.reason == "not_applicable":
            return CellPlan(spec, skipped="has no meaning here (not applicable)")
        if spec.source != "run":
            return CellPlan(spec)
        runs: dict[int, list[str]] = {}
        where = f"{self.table.id}[{spec.row}].{spec.column}"
        self.shown_instead.clear()
        try:
            for replicate in replicates:
                run = self._run(spec.step, spec.assignment, replicate, where)
                ids = runs.setdefault(run.replicate.get("seed", CONSTANT), [])
                ids += [run.id] if run.id not in ids else []
        except _SkippedError as skipped:
            return CellPlan(spec, skipped=str(skipped))
        same_as = ", ".join(dict.fromkeys(self.shown_instead)) or None
        return CellPlan(spec, {seed: tuple(ids) for seed, ids in runs.items()}, same_as=same_as)

    def _run(
        self, step_name: str, levels: Assignment, replicate: dict[str, int], where: str
    ) -> PlannedRun:
        """Plans a run and those it needs."""
        step = self.chapter.steps[step_name]
        needs: dict[str, tuple[str, ...]] = {}
        for name, inputs in step.inputs().items():
            wanted = [need for need in inputs if applies(need, levels)]
            runs = [self._run(n.step, {**levels, **fixed(n)}, replicate, where) for n in wanted]
            if runs:
                needs[name] = tuple(run.id for run in runs)
        taken = {factor: self._meant(factor, levels[factor]) for factor in step.takes}
        takes_all = step.replicates is None
        mine = {k: v for k, v in replicate.items() if takes_all or k in (step.replicates or [])}
        key = (step_name, tuple(taken.items()), tuple(mine.items()), tuple(needs.items()))
        cache = self.planner.made.setdefault((self.chapter.slug, self.plan.scale), {})
        if key not in cache:
            cache[key] = self._make(step_name, taken, mine, needs, where)
        return self._register(cache[key])

    def _meant(self, factor: str, level: str) -> str:
        """The level whose overrides are used: itself, or the one it is declared the same as."""
        meaning = self.chapter.level(factor, level, self.plan.scale)
        if isinstance(meaning, SameAs):
            self.shown_instead.append(f"{factor}={meaning.level}")
            return self._meant(factor, meaning.level)
        if isinstance(meaning, Skip):
            raise _SkippedError(f"{factor}={level}: {meaning.reason}")
        return level

    def _make(
        self,
        name: str,
        taken: dict[str, str],
        replicate: dict[str, int],
        needs: dict[str, tuple[str, ...]],
        where: str,
    ) -> PlannedRun:
        step = self.chapter.steps[name]
        recipe = f"{self.chapter.slug}/{step.recipe}"
        plain, composed = self._composed(name, taken, replicate, where)
        if (kind := plain.config["kind"]) != step.kind:
            raise SpecError(f"{where}: step {name} is of kind {step.kind}, its recipe of {kind}")
        config, choices = composed.config, composed.choices
        lineages = {k: [self.plan.runs[i].lineage for i in ids] for k, ids in needs.items()}
        this, lineage = id_and_lineage(config, choices, needs, lineages)
        behind = {i for ids in needs.values() for i in ids}
        changed = composed is not plain and this != run_id(plain.config, plain.choices, needs)
        if changed or behind & self.plan.overridden:
            self.plan.overridden.add(this)
        return PlannedRun(
            id=this,
            lineage=lineage,
            chapter=self.chapter.slug,
            step=name,
            kind=step.kind,
            recipe=recipe,
            scale=self.plan.scale,
            levels=taken,
            replicate=replicate,
            config=config,
            needs=needs,
            exclusive=step.exclusive,
        )

    def _composed(
        self, name: str, taken: dict[str, str], replicate: dict[str, int], where: str
    ) -> Pair:
        """The configuration of a run as the spec says, and with the user's overrides."""
        step = self.chapter.steps[name]

        def compose(replicate: Mapping[str, int]) -> Pair:
            recipe = f"{self.chapter.slug}/{step.recipe}"
            words = self._overrides(recipe, step, taken, replicate, where)
            plain = self.planner.composer.compose(words, where)
            return plain, self.theirs.apply(words, plain)

        if self.count < WORTH_IT or not replicate:
            return compose(replicate)
        known = self.planner.templates.setdefault((self.chapter.slug, self.plan.scale), {})
        key = (name, tuple(taken.items()), tuple(replicate))
        if key not in known:
            known[key] = make_template(compose, tuple(replicate))
        template = known[key]
        return compose(replicate) if template is None else template.fill(replicate)

    def _register(self, run: PlannedRun) -> PlannedRun:
        known = self.plan.runs.get(run.id)
        tables = tuple(dict.fromkeys([*(known.tables if known else ()), self.table.id]))
        exclusive = run.exclusive or (known is not None and known.exclusive)
        self.plan.runs[run.id] = replace(known or run, tables=tables, exclusive=exclusive)
        return run

    def _overrides(
        self, recipe: str, step: Step, taken: Assignment, replicate: Mapping[str, int], where: str
    ) -> list[str]:
        """Recipe < step's scale < levels in order of takes < replicate (< command line)."""
        if recipe not in self.planner.composer.recipes:
            text = f"{self.table.id} has targets only: its recipe {recipe!r} is not built yet"
            raise UserError(text)
        ours = [(f, text) for f, v in taken.items() for text in self._level_items(f, v)]
        levels: dict[str, tuple[str, str]] = {}
        for factor, text in ours:
            other, written = levels.setdefault(key_of(text), (factor, text))
            if written != text and other != factor:
                raise SpecError(
                    f"{where}: levels of {other} and {factor} both write {key_of(text)!r}: "
                    f"{written} and {text}"
                )
        replicates = [f"{key}={value}" for key, value in replicate.items()]
        scale = at_scale(step.scales, self.plan.scale) or []
        return [f"experiment={recipe}", *scale, *(text for _, text in ours), *replicates]

    def _level_items(self, factor: str, level: str) -> tuple[str, ...]:
        meaning = self.chapter.level(factor, level, self.plan.scale)
        assert isinstance(meaning, Overrides)
        return meaning.items

    def _check_distinct(self, cell: CellPlan) -> None:
        """Two cells that differ in a factor must not show one run unnoticed."""
        spec = cell.spec
        active = active_factors(self.chapter, spec.step, spec.assignment) if cell.runs else ()
        levels = {factor: spec.assignment[factor] for factor in active}
        where = f"{self.table.id}[{spec.row}].{spec.column}"
        for run in itertools.chain(*cell.runs.values()):
            key = (self.chapter.slug, run, spec.read)  # factors are a chapter's own
            other, place = self.plan.shown.setdefault(key, (levels, where))
            if other != levels:
                differing = [f for f in levels if other.get(f) != levels[f]]
                if run in self.plan.overridden:
                    raise UserError(
                        f"overrides: {' '.join(self.theirs.words)} makes one run of {place} and "
                        f"{where}, which differ in {', '.join(differing)}"
                    )
                raise SpecError(
                    f"{place} and {where} differ in {', '.join(differing)} but are one run at "
                    f"scale {self.plan.scale}; declare one level same_as the other"
                )
