"""Runs in short: as their files say now, whatever the index said before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from thesisbench.store import index as index_module
from thesisbench.store.files import write_json
from thesisbench.store.index import INDEX, DataFact
from thesisbench.store.lease import Lease
from thesisbench.store.runs import RunFolder, RunStore, RunSummary

HEAD = {
    "lineage": "l1",
    "chapter": "toy/one",
    "step": "fit",
    "kind": "fit",
    "recipe": "toy/one/fit",
    "scale": "small",
    "levels": {"net": "deep"},
    "replicate": {"seed": 3},
    "needs": {"weights": ["b"]},
    "overridden": False,
}


@pytest.fixture(autouse=True)
def index_is_always_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "WORTH_KEEPING", 1)


def planned(root: Path, run_id: str, **more: Any) -> RunFolder:
    run = RunFolder(root / run_id)
    config = {"id": run_id, **HEAD, "tables": ["toy.t1", "toy.t2"], **more}
    run.write_config({**config, "config": {"id": "no run", "tables": ["x"]}})
    return run


def record(run_id: str, outcome: str = "ok", top1: float = 0.5) -> dict[str, Any]:
    return {
        "id": run_id,
        **HEAD,
        "result": {"outcome": outcome, "metrics": {"top1": top1}, "digests": {}},
        "cost": {"seconds": 2.0},
        "provenance": {
            "wall_seconds": 2.5,
            "finished": "2026-11-20T10:00:00+00:00",
            "facts": {"data": {"name": "digits", "stand_in_for": "coco", "splits": {}}},
            "config": {"deep": {"er": [1, 2]}},
        },
    }


def done(root: Path, run_id: str, **more: Any) -> RunFolder:
    run = planned(root, run_id)
    write_json(run.record_file, record(run_id, **more))
    return run


def summary(root: Path, run_id: str = "a") -> RunSummary:
    return RunStore(root).summaries()[run_id]


def test_a_finished_run_is_told_from_its_record(tmp_path: Path) -> None:
    done(tmp_path, "a")
    run = summary(tmp_path)
    assert (run.id, run.lineage, run.chapter, run.step) == ("a", "l1", "toy/one", "fit")
    assert (run.levels, run.replicate) == ({"net": "deep"}, {"seed": 3})
    assert run.needs == {"weights": ("b",)}
    assert run.tables == ("toy.t1", "toy.t2")
    assert (run.state, run.metrics, run.seconds) == ("done", {"top1": 0.5}, 2.5)
    assert run.data == DataFact("digits", "coco")
    assert run.finished == "2026-11-20T10:00:00+00:00"


def test_a_run_without_a_record_is_told_from_the_head_of_its_configuration(tmp_path: Path) -> None:
    run = planned(tmp_path, "a")
    assert summary(tmp_path).state == "queued"
    assert summary(tmp_path).tables == ("toy.t1", "toy.t2")
    lease = Lease.claim(run.path).lease
    assert lease is not None
    assert summary(tmp_path).state == "running"
    lease.release()
    assert summary(tmp_path).state == "interrupted"


def test_a_head_longer_than_one_block_is_read_whole(tmp_path: Path) -> None:
    tables = [f"toy.t{i}" for i in range(2000)]
    planned(tmp_path, "a", tables=tables)
    assert summary(tmp_path).tables == tuple(tables)
    write_json(tmp_path / "a" / "record.json", record("a"))
    assert summary(tmp_path).tables == tuple(tables)


def test_what_is_no_run_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "file").touch()
    assert RunStore(tmp_path).summaries() == {}
    assert RunStore(tmp_path / "absent").summaries() == {}


def test_a_second_look_parses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done(tmp_path, "a")
    planned(tmp_path, "b")
    before = RunStore(tmp_path).summaries()
    assert (tmp_path / INDEX).exists()
    monkeypatch.setattr(yaml, "load", None)
    monkeypatch.setattr(index_module, "_record", None)
    assert RunStore(tmp_path).summaries() == before


def test_what_changed_since_is_read_again(tmp_path: Path) -> None:
    first, second = done(tmp_path, "a"), done(tmp_path, "b")
    planned(tmp_path, "c")
    RunStore(tmp_path).summaries()
    write_json(first.record_file, record("a", top1=0.25))
    os.utime(first.record_file, ns=(1, 1))
    second.record_file.unlink()
    write_json(tmp_path / "c" / "record.json", record("c", outcome="diverged"))
    found = RunStore(tmp_path).summaries()
    assert found["a"].metrics == {"top1": 0.25}
    assert (found["b"].state, found["b"].metrics) == ("queued", {})
    assert found["c"].state == "diverged"


def test_a_folder_that_is_gone_is_gone_from_the_index(tmp_path: Path) -> None:
    done(tmp_path, "a")
    run = done(tmp_path, "b")
    RunStore(tmp_path).summaries()
    run.record_file.unlink()
    run.config_file.unlink()
    assert list(RunStore(tmp_path).summaries()) == ["a"]


@pytest.mark.parametrize("content", [b"", b"\x00nonsense", b"\x92\x02\x90"])
def test_a_damaged_or_foreign_index_is_made_again(tmp_path: Path, content: bytes) -> None:
    done(tmp_path, "a")
    before = RunStore(tmp_path).summaries()
    (tmp_path / INDEX).write_bytes(content)
    assert RunStore(tmp_path).summaries() == before
    assert (tmp_path / INDEX).read_bytes() != content


def test_an_index_that_cannot_be_written_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        from thesisbench.errors import UserError

        raise UserError("cannot write: the file system is read-only")

    monkeypatch.setattr(index_module, "write_text", refuse)
    done(tmp_path, "a")
    assert summary(tmp_path).state == "done"
    assert not (tmp_path / INDEX).exists()


def test_a_record_of_an_unusual_form_still_counts(tmp_path: Path) -> None:
    run = planned(tmp_path, "a")
    write_json(run.record_file, {"result": {"outcome": "ok", "metrics": {"m": 1}}, "needs": [1]})
    assert (summary(tmp_path).state, summary(tmp_path).metrics) == ("done", {"m": 1})


def test_a_corrupt_record_is_set_aside_and_named(tmp_path: Path) -> None:
    run = planned(tmp_path, "a")
    run.record_file.write_text("{")
    store = RunStore(tmp_path)
    assert store.summaries()["a"].state == "queued"
    assert "record.json is corrupt" in store.problems[0]
    assert not run.record_file.exists()


def test_a_summary_gives_cells_what_the_record_would(tmp_path: Path) -> None:
    done(tmp_path, "a")
    brief, whole = summary(tmp_path).as_record(), record("a")
    assert brief["id"] == "a"
    assert brief["result"] == {"outcome": "ok", "metrics": whole["result"]["metrics"]}
    assert brief["cost"] == whole["cost"]
    assert brief["provenance"]["facts"]["data"] == {"name": "digits", "stand_in_for": "coco"}


def test_attempts_are_those_that_the_record_tells_of_and_unknown_where_it_does_not(
    tmp_path: Path,
) -> None:
    run = planned(tmp_path, "a")
    said = record("a")
    said["provenance"]["attempts"] = 3
    write_json(run.record_file, said)
    found = summary(tmp_path)
    assert found.attempts == 3
    assert found.as_record()["provenance"]["attempts"] == 3
    del said["provenance"]["attempts"]
    write_json(run.record_file, said)
    assert summary(tmp_path).attempts == 0
