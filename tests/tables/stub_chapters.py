"""Stub recipes for a chapter: all options its specs name, and a step that measures nothing.

A stub run's metrics are a known function of its resolved configuration and of the runs it needs, so
a test can say what each cell must hold. The recipes are called `stub_<recipe>`, and the spec folder
is copied with these names, so nothing changes here once the real recipes are built.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from thesisbench.compose import Composer
from thesisbench.execute import folder_config
from thesisbench.run import DONE, run_folder
from thesisbench.schema import RunConfig, Schedule
from thesisbench.step import StepContext
from thesisbench.store.files import canonical_json
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.session import Session

Raw = dict[str, Any]
MEASURED = ("kind", "seed", "split", "dataset", "backbone", "variants", "task", "evaluation")
NODES = ("task", "backbone", "dataset", "optimizer", "scheduler", "evaluation", "compute")
SCHEDULE = {field.name for field in dataclasses.fields(Schedule)}


def unit(text: str) -> float:
    """A number in [0, 1) that a text decides."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 16**13


def trace(config: Mapping[str, Any], needs: Mapping[str, Sequence[float]]) -> float:
    """What a stub run is made of: its configuration and the traces of the runs it needs."""
    science = {key: config.get(key) for key in (*MEASURED, "schedule")}
    return unit(canonical_json([science, {name: list(traces) for name, traces in needs.items()}]))


def stub_metric(name: str, made_of: float) -> float:
    """The metric a stub run reports: 0 to 100, decided by its name and by the run's trace."""
    return 100 * unit(f"{name} {made_of!r}")


def matches(rules: Sequence[Mapping[str, str]], facts: Mapping[str, Any]) -> bool:
    """Whether all entries of one of the rules are among the facts (levels and replicate)."""
    return any(all(str(facts.get(k)) == str(v) for k, v in rule.items()) for rule in rules)


class StubMeasure:
    """A step that computes its metrics from its configuration, or diverges where it is told to."""

    def __init__(
        self, *, metrics: Sequence[str], diverges: Sequence[Mapping[str, str]] = ()
    ) -> None:
        self.metrics, self.diverges = metrics, diverges

    def __call__(self, context: StepContext) -> dict[str, float]:
        planned = context.folder.read_config()
        if matches(self.diverges, {**planned["levels"], **planned["replicate"]}):
            context.result.outcome = "diverged"
            return {}
        needs = {
            name: [run.record["result"]["metrics"]["trace"] for run in runs]
            for name, runs in context.needs.items()
        }
        made_of = trace(context.config, needs)
        return {"trace": made_of, **{name: stub_metric(name, made_of) for name in self.metrics}}


@dataclass(frozen=True)
class StubChapter:
    """A chapter that can be run without its recipes.

    Attributes:
        catalog: holds it alone. composer: composes its stub recipes. store: runs folder.
        raw: its chapter.yaml as plain data. tables: table id -> its spec as plain data.
    """

    catalog: Catalog
    composer: Composer
    store: RunStore
    raw: Raw
    tables: dict[str, Raw]

    def session(self, *tables: str, scale: str, seeds: tuple[int, ...] | None = None) -> Session:
        """Tables of the chapter at a scale."""
        return Session(self.catalog, self.store, self.composer, tables, scale, seeds=seeds)

    def execute(self, session: Session) -> None:
        """Executes all runs of a plan in its order, in this process."""
        for run in session.plan.runs.values():
            folder = self.store.folder(run.id)
            folder.write_config(folder_config(run))
            assert run_folder(folder.path) == DONE, folder.read_state()
        session.refresh()


def stub_chapter(
    slug: str, tmp_path: Path, diverges: Sequence[Mapping[str, str]] = ()
) -> StubChapter:
    """Copies the specs of a shipped chapter and makes stub recipes for all its steps.

    Args:
        slug: "<thesis>/<chapter>".
        tmp_path: where specs, configuration and runs are written.
        diverges: runs that match one of these levels and replicates diverge.
    """
    shipped = Path(str(files("thesisbench.experiments"))) / slug
    specs, conf = tmp_path / "specs" / slug, tmp_path / "conf"
    shutil.copytree(shipped, specs, ignore=shutil.ignore_patterns("results"))
    raw: Raw = yaml.safe_load((specs / "chapter.yaml").read_text())
    tables = [yaml.safe_load(path.read_text()) for path in (specs / "tables").glob("*.yaml")]
    for step in raw["steps"].values():
        step["recipe"] = f"stub_{step['recipe']}"
    (specs / "chapter.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    compute = {"metrics": sorted(metrics(tables)), "diverges": [dict(rule) for rule in diverges]}
    write(conf / "compute/stub.yaml", {"_target_": f"{__name__}.StubMeasure", **compute})
    by_recipe: dict[str, list[Raw]] = {}
    for step in raw["steps"].values():
        by_recipe.setdefault(step["recipe"], []).append(step)
    for recipe, steps in by_recipe.items():
        texts = [text for step in steps for text in overrides(raw, step)]
        write_recipe(conf, f"{slug}/{recipe}", steps[0]["kind"], texts)
    return StubChapter(
        catalog=Catalog(((tmp_path / "specs", False),)),
        composer=Composer(searchpath=(str(conf),)),
        store=RunStore(tmp_path / "runs"),
        raw=raw,
        tables={table["id"]: table for table in tables},
    )


def metrics(tables: Sequence[Raw]) -> set[str]:
    """All names that a cell of these tables may read."""
    reads = {column.get("read", key) for t in tables for key, column in t["columns"].items()}
    return reads | {row["read"] for t in tables for row in t["rows"].values() if "read" in row}


def overrides(chapter: Raw, step: Raw) -> Iterator[str]:
    """All overrides that a step may be given, whatever the scale."""
    for texts in step.get("scales", {}).values():
        yield from texts
    for factor in step.get("takes", []):
        for meaning in chapter["levels"][factor].values():
            for texts in [meaning] if isinstance(meaning, list) else meaning.values():
                yield from texts if isinstance(texts, list) else []


def write_recipe(conf: Path, name: str, kind: str, texts: Sequence[str]) -> None:
    """Writes a recipe that takes each of these overrides, and the options they name."""
    defaults: list[dict[str, str]] = [{"override /compute": "stub"}]
    primary = yaml.safe_load((files("thesisbench.conf") / "train.yaml").read_text())["defaults"]
    known = {group for entry in primary if isinstance(entry, dict) for group in entry}
    body: Raw = {"kind": kind, "schedule": {"epochs": 1, "batch_size": 1}}
    for group, options in groups(texts).items():
        if group in known:
            defaults.append({f"override /{group}": "base"})
        else:
            defaults.insert(0, {f"/{group}": "base"})  # Hydra wants overrides last
        for option in {*options, "base"}:
            write_option(conf, group, option)
    for key in (text.split("=")[0] for text in texts if "." in text.split("=")[0]):
        *path, last = key.split(".")
        node = body
        for part in path:
            node = node.setdefault(part, {})
        if path != ["schedule"] or last not in SCHEDULE:
            node[last] = None
    write(conf / f"experiment/{name}.yaml", {"defaults": [*defaults, "_self_"], **body}, "_global_")


def groups(texts: Sequence[str]) -> dict[str, set[str]]:
    """Config groups among the keys of overrides -> the options they name."""
    fields = {field.name for field in dataclasses.fields(RunConfig)} - set(NODES)
    found: dict[str, set[str]] = {}
    for key, value in (text.split("=", 1) for text in texts):
        if "." not in key and key not in fields:
            found.setdefault(key, set()).add(value)
    return found


def write_option(conf: Path, group: str, option: str) -> None:
    """Writes an option of a config group that says its name; drop-ins lie under `variants`."""
    path = conf / f"{group}/{option}.yaml"
    if option == "none":
        write(path, {}, "_global_")
    else:
        write(path, {"name": option}, group if group in NODES else f"variants.{group}")


def write(path: Path, data: Raw, package: str = "_group_") -> None:
    """Writes a configuration file of a Hydra package."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "" if package == "_group_" else f"# @package {package}\n"
    path.write_text(header + yaml.safe_dump(data, sort_keys=False))
