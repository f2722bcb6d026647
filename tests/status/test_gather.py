"""What a look finds in a made-up runs folder: each state, and nothing moved or changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from made_up import (
    chapter,
    claim,
    fail,
    finish,
    fits,
    interrupt,
    queue,
    quieten,
    tree,
)
from toy_specs import Toy, behind, publish, run_of

from thesisbench.status.gather import of_folder, of_tables
from thesisbench.status.look import LookingStore
from thesisbench.status.model import Overview, RunView
from thesisbench.store.lease import filesystem_time
from thesisbench.tables.session import Session


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return chapter(tmp_path)


def looked(session: Session) -> Overview:
    store = LookingStore(session.store.root)
    session.store = store
    return of_tables(session, store)


def folder(session: Session, scale: str | None = None) -> Overview:
    return of_folder(LookingStore(session.store.root), scale)


def view(overview: Overview, state: str) -> RunView:
    (run,) = overview.of(state)
    return run


def test_without_a_runs_folder_everything_is_absent(toy: Toy) -> None:
    found = looked(toy.session())
    assert (found.states, found.cells, found.runs) == ({"absent": 8}, (0, 2), ())
    assert found.commands[0].startswith("thesisbench reproduce toy.t1 --scale small --spec-dir ")
    assert folder(toy.session()) == Overview(str(toy.root / "runs"), (), None, (), {})
    assert not (toy.root / "runs").exists()


def test_a_cell_is_done_when_all_its_runs_are(toy: Toy) -> None:
    session = toy.session()
    first, second, *_ = fits(session)
    for run in (first, second):
        finish(session, run)
    assert looked(session).cells == (0, 2), "fits without their tests show nothing"
    tests = {r.needs["weights"][0]: r for r in session.plan.runs.values() if r.step == "test"}
    finish(session, tests[first.id])
    assert looked(session).cells == (0, 2), "one seed of two"
    publish(session.store, tests[second.id], None)  # diverged: a result as well
    found = looked(session)
    assert found.cells == (1, 2)
    assert found.states == {"done": 3, "diverged": 1, "absent": 4}
    assert found.groups[0].states == found.states


def test_a_running_run_tells_how_far_it_is_and_who_has_it(toy: Toy) -> None:
    session = toy.session()
    run = fits(session)[0]
    claim(session, run, progress={"epoch": 2, "epochs": 3}, seconds=20.0)
    found = view(looked(session), "running")
    assert (found.id, found.epochs, found.attempts, found.silent) == (run.id, (2, 3), 1, None)
    assert found.title == run.title
    assert found.host == os.uname().nodename
    assert found.seconds == pytest.approx(20, abs=2)
    assert found.remaining == pytest.approx(10, abs=2), "20 s for two epochs of three"
    assert found.command == ""
    assert not looked(session).commands, "somebody goes on already"


def test_what_a_run_still_needs_is_known_from_runs_like_it(toy: Toy) -> None:
    session = toy.session()
    first, second, other, _ = fits(session)
    finish(session, second, 100.0)
    finish(session, other, 7.0)  # of another rate
    claim(session, first, seconds=30.0)
    found = looked(session)
    assert view(found, "running").remaining == pytest.approx(70, abs=2)
    assert found.remaining is None, "nothing is known of the tests"


def test_time_left_is_shared_among_those_that_run(toy: Toy) -> None:
    session = toy.session()
    low, high = fits(session)[:2], fits(session)[2:]
    finish(session, low[0], 100.0)
    finish(session, high[0], 50.0)
    tests = [run for run in session.plan.runs.values() if run.step == "test"]
    finish(session, tests[0], 4.0)
    claim(session, low[1], seconds=40.0)
    left = 60 + 50 + 3 * 4
    assert looked(session).remaining == pytest.approx(left, abs=2)
    claim(session, high[1], seconds=0.0)
    assert looked(session).remaining == pytest.approx(left / 2, abs=2)


def test_a_silent_run_is_said_to_be_so_and_later_counts_as_interrupted(toy: Toy) -> None:
    session = toy.session()
    lease = claim(session, fits(session)[0])
    quieten(lease, 30)
    assert view(looked(session), "running").silent == pytest.approx(30, abs=2)
    quieten(lease, 500)
    found = view(looked(session), "interrupted")
    assert found.silent == pytest.approx(500, abs=2)
    assert found.command.startswith("thesisbench reproduce toy.t1")
    assert "--rerun" not in found.command


def test_a_failed_run_shows_the_end_of_its_log_and_how_to_try_again(toy: Toy) -> None:
    session = toy.session()
    run = fits(session)[0]
    log = "x" * 9000 + "\nTraceback\n  File\n\x1b[31mfailed: boom\x1b[0m\tloud\r\n\n   \n"
    fail(session, run, log)
    found = view(looked(session), "failed")
    assert (found.message, found.log_line) == ("ValueError: too small", "failed: boom loud")
    assert found.command.endswith("--rerun failed")
    assert looked(session).commands[-1] == found.command
    alone = view(folder(session), "failed")
    assert alone.command == f"thesisbench run {session.store.folder(run.id).path}"


def test_out_of_memory_has_a_name_and_a_command_of_its_own(toy: Toy) -> None:
    session = toy.session()
    fail(session, fits(session)[0], "", kind="out of memory")
    found = view(looked(session), "failed")
    assert (found.kind, found.log_line) == ("out of memory", "")
    assert found.command.endswith("--rerun oom")


def test_an_interrupted_run_counts_its_attempts(toy: Toy) -> None:
    session = toy.session()
    run = fits(session)[0]
    for _ in range(3):
        interrupt(session, run)
    assert view(looked(session), "interrupted").attempts == 3


def test_a_run_of_an_older_revision_makes_the_new_one_stale(toy: Toy) -> None:
    old = toy.session()
    finish(old, fits(old)[0])
    toy.recipe("fit", revision=2)
    session = toy.session()
    found = view(looked(session), "stale")
    assert found.id == fits(session)[0].id
    assert found.command.endswith("--rerun stale")
    assert folder(session).states == {"done": 1}, "the new one is not there"
    queue(session, fits(session)[0])
    assert folder(session).states == {"done": 1, "stale": 1}


def test_a_folder_is_grouped_by_chapter_step_and_scale(toy: Toy) -> None:
    for scale in ("small", "paper"):
        session = toy.session(scale=scale)
        for run in session.plan.runs.values():
            queue(session, run)
    found = folder(session)
    names = [group.name for group in found.groups]
    assert names == [f"toy/one {s}, {c}" for s in ("fit", "test") for c in ("paper", "small")]
    assert found.states == {"queued": 16}
    assert folder(session, "paper").states == {"queued": 8}
    assert found.cells is None


def test_damaged_folders_are_named_left_alone_and_cost_nothing_else(toy: Toy) -> None:
    session = toy.session()
    first, second, third, fourth = fits(session)
    claim(session, first)
    session.store.folder(first.id).state_file.write_text('{"na')
    queue(session, second).config_file.write_text("id: [")
    queue(session, third).record_file.write_text("{}")
    interrupt(session, fourth)
    before = tree(session.store.root)
    for found in (looked(session), folder(session)):
        assert len(found.problems) == 3, found.problems
        for run, name in ((first, "state.json"), (second, "config.yaml"), (third, "record.json")):
            assert any(run.id in line and name in line for line in found.problems)
        assert found.states["running"] == found.states["interrupted"] == 1
    assert tree(session.store.root) == before
    (session.store.root / "notes").mkdir()
    (session.store.root / "notes/config.txt").touch()
    assert len(folder(session).problems) == 3, "what is no run folder is none of our business"


def test_looking_changes_nothing_and_asks_for_the_time_once(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = toy.session()
    first, second, third, fourth = fits(session)
    quieten(claim(session, first), 500)
    fail(session, second, "no\n")
    claim(session, third)
    queue(session, fourth)
    before, asked = tree(session.store.root), []

    def time_of(path: Path) -> float:
        asked.append(path)
        return filesystem_time(path)

    monkeypatch.setattr("thesisbench.status.look.filesystem_time", time_of)
    folder(session)
    assert asked == [session.store.root]
    assert tree(session.store.root) == before


def test_a_folder_that_vanishes_and_returns_is_read_again(toy: Toy) -> None:
    session = toy.session()
    queue(session, fits(session)[0])
    store = LookingStore(session.store.root)
    assert of_folder(store).states == {"queued": 1}
    away = store.root.with_name("away")
    store.root.rename(away)
    assert of_folder(store).states == {}
    away.rename(store.root)
    assert of_folder(store).states == {"queued": 1}
    shutil.rmtree(store.root)
    assert of_folder(store).states == {}


def test_the_form_for_machines(toy: Toy) -> None:
    session = toy.session()
    claim(session, fits(session)[0], progress={"epoch": 1, "epochs": 3})
    fail(session, fits(session)[1], "no\n")
    data = json.loads(json.dumps(looked(session).as_json()))
    assert set(data) == {
        *("runs_folder", "scale", "tables", "cells", "states", "groups", "runs"),
        *("remaining", "commands", "problems", "retried"),
    }
    assert data["cells"] == {"done": 0, "all": 2}
    assert data["states"] == {"running": 1, "failed": 1, "absent": 6}
    assert data["groups"] == [{"name": "toy.t1", "cells": data["cells"], "states": data["states"]}]
    running, failed = data["runs"]
    assert (
        set(running)
        == set(failed)
        == {
            *("id", "title", "chapter", "step", "scale", "tables", "folder", "state", "kind"),
            *("message", "log_line", "progress", "attempts", "host", "silent", "seconds"),
            *("remaining", "command"),
        }
    )
    assert (running["progress"], running["tables"]) == ({"epoch": 1, "epochs": 3}, ["toy.t1"])
    assert (failed["state"], failed["attempts"]) == ("failed", 1)
    assert json.loads(json.dumps(folder(session).as_json()))["cells"] is None


@pytest.mark.parametrize("progress", [{"epoch": "x", "epochs": 3}, {"epoch": 1}, {"epochs": 0}])
def test_progress_that_says_nothing_is_no_progress(toy: Toy, progress: dict[str, object]) -> None:
    session = toy.session()
    claim(session, fits(session)[0], progress=progress)
    found = view(looked(session), "running")
    assert (found.epochs, found.remaining) == (None, None)


def test_a_table_at_another_scale_has_runs_of_its_own(toy: Toy) -> None:
    small, smoke = toy.session(), toy.session(scale="smoke")
    finish(small, behind(small.plan, run_of(small.plan, "b"))[0])
    assert looked(small).states == {"done": 1, "absent": 7}
    assert looked(smoke).states == {"absent": 8}
