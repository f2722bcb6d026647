"""A chapter made up for tests of rendering and accepting: a table with every oddity."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from thesisbench.compose import Composed, Composer
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.model import PlannedRun
from thesisbench.tables.session import Session

CHAPTER = """
title: Odd
defaults: {net: plain}
levels:
  net:
    plain: [schedule.epochs=1]
    wild: [schedule.epochs=2]
    gone: [schedule.epochs=3]
    big: {small: {skip: "needs 40 GB"}, paper: [schedule.epochs=4]}
    twin: {small: {same_as: plain}, paper: [schedule.epochs=5]}
    mine: [schedule.epochs=6]
    other: [schedule.epochs=7]
steps:
  fit: {kind: fit, recipe: fit, takes: [net], scales: {small: [schedule.batch_size=8]}}
  test: {kind: eval, recipe: test, needs: {weights: fit}}
"""

ODD = r"""
id: toy.t1
thesis: toy
chapter: 1
kind: table
title: "Every oddity | <b>at once</b>"
task: classification
published_n: 5
step: test
replicates: {seed: {small: [0, 1, 2, 3, 4], paper: [0, 1, 2]}}
header: [["Test set", 1], ["Derived, 100% {of} it", 2]]
columns:
  ap: {name: AP, metric: ap, unit: "%", read: ap}
  gain: {name: Gain, metric: ap, unit: points, cell: "ap - ap[plain]"}
  error: {name: "Error_1", metric: error, unit: "%", better: lower, cell: "100 - ap"}
rows:
  plain: {label: "Plain [net]", values: {ap: 81.4, gain: 0.0, error: 18.6}, std: {ap: 0.5}}
  wild:
    label: "A|B <script>alert(1)</script>"
    at: {net: wild}
    values: {gain: -3.5}
    reasons: {ap: diverged, error: diverged}
  gone:
    label: 'Gone \input{/etc/passwd} \write18{ls} $x^2$'
    at: {net: gone}
    reasons: {ap: not_printed, gain: not_printed, error: not_printed}
  big:
    label: "=cmd|' /C big'!A1"
    at: {net: big}
    values: {ap: 90.0, error: 10.0}
    reasons: {gain: not_measured}
  twin: {label: "Twin, σ ≥ é", at: {net: twin}, values: {ap: 81.0, gain: -0.4, error: 19.0}}
  copied:
    label: Copied & pasted
    source: external
    values: {ap: 79.5}
    reasons: {gain: not_printed, error: not_printed}
  best:
    label: Best of two
    source: derived
    cell: "max(plain, wild)"
    values: {ap: 81.4}
    reasons: {gain: not_printed, error: not_applicable}
  human:
    label: People
    source: human
    values: {ap: 91}
    reasons: {gain: not_applicable, error: not_applicable}
  mine: {label: Control, at: {net: mine}, extra: true, note: "Not in the thesis."}
notes: "Test * accuracy."
"""

SECOND = """
id: toy.t2
thesis: toy
chapter: 1
kind: supplement
title: Second
task: classification
step: test
replicates: {seed: {small: [0, 1, 2], paper: [0, 1, 2]}}
columns:
  ap: {name: AP, metric: ap, unit: "%"}
rows:
  mine: {label: Control, at: {net: other}}
"""

CLAIMS = """
claims:
  - id: C1
    text: Plain is better than the [control].
    where: [toy.t1]
    atoms:
      - {paired: "t1[plain].ap > t1[mine].ap", effect: 1.0}
      - {paired: "t1[plain].ap > t1[big].ap", effect: 1.0}
  - id: C2
    text: The control is within a point of 70 in both tables.
    where: [toy.t1, toy.t2]
    atoms:
      - {equal_within: 1.0, expr: "{t}[mine].ap - 70", each: {t: [t1, t2]}}
  - {id: C3, text: Needs people., where: [toy.t2], not_tested: nobody was asked}
"""

RECIPES = {
    "fit": "# @package _global_\nkind: fit\nschedule: {epochs: 1, batch_size: 16}\n",
    "test": "# @package _global_\nkind: eval\n",
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OURS = {
    "plain": {0: 81.0, 1: 80.0, 2: 82.0, 3: 80.0, 4: 82.0},
    "wild": {0: 78.0, 2: 78.02, 3: 78.01},
    "mine": {0: 70.0, 1: 70.04, 2: 69.96, 3: 70.0, 4: 70.0},
    "other": {0: 70.0, 1: 70.04, 2: 69.96},
}


def write_chapter(folder: Path) -> None:
    """Specs in folder/specs, recipes in folder/conf."""
    chapter = folder / "specs" / "toy" / "odd"
    recipes = folder / "conf" / "experiment" / "toy" / "odd"
    for path in (chapter / "tables", recipes):
        path.mkdir(parents=True)
    (chapter / "chapter.yaml").write_text(CHAPTER)
    (chapter / "claims.yaml").write_text(CLAIMS)
    (chapter / "tables" / "t1.yaml").write_text(ODD)
    (chapter / "tables" / "t2.yaml").write_text(SECOND)
    for name, text in RECIPES.items():
        (recipes / f"{name}.yaml").write_text(text)


class RememberingComposer(Composer):
    """Composes the recipes above once for all tests: they are the same in every folder."""

    known: ClassVar[dict[tuple[str, ...], Composed]] = {}

    def compose(self, overrides: Sequence[str], origin: str = "overrides") -> Composed:
        key = tuple(overrides)
        if key not in self.known:
            self.known[key] = super().compose(overrides, origin)
        return self.known[key]


def open_session(folder: Path, *tables: str, runs: str = "runs", **changes: Any) -> Session:
    """A session on the made-up chapter; its records are those of folder/runs."""
    return Session(
        Catalog(((folder / "specs", False),)),
        RunStore(folder / runs),
        RememberingComposer((str(folder / "conf"),)),
        tables or ("toy.t1",),
        **{"scale": "small", **changes},
    )


def record_of(run: PlannedRun, session: Session, **changes: Any) -> dict[str, Any]:
    """A record as an executed run writes it."""
    levels = run.levels
    for needed in run.needs.values():
        levels = session.plan.runs[needed[0]].levels
    value = OURS.get(levels["net"], {}).get(run.replicate["seed"])
    metrics = {} if value is None else {"ap": value}
    keys = ("id", "lineage", "chapter", "step", "kind", "recipe", "scale")
    return {
        **{key: getattr(run, key) for key in keys},
        "levels": dict(run.levels),
        "replicate": dict(run.replicate),
        "needs": {name: list(ids) for name, ids in run.needs.items()},
        "overridden": False,
        "result": {
            "outcome": "diverged" if value is None else "ok",
            "metrics": metrics,
            "digests": {},
        },
        "cost": {"seconds": 1.25},
        "provenance": provenance_of(run),
        **changes,
    }


def provenance_of(run: PlannedRun, **code: Any) -> dict[str, Any]:
    """What a record says about how it was made."""
    return {
        "code": {"package_version": "0.1.0", "git_commit": COMMIT, "dirty": False, **code},
        "versions": {"python": "3.12.0", "torch": "2.15.0"},
        "hardware": {"cpu": "some", "cores": 2, "gpus": []},
        "threads": 1,
        "platform": "Linux",
        "started": "2026-11-02T10:00:00.000+00:00",
        "finished": "2026-11-02T10:00:01.500+00:00",
        "wall_seconds": 1.5,
        "peak_memory_mib": 100.5 + run.replicate["seed"],
        "config": run.config,
        "attempts": 1,
        "facts": {"data": {"name": "q_small", "stand_in_for": "q_big", "splits": {}}},
    }


def write_record(session: Session, record: Mapping[str, Any]) -> None:
    """Puts a record into the runs folder."""
    folder = session.store.root / record["id"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").write_text(json.dumps(record))


def with_plain_ids(session: Session, text: str) -> str:
    """A text in which the id of each planned run is its number: ids change with the recipes."""
    for number, run_id in enumerate(session.plan.runs):
        text = text.replace(run_id, f"run{number:013}")
    return text


def fill(session: Session, *, leave_out: tuple[str, ...] = ("gone",)) -> None:
    """Records for all runs of the plan but those of some levels."""
    for run in session.plan.runs.values():
        record = record_of(run, session)
        behind = [session.plan.runs[i] for i in session.plan.behind(run.id)]
        if not any(r.levels.get("net") in leave_out for r in behind):
            write_record(session, record)
    session.refresh()
