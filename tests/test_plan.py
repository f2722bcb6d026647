"""Planning: which runs a table needs, in which order, and which cell reads which of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toy_specs import CHAPTER, Toy, behind, cell, config_of, counts, message, run_of, toy_chapter

from thesisbench.errors import UserError
from thesisbench.tables.grid import TARGETS_ONLY
from thesisbench.tables.plan import CONSTANT, Planner


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_chapter(tmp_path)


# Assignment.


def test_rows_and_columns_override_the_table_and_defaults_fill_the_rest(toy: Toy) -> None:
    toy.table(
        "plain: {label: P}, wide: {label: W, at: {size: m}}",
        "top: {name: A, metric: m}, fast: {name: B, metric: m, at: {rate: high}}",
        at="{size: s, data: b}",
    )
    plan = toy.session().plan
    seen = {
        (row, column): (
            behind(plan, run_of(plan, row, column))[0].levels,
            run_of(plan, row, column).levels,
        )
        for row in ("plain", "wide")
        for column in ("top", "fast")
    }
    assert seen == {
        ("plain", "top"): ({"size": "s", "rate": "low", "neg": "false"}, {"data": "b"}),
        ("plain", "fast"): ({"size": "s", "rate": "high", "neg": "false"}, {"data": "b"}),
        ("wide", "top"): ({"size": "m", "rate": "low", "neg": "false"}, {"data": "b"}),
        ("wide", "fast"): ({"size": "m", "rate": "high", "neg": "false"}, {"data": "b"}),
    }


def test_a_row_and_a_column_that_contradict_each_other_are_named(toy: Toy) -> None:
    toy.table("r: {label: R, at: {size: s}}", "top: {name: A, metric: m, at: {size: m}}")
    assert message(toy.session()) == "toy.t1[r].top: row says size=s, column says size=m"


def test_a_factor_that_no_step_behind_the_cell_takes_is_named(toy: Toy) -> None:
    toy.table("r: {label: R, at: {data: b}}", step="pair")
    assert "toy.t1[r].top: sets data, which no step behind it takes" in message(toy.session())


def test_the_step_is_the_columns_else_the_rows_else_the_tables(toy: Toy) -> None:
    toy.table(
        "r: {label: R}, p: {label: P, step: pair}",
        "top: {name: A, metric: m}, time: {name: B, metric: m, step: timed}",
    )
    plan = toy.session().plan
    places = [("r", "top"), ("r", "time"), ("p", "top"), ("p", "time")]
    steps = {place: run_of(plan, *place).step for place in places if place != ("p", "time")}
    assert steps == {("r", "top"): "test", ("r", "time"): "timed", ("p", "top"): "pair"}
    assert run_of(plan, "p", "time").id == run_of(plan, "r", "time").id


def test_the_metric_is_the_rows_else_the_columns_else_the_columns_key(toy: Toy) -> None:
    toy.table(
        "r: {label: R}, s: {label: S, at: {data: b}, read: mine}, "
        "t: {label: T, at: {size: m}, read: {top: only_top}}",
        "top: {name: A, metric: m}, low: {name: B, metric: m, read: other}",
    )
    plan = toy.session().plan
    assert [cell(plan, r, c).spec.read for r in "rst" for c in ("top", "low")] == [
        *("top", "other"),
        *("mine", "mine"),
        *("only_top", "other"),
    ]


# Overrides and their precedence.


def test_recipe_then_scale_then_levels_then_replicate_then_the_user(toy: Toy) -> None:
    toy.table("r: {label: R, at: {rate: high}}", replicates="{seed: [7]}")

    def values(scale: str, *overrides: str) -> tuple[Any, ...]:
        plan = toy.session(scale=scale, overrides=overrides).plan
        config = dict(behind(plan, run_of(plan, "r", seed=7))[0].config)
        return config["schedule"]["epochs"], config["optimizer"]["lr"], config["seed"]

    assert values("paper") == (9, 1.0, 7)
    assert values("small") == (3, 0.9, 7)
    assert values("smoke") == (3, 0.8, 7)  # a step without smoke overrides takes those of small
    assert values("small", "schedule.epochs=4", "optimizer.lr=0.3") == (4, 0.3, 7)


def test_levels_win_over_the_steps_own_overrides(tmp_path: Path) -> None:
    text = CHAPTER.replace("[schedule.epochs=3]", "[schedule.epochs=3, optimizer.lr=77]")
    toy = toy_chapter(tmp_path, text).table("r: {label: R}")
    plan = toy.session().plan
    assert config_of(plan, "r")["optimizer"]["lr"] == 0.1


@pytest.mark.parametrize("second", ["optimizer.lr=0.2", "++optimizer.lr=0.2"])
def test_two_levels_may_not_write_one_key_differently(tmp_path: Path, second: str) -> None:
    text = CHAPTER.replace("s: [backbone.width=1]", f"s: [backbone.width=1, {second}]")
    toy = toy_chapter(tmp_path, text).table("r: {label: R}")
    text = message(toy.session())
    assert text.startswith("toy.t1[r].top: levels of size and rate both write 'optimizer.lr'")
    assert second in text
    assert "optimizer.lr=0.1" in text


def test_two_levels_may_write_one_key_alike(tmp_path: Path) -> None:
    text = CHAPTER.replace("s: [backbone.width=1]", "s: [backbone.width=1, optimizer.lr=0.1]")
    plan = toy_chapter(tmp_path, text).table("r: {label: R}").session().plan
    assert config_of(plan, "r")["optimizer"]["lr"] == 0.1


def test_an_override_of_a_spec_that_does_not_compose_names_its_cell(tmp_path: Path) -> None:
    text = CHAPTER.replace("backbone.width=2", "backbone.widht=2")
    toy = toy_chapter(tmp_path, text).table("r: {label: R, at: {size: m}}")
    assert "toy.t1[r].top: unknown key 'backbone.widht'" in message(toy.session(), UserError)


def test_a_step_must_be_of_the_kind_of_its_recipe(toy: Toy) -> None:
    toy.recipe("fit", kind="prepare").table("r: {label: R}")
    assert "step fit is of kind fit, its recipe of prepare" in message(toy.session())


def test_a_table_whose_recipe_is_not_built_says_so(tmp_path: Path) -> None:
    toy = toy_chapter(tmp_path, CHAPTER.replace("recipe: test", "recipe: later"))
    toy.table("r: {label: R}")
    session = toy.session()
    assert session.plan.runs == {}
    assert {c.why for c in session.cells.values()} == {TARGETS_ONLY}
    with pytest.raises(UserError, match=r"toy.t1 has targets only: its recipe 'toy/one/later'"):
        Planner(session.catalog, session.composer).plan(["toy.t1"], "small")


# Needs.


def test_a_needed_run_gets_the_cells_levels_changed_by_at(toy: Toy) -> None:
    toy.table("r: {label: R, at: {size: m, neg: true}}")
    plan = toy.session().plan
    fit = behind(plan, run_of(plan, "r"))[0]
    (mine,) = behind(plan, fit, "proposals")
    assert fit.levels == {"size": "m", "rate": "low", "neg": "true"}
    assert mine.levels == {"size": "s"}
    assert (fit.config["backbone"]["width"], mine.config["backbone"]["width"]) == (2, 1)
    assert fit.config["dataset"]["negatives"] is True
    assert fit.replicate == mine.replicate == {"seed": 0}


def test_an_untrue_condition_plans_nothing_and_leaves_the_input_out(toy: Toy) -> None:
    toy.table("r: {label: R, at: {size: m, neg: false}}")
    plan = toy.session().plan
    assert counts(plan) == {"fit": 3, "test": 3}
    assert behind(plan, run_of(plan, "r"))[0].needs == {}


def test_a_condition_may_list_levels(toy: Toy) -> None:
    toy.table("a: {label: A, at: {data: a}}, b: {label: B, at: {data: b}}", step="judged")
    plan = toy.session().plan
    assert list(run_of(plan, "a").needs) == ["weights"]
    assert list(run_of(plan, "b").needs) == ["weights", "judge"]
    assert counts(plan) == {"fit": 3, "judged": 6, "judge": 1}


def test_a_list_of_needs_is_several_runs_in_order(toy: Toy) -> None:
    toy.table("r: {label: R}", step="pair")
    plan = toy.session().plan
    members = behind(plan, run_of(plan, "r"))
    assert [member.levels["rate"] for member in members] == ["high", "low"]
    assert counts(plan) == {"fit": 6, "pair": 3}


def test_cells_that_need_the_same_run_share_it(toy: Toy) -> None:
    toy.table("a: {label: A, at: {data: a}}, b: {label: B, at: {data: b}}")
    plan = toy.session().plan
    assert counts(plan) == {"fit": 3, "test": 6}
    assert run_of(plan, "a").needs == run_of(plan, "b").needs


def test_tables_share_runs_and_each_run_names_its_tables(toy: Toy) -> None:
    toy.table("a: {label: A}").table("b: {label: B}", key="t2", step="pair")
    plan = toy.session("t1", "t2").plan
    tables = {(run.step, run.levels.get("rate")): run.tables for run in plan.runs.values()}
    assert tables == {
        ("fit", "low"): ("toy.t1", "toy.t2"),
        ("test", None): ("toy.t1",),
        ("fit", "high"): ("toy.t2",),
        ("pair", None): ("toy.t2",),
    }


def test_every_run_comes_after_those_it_needs(toy: Toy) -> None:
    toy.table("a: {label: A, at: {neg: true}}, b: {label: B, at: {size: m, data: b}}")
    toy.table("c: {label: C, at: {data: b}}", key="t2", step="judged")
    runs = list(toy.session("t2", "t1").plan.runs.values())
    order = {run.id: number for number, run in enumerate(runs)}
    needed = [(run.id, i) for run in runs for ids in run.needs.values() for i in ids]
    assert len(needed) == 15  # two tests a seed, a fit with proposals, a judged run with its judge
    assert all(order[run] > order[i] for run, i in needed)


def test_all_runs_behind_a_run_are_found(toy: Toy) -> None:
    toy.table("a: {label: A, at: {neg: true}}")
    plan = toy.session().plan
    steps = [plan.runs[i].step for i in plan.behind(run_of(plan, "a").id)]
    assert steps == ["test", "fit", "mine"]


def test_only_the_step_marked_exclusive_is(toy: Toy) -> None:
    toy.table("a: {label: A}", step="timed")
    assert {r.step: r.exclusive for r in toy.session().plan.runs.values()} == {
        "fit": False,
        "timed": True,
    }


def test_a_run_that_two_steps_share_is_exclusive_when_one_of_them_is(toy: Toy) -> None:
    columns = "top: {name: A, metric: m}, time: {name: B, metric: s, step: timed}"
    toy.table("a: {label: A}", columns)
    plan = toy.session(scale="paper").plan
    assert cell(plan, "a", "top").runs == cell(plan, "a", "time").runs
    assert {r.kind: r.exclusive for r in plan.runs.values()} == {"fit": False, "eval": True}


# skip and same_as.


def test_a_skipped_level_is_not_planned_and_its_reason_is_kept(toy: Toy) -> None:
    toy.table("a: {label: A}, big: {label: B, at: {size: l}}")
    small, paper = toy.session().plan, toy.session(scale="paper").plan
    assert cell(small, "big").skipped == "size=l: too big for a laptop"
    assert cell(small, "big").runs == {}
    assert cell(small, "a").skipped is None
    assert counts(small) == {"fit": 3, "test": 3}
    assert cell(paper, "big").skipped is None
    assert counts(paper) == {"fit": 6, "test": 6}


def test_same_as_shows_the_run_of_the_other_level(toy: Toy) -> None:
    toy.table("m: {label: M, at: {size: m}}, xl: {label: XL, at: {size: xl}}")
    small, paper = toy.session().plan, toy.session(scale="paper").plan
    assert cell(small, "xl").runs == cell(small, "m").runs
    assert (cell(small, "xl").same_as, cell(small, "m").same_as) == ("size=m", None)
    assert counts(small) == {"fit": 3, "test": 3}
    assert cell(paper, "xl").same_as is None
    assert cell(paper, "xl").runs != cell(paper, "m").runs


def equal_levels(tmp_path: Path) -> Toy:
    """Sizes s and m mean the same."""
    return toy_chapter(tmp_path, CHAPTER.replace("m: [backbone.width=2]", "m: [backbone.width=1]"))


def test_cells_that_differ_but_are_one_run_are_an_error(tmp_path: Path) -> None:
    toy = equal_levels(tmp_path)
    toy.table("a: {label: A, at: {size: s}}, b: {label: B, at: {size: m}}")
    assert message(toy.session()) == (
        "toy.t1[a].top and toy.t1[b].top differ in size but are one run at scale small; "
        "declare one level same_as the other"
    )


def test_the_same_holds_across_tables_and_after_defaults(tmp_path: Path) -> None:
    toy = equal_levels(tmp_path).table("a: {label: A}")
    toy.table("b: {label: B, at: {size: m}}", key="t2")
    assert "toy.t1[a].top and toy.t2[b].top differ in size" in message(toy.session("t1", "t2"))
    _ = toy.session("t1").plan, toy.session("t2").plan


def test_cells_of_one_run_may_read_different_metrics(tmp_path: Path) -> None:
    toy = equal_levels(tmp_path)
    toy.table("a: {label: A, at: {size: s}}, b: {label: B, at: {size: m}, read: other}")
    assert counts(toy.session().plan) == {"fit": 3, "test": 3}


def test_two_rows_of_the_same_levels_may_share_a_run(toy: Toy) -> None:
    toy.table("a: {label: A}, b: {label: B, at: {size: s, neg: false}}")
    plan = toy.session().plan
    assert cell(plan, "a").runs == cell(plan, "b").runs


# Replicates.


def test_seeds_depend_on_the_scale_and_smoke_falls_back_on_small(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: {small: [3, 4], paper: [0, 1, 2]}}")
    seeds = {s: toy.session(scale=s).plan.seeds["toy.t1"] for s in ("smoke", "small", "paper")}
    assert seeds == {"smoke": (3, 4), "small": (3, 4), "paper": (0, 1, 2)}


def test_replicates_that_say_nothing_for_a_scale_are_an_error(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: {small: [0]}}")
    assert message(toy.session(scale="paper")) == "toy.t1: replicates.seed says nothing for paper"


def test_a_step_with_no_replicates_is_one_run_without_a_seed(toy: Toy) -> None:
    toy.table("a: {label: A}", step="judge")
    plan = toy.session().plan
    (run,) = plan.runs.values()
    assert cell(plan, "a").runs == {CONSTANT: (run.id,)}
    assert run.replicate == {}


def test_other_replicate_keys_give_several_runs_a_seed(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: [0, 1], split: [1, 2, 3]}")
    plan = toy.session().plan
    runs = cell(plan, "a").runs
    assert {seed: len(ids) for seed, ids in runs.items()} == {0: 3, 1: 3}
    made = [plan.runs[i] for i in runs[1]]
    assert [(r.config["seed"], r.config["split"]) for r in made] == [(1, 1), (1, 2), (1, 3)]


def test_a_step_may_take_some_of_the_replicate_keys(tmp_path: Path) -> None:
    text = CHAPTER.replace("takes: [size]}", "takes: [size], replicates: [split]}")
    toy = toy_chapter(tmp_path, text)
    toy.table(
        "a: {label: A, at: {neg: true}}", replicates="{seed: [0, 1], split: [1, 2]}", step="fit"
    )
    plan = toy.session().plan
    assert counts(plan) == {"mine": 2, "fit": 4}
    assert [r.replicate for r in plan.runs.values() if r.step == "mine"] == [
        {"split": 1},
        {"split": 2},
    ]


def test_seeds_of_the_user_replace_those_of_the_spec(toy: Toy) -> None:
    toy.table("a: {label: A}")
    few, more = toy.session(seeds=(1,)).plan, toy.session(seeds=(0, 1, 2, 8)).plan
    usual = toy.session().plan
    assert list(cell(few, "a").runs) == [1]
    assert list(cell(more, "a").runs) == [0, 1, 2, 8]
    assert set(few.runs) < set(usual.runs) < set(more.runs)


def test_a_second_look_doubles_the_seeds(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: [2, 5, 3], split: [1, 2]}")
    first, second = toy.session().plan, toy.session(second_look=True).plan
    assert first.seeds["toy.t1"] == (2, 5, 3)
    assert second.seeds["toy.t1"] == (2, 5, 3, 6, 7, 8)
    assert set(first.runs) < set(second.runs)
    assert len(second.runs) == 2 * len(first.runs)


# Names and revisions.


def test_an_unknown_scale_or_table_is_named(toy: Toy) -> None:
    toy.table("a: {label: A}")
    assert message(toy.session(scale="big"), UserError).startswith("unknown scale 'big'; valid")
    assert "toy.t1" in message(toy.session("t11"), UserError)


def test_a_revision_makes_other_runs_of_the_same_lineage(toy: Toy) -> None:
    toy.table("a: {label: A}")
    old = toy.session().plan
    new = toy.recipe("fit", revision=2).session().plan
    assert not set(old.runs) & set(new.runs)  # the tests of a new fit are new as well
    assert {r.lineage for r in old.runs.values()} == {r.lineage for r in new.runs.values()}
