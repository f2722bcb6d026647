"""What the cells of a stub chapter must hold, worked out slowly and straight from the YAML.

Written against docs/spec-format.md, without the planner, the collector and the expression parser:
plain dictionaries, recursion, and Python's own `eval` for the formulas of the shipped specs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from stub_chapters import Raw, StubChapter, matches, stub_metric, trace

Values = dict[int, float | None]
Found = Values | str
CONSTANT = -1
FUNCTIONS: dict[str, Any] = {
    "mean": lambda *values: fmean(values),
    "abs": abs,
    "__builtins__": {},
}


class SkippedError(Exception):
    """A level is not run at this scale."""


class DivergedError(Exception):
    """A run, or one it needs, left the finite range."""


@dataclass
class Slow:
    """The cells of one table at one scale.

    Attributes:
        stub: the chapter. table: its id. scale: small or paper. seeds: instead of the spec's.
        diverges: rules of the runs that diverge. configs: overrides -> configuration, kept.
    """

    stub: StubChapter
    table: str
    scale: str
    seeds: Sequence[int] | None = None
    diverges: Sequence[Mapping[str, str]] = ()
    configs: dict[tuple[str, ...], Raw] = field(default_factory=dict)

    @property
    def raw(self) -> Raw:
        """The table's YAML."""
        return self.stub.tables[self.table]

    def cells(self) -> dict[tuple[str, str], Found]:
        """(row, column) -> seed -> value (None where it diverged), "skipped", or "printed"."""
        rows, columns = self.raw["rows"], self.raw["columns"]
        found = {(r, c): self.measured(rows[r], c) for r, c in itertools.product(rows, columns)}
        for (r, c), value in found.items():
            if value == "derived" and "cell" in columns[c]:
                names = {other: found[r, other] for other in columns if other != c}
                found[r, c] = derived(columns[c]["cell"], names)
            elif value == "derived":
                names = {other: found[other, c] for other in rows if other != r}
                found[r, c] = derived(rows[r]["cell"], names)
        return found

    def measured(self, row: Raw, c: str) -> Found:
        """A cell read from runs; or the word for what it is instead."""
        column = self.raw["columns"][c]
        if row.get("source") in ("published", "external", "human"):
            return "printed"
        if "cell" in column or "cell" in row:
            return "derived"
        if row.get("reasons", {}).get(c) == "not_applicable":
            return "skipped"
        chapter = self.stub.raw
        at = {**self.raw.get("at", {}), **row.get("at", {}), **column.get("at", {})}
        levels = {**chapter.get("defaults", {}), **{f: word(v) for f, v in at.items()}}
        step = column.get("step") or row.get("step") or self.raw["step"]
        read = row.get("read") or column.get("read", c)
        values: Values = {}
        for seed, replicates in self.replicates().items():
            try:
                made_of = [self.trace(step, levels, replicate) for replicate in replicates]
            except SkippedError:
                return "skipped"
            except DivergedError:
                values[seed] = None
                continue
            values[seed] = fmean(stub_metric(read, one) for one in made_of)
        if chapter["steps"][step].get("replicates") == []:
            return {CONSTANT: next(iter(values.values()))}
        return values

    def replicates(self) -> dict[int, list[dict[str, int]]]:
        """Seed -> the replicates that are averaged within it."""
        declared = self.raw["replicates"]
        by_scale = {k: v[self.scale] if isinstance(v, dict) else v for k, v in declared.items()}
        seeds = self.seeds or by_scale.pop("seed")
        by_scale.pop("seed", None)
        others = [
            dict(zip(by_scale, combination, strict=True))
            for combination in itertools.product(*by_scale.values())
        ]
        return {seed: [{"seed": seed, **other} for other in others] for seed in seeds}

    def trace(self, name: str, levels: Mapping[str, str], replicate: Mapping[str, int]) -> float:
        """What a run is made of, the runs it needs first."""
        step = self.stub.raw["steps"][name]
        needs: dict[str, list[float]] = {}
        for key, need in step.get("needs", {}).items():
            need = need if isinstance(need, dict) else {"step": need}
            if levels.get(need.get("when", "")) not in ("false", "none"):
                changed = {**levels, **{f: word(v) for f, v in need.get("at", {}).items()}}
                needs[key] = [self.trace(need["step"], changed, replicate)]
        texts = list(step.get("scales", {}).get(self.scale, []))
        facts: dict[str, Any] = {}
        for factor in step.get("takes", []):
            facts[factor], items = self.meaning(factor, levels[factor])
            texts += items
        taken = {k: v for k, v in replicate.items() if step.get("replicates") is None}
        if matches(self.diverges, {**facts, **taken}):
            raise DivergedError
        texts += [f"{key}={value}" for key, value in taken.items()]
        return trace(self.config(step["recipe"], texts), needs)

    def meaning(self, factor: str, level: str) -> tuple[str, list[str]]:
        """The level that is run, and its overrides."""
        scales = {word(k): v for k, v in self.stub.raw["levels"][factor].items()}[level]
        found = scales if isinstance(scales, list) else scales[self.scale]
        if isinstance(found, list):
            return level, found
        if "same_as" in found:
            return self.meaning(factor, found["same_as"])
        raise SkippedError

    def config(self, recipe: str, texts: list[str]) -> Raw:
        """The configuration of a recipe with these overrides."""
        slug = next(iter(self.stub.catalog.folders))
        key = (f"experiment={slug}/{recipe}", *texts)
        if key not in self.configs:
            self.configs[key] = self.stub.composer.compose(key).config
        return self.configs[key]


def word(level: Any) -> str:
    """A level's name."""
    return str(level).lower() if isinstance(level, bool) else str(level)


def derived(formula: str, names: Mapping[str, Found]) -> Found:
    """A derived cell, seed by seed; constants count at every seed."""
    used = {n: v for n, v in names.items() if re.search(rf"\b{n}\b", formula)}
    if any(value == "skipped" for value in used.values()):
        return "skipped"
    return per_seed(formula, {n: v for n, v in used.items() if isinstance(v, dict)})


def per_seed(formula: str, names: Mapping[str, Values]) -> Values:
    """The value of a Python expression at every seed that all its names have."""
    varying = [set(values) for values in names.values() if set(values) != {CONSTANT}]
    seeds = sorted(set.intersection(*varying)) if varying else [CONSTANT]
    found: Values = {}
    for seed in seeds:
        at = {n: values.get(seed, values.get(CONSTANT)) for n, values in names.items()}
        if None not in at.values():
            found[seed] = eval(formula, FUNCTIONS, at)
    return found
