"""A chapter of one table with real little recipes, for tests that change a word of it."""

from __future__ import annotations

from pathlib import Path

from thesisbench.compose import Composer
from thesisbench.tables.assign import cell_specs
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.plan import Plan, Planner

CHAPTER = """
title: Toy
defaults: {}
levels:
  net:
    plain: [schedule.epochs=1]
    deep: [schedule.epochs=2]
    twin: {small: {same_as: plain}, paper: [schedule.epochs=3]}
  mining: {true: [schedule.patience=1], false: [schedule.patience=2]}
  data: {all: [schedule.batch_size=8]}
steps:
  mine: {kind: fit, recipe: fit, takes: [net]}
  fit: {kind: fit, recipe: fit, takes: [net, mining], needs: {first: {step: mine, when: mining}}}
  test: {kind: eval, recipe: test, needs: {weights: fit}}
"""
TABLE = """
id: toy.t1
thesis: toy
chapter: 1
kind: table
title: Toy
task: classification
step: test
at: {mining: true}
replicates: {seed: {small: [0, 1, 2], paper: [0, 1, 2]}}
columns:
  top1: {name: Top-1, metric: top1_accuracy, at: {}}
rows:
  plain: {label: Plain, at: {net: plain}, values: {top1: 81.4}}
  deep: {label: Deep, at: {net: deep}, values: {top1: 83.0}}
"""
RECIPES = {
    "fit": "kind: fit\nschedule: {epochs: 1, batch_size: 4}\n",
    "test": "kind: eval\n",
}


class Toy:
    """A chapter of one table in a folder, with its recipes."""

    def __init__(self, root: Path) -> None:
        self.root, self.slug = root, "toy/toys"
        self.chapter, self.table = CHAPTER, TABLE

    def catalog(self) -> Catalog:
        folder = self.root / "specs" / self.slug
        (folder / "tables").mkdir(parents=True, exist_ok=True)
        (folder / "chapter.yaml").write_text(self.chapter)
        (folder / "tables/t1.yaml").write_text(self.table)
        return Catalog(((self.root / "specs", False),))

    def plan(self, scale: str = "small", overrides: tuple[str, ...] = ()) -> Plan:
        recipes = self.root / "conf/experiment" / self.slug
        recipes.mkdir(parents=True, exist_ok=True)
        for name, text in RECIPES.items():
            (recipes / f"{name}.yaml").write_text(f"# @package _global_\n{text}")
        composer = Composer(searchpath=(str(self.root / "conf"),))
        return Planner(self.catalog(), composer, overrides).plan(["toy.t1"], scale)

    def load(self) -> None:
        catalog = self.catalog()
        cell_specs(catalog.table("toy.t1"), catalog.folders[self.slug].chapter)
