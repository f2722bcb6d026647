"""Run folders: written once, states derived from their files, damage that stays local."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesisbench.errors import CorruptFileError, UserError
from thesisbench.store import runs as runs_module
from thesisbench.store.lease import Lease
from thesisbench.store.runs import RunFolder, RunStore, data_root, default_root

OK = {"result": {"outcome": "ok", "metrics": {"top1": 0.5}}, "provenance": {"wall_seconds": 3}}


def planned(root: Path, run_id: str = "a", **config: Any) -> RunFolder:
    run = RunFolder(root / run_id)
    run.write_config({"id": run_id, **config})
    return run


def claimed(run: RunFolder) -> Lease:
    lease = Lease.claim(run.path).lease
    assert lease is not None
    return lease


def finished(run: RunFolder, record: dict[str, Any]) -> RunFolder:
    lease = claimed(run)
    assert run.publish_record(record, lease)
    lease.release()
    return run


def test_paths_of_a_run() -> None:
    run = RunFolder(Path("runs/abc"))
    assert run.id == "abc"
    names = [
        run.config_file,
        run.record_file,
        run.state_file,
        run.log_file,
        run.metrics_file,
        run.attempt_dir(2),
        run.predictions_dir,
    ]
    assert [str(path.relative_to(run.path)) for path in names] == [
        "config.yaml",
        "record.json",
        "state.json",
        "log.txt",
        "metrics.jsonl",
        "attempts/2/checkpoints",
        "predictions",
    ]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["1e-3", "off", "no", "010", "12:30", "", "null", "~", "é\n  x: y", "0x1"])
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "on", "1", "b c"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(config=plain)
def test_a_configuration_is_read_back_as_it_was_written(
    config: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = planned(tmp_path_factory.mktemp("runs"), model=config, again=config)
    assert run.read_config() == {"id": "a", "model": config, "again": config}


def test_a_configuration_has_no_anchors_and_keeps_its_order(tmp_path: Path) -> None:
    shared = {"lr": 0.1}
    run = planned(tmp_path, z=shared, b=shared)
    assert run.config_file.read_text() == "id: a\nz:\n  lr: 0.1\nb:\n  lr: 0.1\n"


def test_the_first_configuration_stays(tmp_path: Path) -> None:
    run = planned(tmp_path, note=1)
    assert not run.write_config({"id": "a", "note": 2})
    assert run.read_config()["note"] == 1


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    run = planned(tmp_path)
    with pytest.raises(UserError, match=r"config\.yaml belongs to run 'a', not 'b'; move"):
        run.write_config({"id": "b"})


@pytest.mark.parametrize("content", ["a: [", "- 1\n", "", "a: \x07", "a: !!python/name:os.system"])
def test_a_damaged_configuration_is_named_and_written_anew(tmp_path: Path, content: str) -> None:
    run = planned(tmp_path)
    run.config_file.write_text(content)
    with pytest.raises(CorruptFileError, match=r"config\.yaml is corrupt: ") as caught:
        run.read_config()
    assert "\n" not in str(caught.value)
    assert run.write_config({"id": "a"})
    assert run.read_config() == {"id": "a"}
    assert (run.path / "config.yaml.corrupt-1").read_text() == content


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_runs_folder_that_is_a_file_gives_one_line(tmp_path: Path, below: str) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError, match=r"runs.*a file is where a folder should be") as caught:
        planned(tmp_path / "runs" / below)
    assert "\n" not in str(caught.value)


def test_states_of_a_run_in_the_order_of_its_life(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a")
    assert run.state().name == "absent"
    run.write_config({"id": "a"})
    assert run.state().name == "queued"

    first = claimed(run)
    status = run.state()
    assert (status.name, status.attempts, status.owner) == ("running", 1, first.owner)
    assert run.write_state({"name": "running", "progress": {"epoch": 2}, "seconds": 4}, first)
    assert (run.state().progress, run.state().seconds) == ({"epoch": 2}, 4.0)

    first.release()
    assert run.state().name == "interrupted"
    second = claimed(run)
    assert (run.state().progress, run.state().attempts) == ({}, 2), "progress of another attempt"

    assert run.write_state({"name": "failed", "message": "ValueError: bad"}, second)
    assert run.state().name == "running", "its owner still lives"
    second.release()
    assert (run.state().name, run.state().message) == ("failed", "ValueError: bad")

    third = claimed(run)
    assert run.state().name == "running"
    third.release()
    assert run.state().name == "interrupted", "the failure was that of an earlier attempt"

    finished(run, OK)
    status = run.state()
    assert (status.name, status.seconds, status.attempts) == ("done", 3.0, 4)


def test_a_silent_owner_leaves_an_interrupted_run(tmp_path: Path) -> None:
    run = planned(tmp_path)
    lease = claimed(run)
    os.utime(lease.path, (time.time() - 10,) * 2)
    assert run.state().name == "running"
    assert run.state(timeout=5).name == "interrupted"


def test_a_record_alone_is_done_whatever_else_is_there(tmp_path: Path) -> None:
    run = planned(tmp_path)
    lease = claimed(run)
    run.write_state({"name": "failed"}, lease)
    run.publish_record({"result": {"outcome": "diverged", "message": "loss is inf"}}, lease)
    run.config_file.unlink()
    assert (run.state().name, run.state().message) == ("diverged", "loss is inf")


def test_only_the_owner_publishes_and_only_once(tmp_path: Path) -> None:
    run = planned(tmp_path)
    first = claimed(run)
    os.utime(first.path, (1, 1))
    second = claimed(run)
    assert not run.publish_record(OK, first)
    assert not run.write_state({"name": "failed"}, first)
    assert (run.read_record(), run.read_state()) == (None, None)
    assert run.publish_record(OK, second)
    assert not run.publish_record({"result": {"outcome": "diverged"}}, second)
    assert run.read_record() == OK


@pytest.mark.parametrize("record", [{}, {"result": 1}, {"result": {"outcome": "fine"}}])
def test_a_record_without_an_outcome_is_not_published(tmp_path: Path, record: Any) -> None:
    run = planned(tmp_path)
    with pytest.raises(ValueError, match=r"result\.outcome"):
        run.publish_record(record, claimed(run))
    with pytest.raises(ValueError, match="JSON"):
        run.publish_record({**OK, "cost": float("nan")}, claimed(planned(tmp_path, "b")))
    assert not run.record_file.exists()


def test_only_run_folders_are_listed(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    assert store.ids() == []
    planned(store.root, "b")
    finished(planned(store.root, "a"), OK).config_file.unlink()
    (store.root / "notes").mkdir()
    (store.root / "file").write_text("")
    assert store.ids() == ["a", "b"]
    assert store.records().__next__() == ("a", OK)
    assert [store.state(i).name for i in ("a", "b", "c")] == ["done", "queued", "absent"]
    assert store.problems == []


def test_a_root_that_is_a_file_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError, match=r"cannot read .*runs: a file is where a folder should be"):
        RunStore(tmp_path / "runs").ids()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"result": {"outcome": NaN}}'])
def test_a_corrupt_record_is_set_aside_and_the_others_are_listed(
    tmp_path: Path, content: str
) -> None:
    for name in "abc":
        finished(planned(tmp_path, name), OK)
    store = RunStore(tmp_path)
    damaged = store.folder("b").record_file
    damaged.write_text(content)
    assert [run_id for run_id, _ in store.records()] == ["a", "c"]
    assert len(store.problems) == 1
    assert str(damaged) in store.problems[0]
    assert store.problems[0].endswith("set aside as record.json.corrupt-1")
    assert damaged.with_name("record.json.corrupt-1").read_text() == content
    assert store.state("b").name == "interrupted"
    assert len(list(store.records())) == 2
    assert len(store.problems) == 1
    assert Lease.claim(store.folder("b").path).lease is not None, "it can be executed again"


def test_a_corrupt_state_is_set_aside_and_counts_as_not_there(tmp_path: Path) -> None:
    run = planned(tmp_path)
    lease = claimed(run)
    run.write_state({"name": "failed"}, lease)
    lease.release()
    run.state_file.write_text("{")
    store = RunStore(tmp_path)
    assert store.state("a").name == "interrupted"
    assert "state.json.corrupt-1" in store.problems[0]
    assert not run.state_file.exists()


def test_a_state_with_nonsense_in_it_does_not_break_the_listing(tmp_path: Path) -> None:
    run = planned(tmp_path)
    lease = claimed(run)
    run.write_state({"name": 3, "message": None, "progress": [1], "seconds": "x"}, lease)
    status = run.state()
    assert (status.name, status.progress, status.seconds) == ("running", {}, None)


def test_a_damaged_folder_costs_only_its_own_run(tmp_path: Path) -> None:
    finished(planned(tmp_path, "b"), OK)
    planned(tmp_path, "a").record_file.mkdir()
    store = RunStore(tmp_path)
    assert [run_id for run_id, _ in store.records()] == ["b"]
    assert store.state("a").name == "queued"
    assert len(store.problems) == 1, "the same problem is told once"
    assert "cannot read" in store.problems[0]


def test_a_corrupt_file_that_cannot_be_moved_is_still_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(tmp_path).record_file.write_text("{")

    def refuse(path: Path) -> Path:
        raise UserError("cannot set aside: the file system is read-only")

    monkeypatch.setattr(runs_module, "set_aside", refuse)
    store = RunStore(tmp_path)
    assert list(store.records()) == []
    assert "record.json is corrupt" in store.problems[0]
    assert "read-only" in store.problems[0]


def test_roots_come_from_the_environment_or_their_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, variable in itertools.product((None, ""), ("THESISBENCH_RUNS", "THESISBENCH_DATA")):
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)
        assert default_root() == Path("runs")
        assert data_root() == Path.home() / ".cache/thesisbench"
    monkeypatch.setenv("THESISBENCH_RUNS", str(tmp_path))
    monkeypatch.setenv("THESISBENCH_DATA", "~/data")
    assert RunStore().root == default_root() == tmp_path
    assert data_root() == Path.home() / "data"
