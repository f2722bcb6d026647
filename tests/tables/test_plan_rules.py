"""The rules of planning, one by one, on a chapter of one table."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_toy import Toy

from thesisbench.tables.plan import Plan


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


def test_the_toy_itself_is_fine(toy: Toy) -> None:
    toy.load()
    steps = [run.step for run in toy.plan().runs.values()]
    assert steps == ["mine", "fit", "test"] * 6


def test_two_levels_that_write_one_key_alike_are_fine(toy: Toy) -> None:
    toy.chapter = toy.chapter.replace("schedule.patience=1", "schedule.epochs=1")
    toy.table = toy.table.split("  deep:")[0]
    assert len(toy.plan().runs) == 9


def test_two_cells_that_say_they_are_one_run_are_marked(toy: Toy) -> None:
    toy.table = toy.table.replace("net: deep", "net: twin")
    small, paper = toy.plan("small"), toy.plan("paper")
    key, twin = ("toy.t1", "plain", "top1"), ("toy.t1", "deep", "top1")
    assert small.cells[twin].runs == small.cells[key].runs
    assert (small.cells[key].same_as, small.cells[twin].same_as) == (None, "net=plain")
    assert set(paper.cells[twin].runs.values()).isdisjoint(paper.cells[key].runs.values())
    assert paper.cells[twin].same_as is None


def test_levels_true_and_false_may_be_written_bare(toy: Toy) -> None:
    """Only rows whose level is not `false` need the conditional input."""
    toy.table = toy.table.replace("at: {mining: true}\n", "").replace(
        "{net: plain}", "{net: plain, mining: false}"
    )
    toy.table = toy.table.replace("{net: deep}", "{net: deep, mining: true}")
    runs = toy.plan().runs.values()
    fits = {run.levels["mining"]: run.needs for run in runs if run.step == "fit"}
    assert fits["false"] == {}
    assert set(fits["true"]) == {"first"}


def test_a_cell_that_is_not_applicable_is_not_run(toy: Toy) -> None:
    toy.table = toy.table.replace("values: {top1: 83.0}", "reasons: {top1: not_applicable}")
    plan = toy.plan()
    cell = plan.cells["toy.t1", "deep", "top1"]
    assert (dict(cell.runs), "not applicable" in str(cell.skipped)) == ({}, True)
    assert {run.levels.get("net", "plain") for run in plan.runs.values()} == {"plain"}


def test_a_cell_that_was_only_not_measured_is_run(toy: Toy) -> None:
    toy.table = toy.table.replace("values: {top1: 83.0}", "reasons: {top1: not_measured}")
    assert len(toy.plan().cells["toy.t1", "deep", "top1"].runs) == 3


def settings(plan: Plan, row: str) -> dict[int, int]:
    """Seed -> the number of epochs the test of a row needs to be trained with."""
    tests = plan.cells["toy.t1", row, "top1"].runs
    fits = {seed: plan.runs[ids[0]].needs["weights"][0] for seed, ids in tests.items()}
    return {seed: plan.runs[fit].config["schedule"]["epochs"] for seed, fit in fits.items()}


def test_a_level_is_stronger_than_the_scale_of_its_step(toy: Toy) -> None:
    toy.chapter = toy.chapter.replace(
        "takes: [net, mining],", "takes: [net, mining], scales: {small: [schedule.epochs=9]},"
    )
    assert settings(toy.plan("small"), "deep") == {0: 2, 1: 2, 2: 2}


def test_the_scale_of_a_step_is_stronger_than_its_recipe(toy: Toy) -> None:
    toy.chapter = toy.chapter.replace(
        "takes: [net, mining],", "takes: [net, mining], scales: {small: [schedule.epochs=9]},"
    ).replace("deep: [schedule.epochs=2]", "deep: [schedule.accumulate=2]")
    assert settings(toy.plan("small"), "deep") == {0: 9, 1: 9, 2: 9}
    assert settings(toy.plan("paper"), "deep") == {0: 1, 1: 1, 2: 1}


def test_a_replicate_is_stronger_than_a_level(toy: Toy) -> None:
    toy.chapter = toy.chapter.replace("[schedule.epochs=2]", "[schedule.epochs=2, seed=7]")
    plan = toy.plan()
    assert {run.config["seed"] for run in plan.runs.values()} == {0, 1, 2}


def test_the_user_is_stronger_than_all(toy: Toy) -> None:
    toy.table = toy.table.split("  deep:")[0]  # the override makes one run of both rows
    assert settings(toy.plan(overrides=("schedule.epochs=5",)), "plain") == {0: 5, 1: 5, 2: 5}


def test_smoke_is_small_where_it_is_not_said(toy: Toy) -> None:
    toy.chapter = toy.chapter.replace(
        "deep: [schedule.epochs=2]",
        "deep: {small: [schedule.epochs=2], paper: [schedule.epochs=3]}",
    )
    assert settings(toy.plan("smoke"), "deep") == {0: 2, 1: 2, 2: 2}
    assert settings(toy.plan("paper"), "deep") == {0: 3, 1: 3, 2: 3}
