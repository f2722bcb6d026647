"""Replicates filled into a template are those that composing each of them makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from thesisbench.compose import Composed, Composer
from thesisbench.errors import UserError
from thesisbench.tables import plan as plan_module
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.grid import has_grid
from thesisbench.tables.plan import Plan, Planner
from thesisbench.tables.replicates import Pair, make_template


def pair(config: dict[str, Any], theirs: dict[str, Any] | None = None) -> Pair:
    plain = Composed(config, {"experiment": "x"})
    return plain, plain if theirs is None else Composed(theirs, {"experiment": "x"})


def test_numbers_of_the_replicate_are_found_wherever_they_stand() -> None:
    def compose(replicate: Mapping[str, int]) -> Pair:
        seed, split = replicate["seed"], replicate["split"]
        return pair({"seed": seed, "data": {"split": split, "draws": [7, seed]}, "other": 3})

    template = make_template(compose, ("seed", "split"))
    assert template is not None
    plain, theirs = template.fill({"seed": 3, "split": 1})
    assert plain.config == {"seed": 3, "data": {"split": 1, "draws": [7, 3]}, "other": 3}
    assert theirs is plain
    again, _ = template.fill({"seed": 4, "split": 1})
    assert plain.config["data"]["draws"] == [7, 3]
    assert again.config["data"]["draws"] == [7, 4]


def test_the_users_overrides_have_slots_of_their_own() -> None:
    template = make_template(
        lambda r: pair({"seed": r["seed"]}, {"seed": 5, "x": r["seed"]}), ("seed",)
    )
    assert template is not None
    plain, theirs = template.fill({"seed": 9})
    assert (plain.config, theirs.config) == ({"seed": 9}, {"seed": 5, "x": 9})


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: {"seed": seed, "name": f"run_{seed}"},
        lambda seed: {"seed": seed, "next": seed + 1},
        lambda seed: {"seed": seed, "odd": bool(seed % 2 and seed < 1_500_000)},
        lambda seed: {"seed": float(seed)},
        lambda seed: {"seed": seed, **({"more": 1} if seed > 1_500_000 else {})},
        lambda seed: {"draws": [seed] * (1 + (seed > 1_500_000))},
    ],
)
def test_no_template_where_anything_else_differs(make: Any) -> None:
    assert make_template(lambda r: pair(make(r["seed"])), ("seed",)) is None


def test_no_template_where_choices_differ_or_made_up_numbers_are_refused() -> None:
    def choosing(replicate: Mapping[str, int]) -> Pair:
        made = Composed({"seed": replicate["seed"]}, {"net": str(replicate["seed"])})
        return made, made

    def refusing(_: Mapping[str, int]) -> Pair:
        raise UserError("split must be 1, 2 or 3")

    assert make_template(choosing, ("seed",)) is None
    assert make_template(refusing, ("seed",)) is None


CATALOG, COMPOSER = Catalog.at(), Composer()
BUILT = [table for table in CATALOG.tables if has_grid(CATALOG, COMPOSER.recipes, table)]


def facts(plan: Plan) -> dict[str, Any]:
    runs = {i: dataclasses.asdict(run) for i, run in plan.runs.items()}
    cells = {key: (cell.runs, cell.skipped, cell.same_as) for key, cell in plan.cells.items()}
    return {"runs": runs, "cells": cells}


def both_ways(
    planner: Planner, table: str, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    found = []
    for least in (1, 10_000):
        monkeypatch.setattr(plan_module, "WORTH_IT", least)
        fresh = dataclasses.replace(planner, made={}, templates={})
        found.append(facts(fresh.plan([table], "paper")))
        assert all(t is not None for made in fresh.templates.values() for t in made.values())
        repeated = any(run["replicate"] for run in found[0]["runs"].values())
        assert bool(fresh.templates) == (least == 1 and repeated)
    return found


@pytest.mark.parametrize("table", BUILT)
def test_all_tables_are_planned_the_same_with_and_without(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = Planner(CATALOG, COMPOSER, seeds=(0, 1))
    filled, composed = both_ways(planner, table, monkeypatch)
    assert filled == composed


def test_the_same_with_overrides_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    planner = Planner(CATALOG, COMPOSER, ("schedule.epochs=3",), seeds=(0, 5))
    filled, composed = both_ways(planner, "kayhan.t2.1", monkeypatch)
    assert filled == composed
    assert any(
        run["config"].get("schedule", {}).get("epochs") == 3 for run in filled["runs"].values()
    )
