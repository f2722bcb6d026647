"""A chapter of the user, written by a test: its recipes, plans of it, and made-up records."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from thesisbench.compose import Composer
from thesisbench.errors import SpecError
from thesisbench.execute import folder_config
from thesisbench.store.lease import Lease
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.collect import Key, Sources, collect
from thesisbench.tables.model import Cell, PlannedRun
from thesisbench.tables.plan import CellPlan, Plan
from thesisbench.tables.session import Session

SLUG = "toy/one"
Metrics = Callable[[PlannedRun], dict[str, float] | None]
FIT = {
    "kind": "fit",
    "revision": 1,
    "backbone": {"width": 0, "depth": 1},
    "dataset": {"name": "a"},
    "optimizer": {"lr": 0.5},
    "schedule": {"epochs": 9, "batch_size": 4},
}
RECIPES: dict[str, dict[str, Any]] = {
    "fit": FIT,
    "mine": {"kind": "prepare", "revision": 1, "backbone": {"width": 0}, "dataset": {"name": "m"}},
    "test": {"kind": "eval", "revision": 1, "evaluation": {"data": "a", "crop": 1}},
    "judge": {"kind": "analytic", "revision": 1, "compute": {"n": 1}},
}
CHAPTER = """
title: A chapter of the tests
defaults: {size: s, rate: low, neg: false, data: a}
levels:
  size:
    s: [backbone.width=1]
    m: [backbone.width=2]
    l: {paper: [backbone.width=3], small: {skip: too big for a laptop}}
    xl: {paper: [backbone.width=4], small: {same_as: m}}
  rate:
    low: [optimizer.lr=0.1]
    high: {paper: [optimizer.lr=1.0], small: [optimizer.lr=0.9], smoke: [optimizer.lr=0.8]}
  neg: {true: ["+dataset.negatives=true"], false: []}
  data: {a: [evaluation.data=a], b: [evaluation.data=b]}
steps:
  mine: {kind: prepare, recipe: mine, takes: [size]}
  fit:
    kind: fit
    recipe: fit
    takes: [size, rate, neg]
    needs: {proposals: {step: mine, at: {size: s}, when: neg}}
    scales: {small: [schedule.epochs=3]}
  test: {kind: eval, recipe: test, takes: [data], needs: {weights: fit}}
  pair:
    kind: eval
    recipe: test
    needs: {weights: [{step: fit, at: {rate: high}}, {step: fit, at: {rate: low}}]}
  judge: {kind: analytic, recipe: judge, replicates: []}
  judged:
    kind: eval
    recipe: test
    takes: [data]
    needs: {weights: fit, judge: {step: judge, when: {data: [b]}}}
  timed:
    kind: eval
    recipe: test
    needs: {weights: fit}
    scales: {small: [evaluation.crop=4]}
    exclusive: true
"""


@dataclass
class Toy:
    """A chapter with its recipes and an own runs folder.

    Attributes:
        root: holds specs/, runs/ and, once a recipe is changed, conf/.
        composer: of the recipes as they are now.
    """

    root: Path
    composer: Composer

    def table(self, rows: str, columns: str = "", key: str = "t1", **more: str) -> Toy:
        """Writes a table; rows, columns and further keys are YAML in flow style, without braces."""
        columns = columns or "top: {name: Top, metric: top1_accuracy}"
        given = {"step": "test", "replicates": "{seed: [0, 1, 2]}", "kind": "supplement", **more}
        lines = [f"id: toy.{key}", "thesis: toy", "chapter: 1", "title: Toy", "task: toy"]
        lines += [f"{k}: {v}" for k, v in given.items()]
        lines += [f"columns: {{{columns}}}", f"rows: {{{rows}}}"]
        self.write(f"specs/{SLUG}/tables/{key}.yaml", "\n".join(lines) + "\n")
        return self

    def recipe(self, name: str, **changes: Any) -> Toy:
        """Writes a recipe anew with other values."""
        self.write(f"conf/experiment/{SLUG}/{name}.yaml", recipe_text({**RECIPES[name], **changes}))
        return self

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name.startswith("conf/"):
            self.composer = Composer((str(self.root / "conf"), shared_recipes()))

    def session(self, *tables: str, scale: str = "small", **options: Any) -> Session:
        """Tables of this chapter (t1 when none is named), read from the files as they are now."""
        return Session(
            Catalog(((self.root / "specs", False),)),
            RunStore(self.root / "runs"),
            self.composer,
            tuple(f"toy.{t}" for t in tables or ("t1",)),
            scale,
            **options,
        )


def toy_chapter(root: Path, chapter: str = CHAPTER) -> Toy:
    """The chapter without tables; its recipes are read once and shared until one is changed."""
    toy = Toy(root, shared_composer())
    toy.write(f"specs/{SLUG}/chapter.yaml", chapter)
    return toy


def recipe_text(content: dict[str, Any]) -> str:
    return "# @package _global_\n" + yaml.safe_dump(content, sort_keys=False)


@cache
def _recipes() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    for name, content in RECIPES.items():
        path = Path(folder.name) / "experiment" / SLUG / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(recipe_text(content))
    return folder


def shared_recipes() -> str:
    """Folder of the recipes as `RECIPES` says them."""
    return _recipes().name


@cache
def shared_composer() -> Composer:
    return Composer((shared_recipes(),))


def publish(
    store: RunStore,
    run: PlannedRun,
    metrics: dict[str, float] | None,
    *,
    overridden: bool = False,
    cost: dict[str, float] | None = None,
) -> None:
    """Publishes the record of a run as if it had been executed; None: it diverged."""
    folder = store.folder(run.id)
    folder.write_config(folder_config(run, overridden=overridden))
    lease = Lease.claim(folder.path).lease
    assert lease is not None
    outcome = "diverged" if metrics is None else "ok"
    result = {"outcome": outcome, "metrics": metrics or {}, "digests": {}}
    record = {"id": run.id, "lineage": run.lineage, "kind": run.kind, "result": result}
    record |= {"overridden": overridden, "cost": cost or {}}
    assert folder.publish_record(record, lease)
    lease.release()


def cell(plan: Plan, row: str, column: str = "top") -> CellPlan:
    return plan.cells["toy.t1", row, column]


def run_of(plan: Plan, row: str, column: str = "top", seed: int = 0) -> PlannedRun:
    (run_id,) = cell(plan, row, column).runs[seed]
    return plan.runs[run_id]


def behind(plan: Plan, run: PlannedRun, name: str = "weights") -> list[PlannedRun]:
    return [plan.runs[i] for i in run.needs[name]]


def counts(plan: Plan) -> dict[str, int]:
    steps = [run.step for run in plan.runs.values()]
    return {step: steps.count(step) for step in dict.fromkeys(steps)}


def message(session: Session, kind: type[Exception] = SpecError) -> str:
    with pytest.raises(kind) as caught:
        _ = session.plan
    text = str(caught.value)
    assert "\n" not in text
    return text


def config_of(plan: Plan, row: str) -> dict[str, Any]:
    return dict(behind(plan, run_of(plan, row))[0].config)


def cells(
    plan: Plan,
    metrics: Metrics,
    *,
    without: Iterable[str] = (),
    failures: dict[str, str] | None = None,
    stale: Iterable[str] = (),
    paper: dict[Key, frozenset[str]] | None = None,
) -> dict[str, Cell]:
    """Cells "row.column" of the first table, from made-up metrics of its runs (None: diverged)."""

    def record(run_id: str) -> dict[str, Any] | None:
        if run_id in without:
            return None
        found = metrics(plan.runs[run_id])
        outcome = "diverged" if found is None else "ok"
        return {"id": run_id, "result": {"outcome": outcome, "metrics": found or {}}}

    sources = Sources(record, failures or {}, frozenset(stale))
    found = collect(plan, sources, paper)
    return {f"{row}.{column}": cell for (_, row, column), cell in found.items()}


def by_seed(run: PlannedRun) -> dict[str, float]:
    """10 times the seed, plus the split."""
    return {"top": 10.0 * run.replicate.get("seed", 0) + run.replicate.get("split", 0)}


def finished(toy: Toy, session: Session) -> Session:
    """Publishes records for all runs that have none; a session that sees them."""
    for run in session.plan.runs.values():
        if session.states[run.id] != "done":
            publish(session.store, run, by_seed(run))
    return toy.session()
