"""Overrides of the user: each goes to the runs it is for, and one for no run is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_specs import Toy, config_of, message, shared_recipes, toy_chapter

from thesisbench.errors import UserError
from thesisbench.selection import make_session
from thesisbench.store.runs import RunStore


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_chapter(tmp_path)


def test_a_value_goes_to_the_runs_that_have_its_key(toy: Toy) -> None:
    toy.table("a: {label: A, at: {neg: true}}")
    usual, plan = toy.session().plan, toy.session(overrides=("optimizer.lr=0.7",)).plan
    new = {r.step for i, r in plan.runs.items() if i not in usual.runs}
    assert new == {"fit", "test"}  # the proposals stay, the test is of another fit
    assert {plan.runs[i].step for i in plan.overridden} == new
    assert plan.unused == {}
    assert config_of(plan, "a")["optimizer"]["lr"] == 0.7


def test_an_evaluation_setting_leaves_the_fits_alone(toy: Toy) -> None:
    toy.table("a: {label: A}")
    usual, plan = toy.session().plan, toy.session(overrides=("evaluation.crop=2",)).plan
    assert {r.step for i, r in plan.runs.items() if i not in usual.runs} == {"test"}
    assert {plan.runs[i].step for i in plan.overridden} == {"test"}


def test_a_group_goes_to_the_fits_and_a_value_may_be_of_it(toy: Toy) -> None:
    toy.write("conf/scheduler/slow.yaml", "steps: 3\n")
    toy.table("a: {label: A, at: {neg: true}}")
    plan = toy.session(overrides=("scheduler.steps=4", "scheduler=slow")).plan
    made = {run.step: run.config["scheduler"] for run in plan.runs.values()}
    assert made == {"mine": None, "fit": {"steps": 4}, "test": None}
    assert plan.unused == {}


def test_what_runs_on_what_is_for_every_run_and_changes_none(toy: Toy) -> None:
    toy.table("a: {label: A, at: {neg: true}}")
    usual, plan = toy.session().plan, toy.session(trainer=("trainer.accelerator=gpu",)).plan
    assert list(plan.runs) == list(usual.runs)
    assert {run.config["trainer"]["accelerator"] for run in plan.runs.values()} == {"gpu"}
    assert plan.overridden == set()


def test_devices_that_cut_the_batch_of_a_norm_layer_change_runs(toy: Toy) -> None:
    """Of this backbone nobody says that it is free of such layers."""
    toy.table("a: {label: A, at: {neg: true}}")
    usual, plan = toy.session().plan, toy.session(trainer=("trainer.devices=2",)).plan
    fits = {run.id for run in plan.runs.values() if run.kind == "fit"}
    assert fits
    assert not fits & set(usual.runs)
    assert fits <= plan.overridden


def test_a_trainer_option_that_changes_runs_is_noticed(toy: Toy) -> None:
    toy.write("conf/trainer/mine.yaml", "defaults: [default, _self_]\nbenchmark: true\n")
    toy.table("a: {label: A}")
    session = toy.session(scale="paper", trainer=("trainer=mine",))
    assert session.plan.overridden == set(session.plan.runs)
    behind_it = session.paper_ids["toy.t1", "a", "top"]
    assert len(behind_it) == 6
    assert not behind_it & set(session.plan.runs)


UNUSED = {
    "nothing=1": "unknown key 'nothing'",
    "optimizer.rl=1": "nearest: optimizer.lr",
    "schedule.epochs=many": "Integer",
    "optimizer=foo": "unknown optimizer 'foo'",
    "compute=use_count": "is for no run of these tables",
}


@pytest.mark.parametrize("override", UNUSED)
def test_an_override_for_no_run_is_reported(toy: Toy, override: str) -> None:
    toy.table("a: {label: A}")
    session = toy.session(overrides=(override, "optimizer.lr=0.7"))
    try:
        said = session.plan.unused[override]
    except UserError as error:
        said = str(error)
    assert said.startswith("overrides: ")
    assert UNUSED[override] in said


def test_a_command_line_with_such_an_override_is_refused(toy: Toy) -> None:
    toy.table("a: {label: A}")
    with pytest.raises(UserError, match="overrides: 'compute=use_count' is for no run"):
        make_session(
            ["toy.t1", "compute=use_count"],
            {},
            spec_dirs=[str(toy.root / "specs")],
            config_dirs=(shared_recipes(),),
            store=RunStore(toy.root / "runs"),
        )


REFUSED = ["seed=3", "split=1", "experiment=toy/one/fit", "kind=eval", "revision=4"]


@pytest.mark.parametrize("override", REFUSED)
def test_what_the_spec_decides_is_not_the_users(toy: Toy, override: str) -> None:
    toy.table("a: {label: A}")
    text = message(toy.session(overrides=(override,)), UserError)
    assert text.startswith(f"overrides: '{override}' is not for tables; ")


def test_an_override_that_makes_rows_equal_is_blamed_itself(toy: Toy) -> None:
    toy.table("a: {label: A}, b: {label: B, at: {size: m}}")
    text = message(toy.session(overrides=("backbone.width=9",)), UserError)
    assert text.startswith("overrides: backbone.width=9 makes one run of toy.t1[a].top and toy.t1")
