"""Which cells may be compared with published values, and which records are stale."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_specs import CHAPTER, Toy, by_seed, cells, finished, toy_chapter

from thesisbench.execute import Rerun, sort_out
from thesisbench.tables.session import Session


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_chapter(tmp_path)


# Comparability.


def comparable(session: Session) -> dict[str, bool]:
    found = cells(session.plan, by_seed, paper=session.paper_ids)
    return {key: cell.comparable for key, cell in found.items()}


def test_a_cell_is_comparable_run_for_run_whatever_the_scale_is_called(toy: Toy) -> None:
    rows = "a: {label: A}, fast: {label: F, at: {rate: high}}, j: {label: J, step: judge}"
    columns = "top: {name: A, metric: m}, d: {name: D, metric: m, cell: 'top - top[j]'}"
    toy.table(rows, columns)
    small = comparable(toy.session())
    assert small == {
        **{"a.top": False, "fast.top": False, "j.top": True},  # 3 epochs instead of 9
        **{"a.d": False, "fast.d": False, "j.d": True},
    }
    assert set(comparable(toy.session(scale="paper")).values()) == {True}
    same = toy_chapter(toy.root, text_without_scales())
    assert comparable(same.session()) == {k: "fast" not in k for k in small}


def text_without_scales() -> str:
    return CHAPTER.replace("scales: {small: [schedule.epochs=3]}", "exclusive: false")


def test_what_is_not_comparable_says_why(toy: Toy) -> None:
    toy.table("a: {label: A}")
    session = toy.session()
    assert cells(session.plan, by_seed)["a.top"].why == "scale small: not the published experiment"
    changed = toy.session(scale="paper", overrides=("optimizer.lr=3",))
    found = cells(changed.plan, by_seed, paper=changed.paper_ids)["a.top"]
    assert (found.comparable, found.why) == (False, "changed by an override")


def test_devices_and_added_seeds_leave_cells_comparable(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thesisbench.training.batching.is_batch_free", lambda config: True)
    toy.table("a: {label: A}")
    for options in ({"trainer": ("trainer.devices=4",)}, {"seeds": (5, 6)}):
        session = toy.session(scale="paper", **options)
        assert comparable(session) == {"a.top": True}


def test_devices_that_change_what_a_normalisation_sees_do_not(toy: Toy) -> None:
    toy.table("a: {label: A}")
    changed = toy.session(scale="paper", trainer=("trainer.devices=4",))
    found = cells(changed.plan, by_seed, paper=changed.paper_ids)["a.top"]
    assert (found.comparable, found.why) == (False, "changed by an override")
    synced = toy.session(
        scale="paper", trainer=("trainer.devices=4", "+trainer.sync_batchnorm=true")
    )
    assert comparable(synced) == {"a.top": True}


def test_an_override_for_the_evaluation_only_makes_it_not_comparable(toy: Toy) -> None:
    toy.table("a: {label: A}, j: {label: J, step: judge}")
    session = toy.session(scale="paper", overrides=("evaluation.crop=2",))
    assert comparable(session) == {"a.top": False, "j.top": True}


def test_a_level_that_stands_in_for_another_is_not_comparable(toy: Toy) -> None:
    """Cell m shows its own published run; cell xl, which borrows it, does not."""
    toy_chapter(toy.root, text_without_scales())
    toy.table("m: {label: M, at: {size: m}}, xl: {label: XL, at: {size: xl}}")
    assert comparable(toy.session()) == {"m.top": True, "xl.top": False}


def test_a_small_run_that_is_the_published_run_of_another_cell_is_not_comparable(
    toy: Toy,
) -> None:
    text = text_without_scales().replace("s: [backbone.width=1]", "s: {small: [], paper: []}")
    text = text.replace("m: [backbone.width=2]", "m: {small: [backbone.width=3], paper: []}")
    toy_chapter(toy.root, text.replace("paper: []}", "paper: [backbone.width=0]}", 1))
    toy.table("m: {label: M, at: {size: m}}, l: {label: L, at: {size: l}}")
    small, paper = toy.session().plan, toy.session(scale="paper").plan
    shared = set(small.cells["toy.t1", "m", "top"].runs.values())
    assert shared == set(paper.cells["toy.t1", "l", "top"].runs.values())
    assert comparable(toy.session()) == {"m.top": False, "l.top": False}


# Stale records.


def test_raising_a_revision_makes_records_stale_and_holds_their_runs_back(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: [0, 1]}")
    before = finished(toy, toy.session())
    assert set(before.states.values()) == {"done"}
    toy.recipe("fit", revision=2)
    session = toy.session()
    assert set(session.states.values()) == {"stale"}
    assert session.stale.keys() == session.plan.runs.keys()
    assert set(session.stale.values()) == before.plan.runs.keys()
    cell = session.cells["toy.t1", "a", "top"]
    assert (cell.state, cell.values) == ("stale", {})
    assert cell.why == "records of an older revision only"
    runs = session.plan.runs
    held = sort_out(runs.values(), session.states, Rerun.of([], runs))
    assert (held.jobs, held.done) == ([], [])
    assert all("stale" in why for why in held.held.values())
    anew = sort_out(runs.values(), session.states, Rerun.of(["stale"], runs))
    assert [job.id for job in anew.jobs] == list(runs)


def test_a_new_evaluation_revision_leaves_the_fits_done(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: [0]}")
    finished(toy, toy.session())
    toy.recipe("test", revision=2)
    session = toy.session()
    assert {session.plan.runs[i].kind: s for i, s in session.states.items()} == {
        "fit": "done",
        "eval": "stale",
    }


def test_a_record_of_the_new_revision_is_stale_no_longer(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: [0]}")
    finished(toy, toy.session())
    toy.recipe("test", revision=2)
    session = finished(toy, toy.session())
    assert set(session.states.values()) == {"done"}
    assert session.cells["toy.t1", "a", "top"].state == "done"


def test_what_another_setting_left_behind_is_not_stale(toy: Toy) -> None:
    toy.table("a: {label: A}", replicates="{seed: [0]}")
    finished(toy, toy.session(overrides=("evaluation.crop=9", "optimizer.lr=9")))
    assert set(toy.session().states.values()) == {"absent"}
