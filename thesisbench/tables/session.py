"""Plan, records, cells and verdicts of some tables at one scale, put together.

What `report`, `status`, `accept` and `reproduce` share: each shows or keeps a part of this.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.store.runs import RunStore, RunSummary
from thesisbench.tables.accepted import AcceptedRecords
from thesisbench.tables.assign import cell_specs
from thesisbench.tables.catalog import Catalog, ChapterFolder
from thesisbench.tables.collect import Key, Record, Sources, collect
from thesisbench.tables.compare import CellVerdictDetail, judge_cell
from thesisbench.tables.grid import TARGETS_ONLY, has_grid
from thesisbench.tables.judge import judge_claim
from thesisbench.tables.model import Cell, ClaimVerdict
from thesisbench.tables.plan import Plan, Planner

FINISHED = ("done", "diverged")


@dataclass
class Session:
    """Some tables at a scale.

    Attributes:
        catalog: the chapters. store: the runs folder. composer: makes configurations.
        tables: ids. scale: smoke, small or paper.
        overrides: the user's, that change runs; trainer: those that do not (devices, workers).
        seeds, second_look: as the user gave them.
    """

    catalog: Catalog
    store: RunStore
    composer: Composer
    tables: tuple[str, ...]
    scale: str
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None
    second_look: bool = False
    trainer: tuple[str, ...] = ()
    _found: dict[str, Record | None] = field(default_factory=dict)
    _briefs: dict[str, Record | None] = field(default_factory=dict)

    @cached_property
    def plan(self) -> Plan:
        """The runs of these tables; one that has targets only has none."""
        return self._planner(self.overrides, self.seeds).plan(self.built, self.scale)

    @cached_property
    def built(self) -> tuple[str, ...]:
        """Those of the tables that have a grid."""
        recipes = self.composer.recipes
        return tuple(t for t in self.tables if has_grid(self.catalog, recipes, t))

    @cached_property
    def paper_ids(self) -> dict[Key, frozenset[str]]:
        """Cell -> ids of the runs behind it in the published experiment, without overrides.

        At the seeds in use. A cell is compared with its own runs at scale paper, not with those of
        another cell that it may happen to share a run with at a smaller scale.
        """
        if self.scale == "paper" and not self.plan.overridden:
            return self._ids(self.plan)
        seeds = tuple(dict.fromkeys(s for seeds in self.plan.seeds.values() for s in seeds))
        planner = Planner(self.catalog, self.composer, (), seeds or None, self.second_look)
        found: dict[Key, frozenset[str]] = {}
        for table in self.built:
            try:
                paper = planner.plan([table], "paper")
            except UserError:
                continue  # the paper scale is not built yet: nothing in it is comparable
            found |= self._ids(paper)
        return found

    @staticmethod
    def _ids(paper: Plan) -> dict[Key, frozenset[str]]:
        return {
            key: frozenset(b for i in itertools.chain(*cell.runs.values()) for b in paper.behind(i))
            for key, cell in paper.cells.items()
        }

    @cached_property
    def summaries(self) -> dict[str, RunSummary]:
        """Id -> every run of the runs folder, in short."""
        return self.store.summaries()

    @cached_property
    def stale(self) -> dict[str, str]:
        """Run id -> id of a record of an older revision, where the run itself has none."""
        done: dict[str, str] = {}
        for run_id, run in self.summaries.items():
            if run.state in FINISHED and run_id not in self.plan.runs:
                done[run.lineage] = run_id
        return {
            run.id: done[run.lineage]
            for run in self.plan.runs.values()
            if run.lineage in done and self._state(run.id) not in (*FINISHED, "running")
        }

    @cached_property
    def states(self) -> dict[str, str]:
        """Run id -> queued, running, done, diverged, failed, interrupted, stale or absent."""
        return {i: "stale" if i in self.stale else self._state(i) for i in self.plan.runs}

    def _state(self, run_id: str) -> str:
        return self.summaries[run_id].state if run_id in self.summaries else "absent"

    @property
    def seconds(self) -> dict[str, float]:
        """Run id -> how long it took, for the planned runs that have a record."""
        records = {i: self.brief(i) for i in self.plan.runs}
        return {i: r["cost"]["seconds"] for i, r in records.items() if r is not None}

    @property
    def attempts(self) -> dict[str, int]:
        """Run id -> how often it was claimed, for the planned runs with a record."""
        found = {i: self.summaries[i] for i in self.plan.runs if i in self.summaries}
        return {i: run.attempts for i, run in found.items() if run.state in FINISHED}

    @cached_property
    def cells(self) -> dict[Key, Cell]:
        """All cells."""
        failures = {
            i: self.store.state(i).message for i, name in self.states.items() if name == "failed"
        }
        sources = Sources(self.brief, failures, frozenset(self.stale))
        return collect(self.plan, sources, self.paper_ids) | self.unbuilt

    @cached_property
    def verdicts(self) -> dict[Key, CellVerdictDetail]:
        """What each cell came to against its target."""
        return {
            key: judge_cell(
                cell,
                better=self.catalog.table(key[0]).columns[key[2]].better,
                target_n=self.catalog.table(key[0]).published_n,
            )
            for key, cell in self.cells.items()
        }

    @cached_property
    def claims(self) -> dict[str, list[ClaimVerdict]]:
        """Chapter slug -> its claims that rest on one of these tables."""
        judged: dict[str, list[ClaimVerdict]] = {}
        for slug in dict.fromkeys(self.catalog.tables[t].slug for t in self.tables):
            for claim in self.catalog.folders[slug].claims:
                if set(claim.where) & set(self.tables):
                    look = 2 if self.second_look and claim.looks == 2 else 1
                    verdict = judge_claim(claim, self.claim_cells, scale=self.scale, look=look)
                    judged.setdefault(slug, []).append(verdict)
        return judged

    @cached_property
    def claim_cells(self) -> Mapping[Key, Cell]:
        """Cells of these tables and of every other table their claims name."""
        cells = dict(self.cells)
        for other in self._others:
            other.refresh()
            other.__dict__["summaries"] = self.summaries
            cells |= other.cells
        return cells

    @cached_property
    def _others(self) -> tuple[Session, ...]:
        """A session for each further table that the claims on these tables name."""
        named = dict.fromkeys(
            table
            for slug in dict.fromkeys(self.catalog.tables[t].slug for t in self.tables)
            for claim in self.catalog.folders[slug].claims
            if set(claim.where) & set(self.tables)
            for table in claim.where
        )
        return tuple(
            self.of((table,), trainer=())
            for table in named
            if table not in self.tables and table in self.catalog.tables
        )

    @cached_property
    def unbuilt(self) -> dict[Key, Cell]:
        """Cells of tables that have targets only.

        Those that we would run are skipped, so that atoms on them are not tested.
        """
        return {
            key: cell
            for table in self.tables
            if table not in self.built
            for key, cell in _targets(table, self.catalog.tables[table]).items()
        }

    def brief(self, run_id: str) -> Record | None:
        """What cells and facts take from the record of a run; None if it has none."""
        if run_id not in self._briefs:
            run = self.summaries.get(run_id)
            here = run is not None and run.state in FINISHED
            self._briefs[run_id] = run.as_record() if run and here else self.accepted.get(run_id)
        return self._briefs[run_id]

    def record(self, run_id: str) -> Record | None:
        """The record of a run: from the runs folder, else from accepted results."""
        if run_id not in self._found:
            self._found[run_id] = self.store.record(run_id) or self.accepted.get(run_id)
        return self._found[run_id]

    @cached_property
    def accepted(self) -> AcceptedRecords:
        """The accepted records of the chapters of these tables."""
        slugs: Sequence[str] = list(dict.fromkeys(self.catalog.tables[t].slug for t in self.tables))
        return AcceptedRecords([self.catalog.folders[slug] for slug in slugs])

    def of(self, tables: Sequence[str], **changes: Any) -> Session:
        """A session of other tables over the same chapters and runs.

        Args:
            tables: their ids.
            **changes: other attributes, such as `scale`.
        """
        return replace(self, tables=tuple(tables), _found={}, _briefs={}, **changes)

    def command(self, verb: str) -> str:
        """The command line that does something with the same selection."""
        words = ["thesisbench", verb, *self.tables, "--scale", self.scale, *self.overrides]
        words += self.trainer
        if self.seeds is not None:
            words += ["--seeds", ",".join(map(str, self.seeds))]
        words += ["--second-look"] if self.second_look else []
        for root, shipped in self.catalog.roots:
            words += [] if shipped else ["--spec-dir", str(root)]
        for folder in self.composer.searchpath:
            words += ["--config-dir", folder]
        return shlex.join(words)

    def refresh(self) -> None:
        """Forgets what was read from the runs folder."""
        self._found.clear()
        self._briefs.clear()
        for name in ("summaries", "stale", "states", "cells", "verdicts", "claims", "claim_cells"):
            self.__dict__.pop(name, None)

    def _planner(self, overrides: tuple[str, ...], seeds: tuple[int, ...] | None) -> Planner:
        every = (*self.trainer, *overrides)
        return Planner(self.catalog, self.composer, every, seeds, self.second_look)


def _targets(table: str, folder: ChapterFolder) -> dict[Key, Cell]:
    """Cells of a table that has no grid, with nothing but what the thesis prints."""
    cells = {}
    for spec in cell_specs(folder.tables[table], folder.chapter):
        ours = spec.source in ("run", "derived")
        cells[table, spec.row, spec.column] = Cell(
            table,
            spec.row,
            spec.column,
            spec.source,
            "skipped" if ours else "printed",
            target=spec.target,
            why=TARGETS_ONLY if ours else None,
        )
    return cells
