"""From records to cells: values a seed, states, derived cells, and what the runs folder holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_specs import SLUG, Toy, by_seed, cells, finished, publish, toy_chapter

from thesisbench.execute import folder_config
from thesisbench.launch.jobs import DONE
from thesisbench.run import run_folder
from thesisbench.store.runs import RunStore
from thesisbench.tables.model import PlannedRun
from thesisbench.tables.plan import Plan


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_chapter(tmp_path)


def evaluations(plan: Plan, seed: int) -> list[str]:
    return [i for i, r in plan.runs.items() if r.kind == "eval" and r.replicate["seed"] == seed]


# Measured cells.


def test_a_cell_holds_the_metric_of_each_seed(toy: Toy) -> None:
    plan = toy.table("a: {label: A}").session().plan
    cell = cells(plan, by_seed)["a.top"]
    assert cell.values == {0: 0.0, 1: 10.0, 2: 20.0}
    assert (cell.state, cell.expected, cell.constant) == ("done", (0, 1, 2), False)
    assert cell.runs == {seed: tuple(evaluations(plan, seed)) for seed in (0, 1, 2)}


def test_a_seed_is_the_mean_over_its_splits(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: [0, 1], split: [1, 2, 6]}")
    plan = toy.session().plan
    cell = cells(plan, by_seed)["a.top"]
    assert cell.values == {0: 3.0, 1: 13.0}
    assert [len(ids) for ids in cell.runs.values()] == [3, 3]


def test_a_seed_without_all_its_splits_is_not_there(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: [0, 1], split: [1, 2, 6]}")
    plan = toy.session().plan
    cell = cells(plan, by_seed, without=evaluations(plan, 0)[1:2])["a.top"]
    assert (cell.state, cell.values) == ("partial", {1: 13.0})


def test_without_any_record_a_cell_is_missing(toy: Toy) -> None:
    plan = toy.table("a: {label: A}").session().plan
    cell = cells(plan, by_seed, without=list(plan.runs))["a.top"]
    assert (cell.state, cell.values, cell.why) == ("missing", {}, None)


def test_a_constant_has_one_value_without_a_seed(toy: Toy) -> None:
    plan = toy.table("a: {label: A}", step="judge").session().plan
    cell = cells(plan, lambda run: {"top": 5.0})["a.top"]
    assert (cell.values, cell.constant) == ({-1: 5.0}, True)


def test_a_metric_that_is_not_there_is_named_with_those_that_are(toy: Toy) -> None:
    plan = toy.table("a: {label: A}").session().plan
    cell = cells(plan, lambda run: {"top1": 1.0, "loss": 2.0})["a.top"]
    assert cell.state == "failed"
    (first,) = cell.runs[0]
    last = cell.runs[2][0]
    assert cell.why in {f"run {i} has no metric 'top'; it has loss, top1" for i in (first, last)}


def test_a_failed_run_fails_the_cells_behind_which_it_stands(toy: Toy) -> None:
    toy.table("a: {label: A}, b: {label: B, at: {size: m}}")
    plan = toy.session().plan
    fit = plan.runs[next(iter(plan.cells["toy.t1", "a", "top"].runs.values()))[0]].needs["weights"]
    gone = [*fit, *(i for i, r in plan.runs.items() if fit == r.needs.get("weights"))]
    found = cells(plan, by_seed, without=gone, failures={fit[0]: "out of memory"})
    assert (found["a.top"].state, found["b.top"].state) == ("failed", "done")
    assert found["a.top"].why == f"run {fit[0]}: out of memory"
    assert found["a.top"].values == {1: 10.0, 2: 20.0}


def test_a_diverged_seed_is_a_result_without_a_value(toy: Toy) -> None:
    plan = toy.table("a: {label: A}").session().plan
    cell = cells(plan, lambda run: None if run.replicate["seed"] == 1 else by_seed(run))["a.top"]
    assert (cell.state, cell.values, cell.diverged) == ("done", {0: 0.0, 2: 20.0}, {1})


def test_one_diverged_split_makes_the_seed_diverged(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: [0, 1], split: [1, 2]}")
    plan = toy.session().plan
    gone = {"seed": 1, "split": 2}
    cell = cells(plan, lambda run: None if run.replicate == gone else by_seed(run))["a.top"]
    assert (cell.values, cell.diverged) == ({0: 1.5}, {1})


def test_what_needs_a_diverged_run_diverges_without_being_executed(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.table("a: {label: A}", replicates="{seed: [0]}")
    session = toy.session()
    fit, test = session.plan.runs.values()
    publish(session.store, fit, None)
    folder = session.store.folder(test.id)
    folder.write_config(folder_config(test))
    monkeypatch.setattr("thesisbench.run.run_step", lambda context: pytest.fail("was executed"))
    assert run_folder(folder.path) == DONE
    session.refresh()
    cell = session.cells["toy.t1", "a", "top"]
    assert (cell.state, cell.values, cell.diverged) == ("done", {}, {0})
    assert session.states == {fit.id: "diverged", test.id: "diverged"}


def test_printed_cells_are_not_run(toy: Toy) -> None:
    toy.table(
        "a: {label: A, values: {top: 3.5}}, h: {label: H, source: human, values: {top: 90.0}}",
        kind="table",
    )
    plan = toy.session().plan
    cell = cells(plan, by_seed)["h.top"]
    assert (cell.state, cell.values, cell.target.value) == ("printed", {}, 90.0)
    assert len(plan.runs) == 6


# Derived cells.

RATIO = "top: {name: A, metric: m}, low: {name: B, metric: m}, r: {name: R, metric: m, cell: C}"


def two_metrics(run: PlannedRun) -> dict[str, float]:
    seed = run.replicate["seed"]
    return {"top": [1.0, 2.0, 6.0][seed], "low": [1.0, 4.0, 2.0][seed]}


def test_a_derived_cell_is_computed_per_seed_and_not_from_means(toy: Toy) -> None:
    toy.table("a: {label: A}", RATIO.replace("C", '"top / low"'))
    cell = cells(toy.session().plan, two_metrics)["a.r"]
    assert cell.values == {0: 1.0, 1: 0.5, 2: 3.0}  # their mean is 1.5, the ratio of means 9 / 7
    assert (cell.state, cell.source, cell.expected) == ("done", "derived", (0, 1, 2))


def test_a_derived_cell_may_name_another_row_and_derived_cells(toy: Toy) -> None:
    columns = (
        "top: {name: A, metric: m}, gain: {name: B, metric: m, cell: 'top - top[a]'}, "
        "twice: {name: C, metric: m, cell: '2 * gain'}"
    )
    toy.table("a: {label: A}, b: {label: B, at: {size: m}}", columns)
    plan = toy.session().plan

    def metrics(run: PlannedRun) -> dict[str, float]:
        fit = plan.runs[run.needs["weights"][0]]
        return {"top": fit.config["backbone"]["width"] * (1.0 + run.replicate["seed"])}

    found = cells(plan, lambda run: metrics(run) if run.kind == "eval" else {})
    assert found["b.gain"].values == {0: 1.0, 1: 2.0, 2: 3.0}
    assert found["b.twice"].values == {0: 2.0, 1: 4.0, 2: 6.0}
    assert found["a.twice"].values == {0: 0.0, 1: 0.0, 2: 0.0}


def test_a_derived_row_uses_the_rows_of_its_column(toy: Toy) -> None:
    with_target = toy.table(
        "a: {label: A, values: {top: 1.0}}, h: {label: H, source: human, values: {top: 90.0}}, "
        "gap: {label: G, source: derived, cell: 'h - a', values: {top: 89.0}}",
        kind="table",
    )
    plan = with_target.session().plan
    published = dict.fromkeys(plan.cells, frozenset(plan.runs))
    found = cells(plan, by_seed, paper=published)["gap.top"]
    assert found.values == {0: 90.0, 1: 80.0, 2: 70.0}
    assert found.target.value == 89.0
    mixed = cells(plan, by_seed)["gap.top"]
    assert (mixed.state, mixed.values) == ("skipped", {})
    assert "printed number" in str(mixed.why)


def test_a_derived_cell_without_meaning_is_not_computed(toy: Toy) -> None:
    toy.table(
        "a: {label: A, values: {top: 1.0}, reasons: {gain: not_applicable}}, "
        "b: {label: B, at: {size: m}, values: {top: 2.0, gain: 1.0}}",
        "top: {name: A, metric: m}, gain: {name: B, metric: m, cell: 'top - top[a]'}",
        kind="table",
    )
    found = cells(toy.session().plan, by_seed)
    assert (found["a.gain"].state, found["b.gain"].state) == ("skipped", "done")
    assert "not applicable" in str(found["a.gain"].why)


def test_a_derived_cell_has_the_seeds_that_all_its_inputs_have(toy: Toy) -> None:
    columns = (
        "top: {name: A, metric: m}, two: {name: B, metric: m, at: {data: b}, read: top}, "
        "d: {name: D, metric: m, cell: 'top - two'}"
    )
    toy.table("a: {label: A}", columns)
    plan = toy.session().plan
    gone = [i for i in evaluations(plan, 1) if plan.runs[i].levels == {"data": "b"}]
    cell = cells(plan, by_seed, without=gone)["a.d"]
    assert (cell.state, cell.values, cell.expected) == ("partial", {0: 0.0, 2: 0.0}, (0, 1, 2))


@pytest.mark.parametrize(
    ("size", "state", "why"),
    [("l", "skipped", "size=l: too big for a laptop"), ("m", "done", None)],
)
def test_what_is_derived_from_a_skipped_cell_is_skipped(
    toy: Toy, size: str, state: str, why: str | None
) -> None:
    columns = "top: {name: A, metric: m}, d: {name: D, metric: m, cell: 'top - top[a]'}"
    toy.table(f"a: {{label: A}}, b: {{label: B, at: {{size: {size}}}}}", columns)
    plan = toy.session().plan
    everything = dict.fromkeys(plan.cells, frozenset(plan.runs))
    cell = cells(plan, by_seed, paper=everything)["b.d"]
    assert (cell.state, cell.why) == (state, why)
    assert bool(cell.values) == (state == "done")


def test_a_derived_cell_without_a_finite_value_fails_and_says_why(toy: Toy) -> None:
    toy.table("a: {label: A}", RATIO.replace("C", '"top / (low - low)"'))
    cell = cells(toy.session().plan, two_metrics)["a.r"]
    assert (cell.state, cell.values) == ("failed", {})
    assert cell.why


def test_derived_cells_in_a_circle_fail_in_plain_words(toy: Toy) -> None:
    columns = (
        "top: {name: A, metric: m}, x: {name: X, metric: m, cell: 'y + 1'}, "
        "y: {name: Y, metric: m, cell: 'x + top'}"
    )
    found = cells(toy.table("a: {label: A}", columns).session().plan, by_seed)
    assert {found[k].state for k in ("a.x", "a.y")} == {"failed"}
    assert found["a.x"].why == "derived cells in a circle"
    assert found["a.top"].state == "done"


def test_a_constant_enters_each_seed_of_a_derived_cell(toy: Toy) -> None:
    columns = (
        "top: {name: A, metric: m}, j: {name: J, metric: m, step: judge, read: top}, "
        "d: {name: D, metric: m, cell: 'top - j'}"
    )
    plan = toy.table("a: {label: A}", columns).session().plan
    found = cells(plan, lambda r: {"top": 5.0} if r.step == "judge" else by_seed(r))
    assert found["a.d"].values == {0: -5.0, 1: 5.0, 2: 15.0}
    assert (found["a.d"].constant, found["a.j"].constant) == (False, True)


# From the runs folder.


def test_a_session_reads_the_records_and_the_failures_of_its_runs(toy: Toy) -> None:
    toy.table("a: {label: A}, b: {label: B, at: {size: m}}", replicates="{seed: [0, 1]}")
    session = toy.session()
    for run in session.plan.runs.values():
        if run.replicate == {"seed": 0}:
            publish(session.store, run, by_seed(run))
    session.refresh()
    cell = session.cells["toy.t1", "a", "top"]
    assert (cell.state, cell.values) == ("partial", {0: 0.0})
    assert session.store.problems == []


def test_a_damaged_record_is_set_aside_and_the_rest_still_collected(toy: Toy) -> None:
    toy.table("a: {label: A}, b: {label: B, at: {size: m}}", replicates="{seed: [0, 1]}")
    first = toy.session()
    finished(toy, first)
    (bad,) = first.plan.cells["toy.t1", "a", "top"].runs[1]
    RunStore(toy.root / "runs").folder(bad).record_file.write_text('{"result": ')
    session = toy.session()
    assert session.cells["toy.t1", "a", "top"].values == {0: 0.0}
    assert session.cells["toy.t1", "b", "top"].values == {0: 0.0, 1: 10.0}
    assert len(session.store.problems) == 1
    assert bad in session.store.problems[0]


def test_records_accepted_into_the_chapter_serve_where_the_runs_folder_has_none(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: [0]}")
    runs = toy.session().plan.runs
    made = {"environment": "e1", "config": {}}
    kept = {
        i: {"id": i, "result": {"outcome": "ok", "metrics": {"top": 8.0}}, "provenance": made}
        for i in runs
    }
    content = {"format": 1, "table": "toy.t1", "scale": "small", "runs": kept}
    accepted = {"accepted": {"commit": "c", "date": "d"}, "environments": {"e1": {}}, "configs": {}}
    toy.write(f"specs/{SLUG}/results/small/t1.json", json.dumps({**content, **accepted}))
    session = toy.session()
    assert session.cells["toy.t1", "a", "top"].values == {0: 8.0}
    for run in runs.values():
        publish(session.store, run, {"top": 3.0})
    assert toy.session().cells["toy.t1", "a", "top"].values == {0: 3.0}


def test_a_cell_reads_cost_where_the_metrics_have_no_such_name(toy: Toy) -> None:
    toy.table("a: {label: A}, b: {label: B, at: {size: m}}", replicates="{seed: [0]}")
    session = toy.session()
    costs: dict[str, dict[str, float]] = {"a": {}, "b": {"top": 3.0}}
    for row, metrics in costs.items():
        ((run_id,),) = session.plan.cells["toy.t1", row, "top"].runs.values()
        publish(session.store, session.plan.runs[run_id], metrics, cost={"top": 2.0})
    session = toy.session()
    assert session.cells["toy.t1", "a", "top"].values == {0: 2.0}
    assert session.cells["toy.t1", "b", "top"].values == {0: 3.0}
