"""The writer's logic, against a tracker that writes down what it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from thesisbench.loggers.mirror import FAILED, WENT_OFFLINE, Writer, note

MakeFolder = Callable[[str], Any]


@dataclass
class FakeRun:
    starting_step: int = 0
    logged: list[tuple[int, float]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    broken: bool = False

    def log(self, values: Mapping[str, Any], step: int) -> None:
        if self.broken:
            raise OSError("no more")
        self.logged.append((step, values["loss"]))

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


@dataclass
class FakeTracker:
    starting_step: int = 0
    refuses: tuple[str, ...] = ()
    opened: dict[tuple[str, str], FakeRun] = field(default_factory=dict)
    attempts: int = 0
    drops: int = 0

    def open(self, manifest: Mapping[str, Any], entry: Mapping[str, Any], mode: str) -> FakeRun:
        self.attempts += 1
        if mode in self.refuses:
            raise ConnectionError("unreachable")
        return self.opened.setdefault((entry["id"], mode), FakeRun(self.starting_step))

    def drop(self) -> None:
        self.drops += 1


def writer(root: Path, ids: list[str], tracker: FakeTracker, mode: str = "offline") -> Writer:
    manifest = {"root": str(root / "runs"), "mode": mode, "project": "p", "entity": None}
    return Writer({**manifest, "runs": [{"id": run_id} for run_id in ids]}, tracker)


def test_a_run_is_opened_when_it_first_shows_something(
    tmp_path: Path, make_folder: MakeFolder
) -> None:
    tracker = FakeTracker()
    mirror = writer(tmp_path, ["fit", "test", "never"], tracker)
    fit, test = make_folder("fit"), make_folder("test")
    mirror.poll()
    assert tracker.opened == {}
    fit.rewrite({0: 1.0})
    mirror.poll()
    assert list(tracker.opened) == [("fit", "offline")]
    test.publish({"top1": 0.5})
    mirror.poll()
    mirror.finish()
    assert set(tracker.opened) == {("fit", "offline"), ("test", "offline")}


def test_the_record_ends_a_run_after_its_last_line(tmp_path: Path, make_folder: MakeFolder) -> None:
    tracker = FakeTracker()
    mirror = writer(tmp_path, ["fit"], tracker)
    folder = make_folder("fit")
    folder.rewrite({0: 1.0})
    mirror.poll()
    run = tracker.opened["fit", "offline"]
    assert run.exit_code is None
    folder.rewrite({0: 1.0, 1: 0.5})
    folder.publish({"top1": 0.75}, outcome="diverged")
    mirror.poll()
    assert run.logged == [(0, 1.0), (1, 0.5)]
    assert run.summary == {"top1": 0.75, "outcome": "diverged"}
    assert run.exit_code == 0
    assert mirror.pending == {}
    assert mirror.code == 0


def test_a_record_that_is_half_there_is_left_for_later(
    tmp_path: Path, make_folder: MakeFolder
) -> None:
    tracker = FakeTracker()
    mirror = writer(tmp_path, ["fit"], tracker)
    folder = make_folder("fit")
    (folder.path / "record.json").write_text('{"result": {"met')
    mirror.poll()
    assert tracker.opened == {}
    folder.publish({"top1": 0.75})
    mirror.poll()
    assert tracker.opened["fit", "offline"].summary["top1"] == 0.75


def test_runs_without_a_result_end_as_failed(tmp_path: Path, make_folder: MakeFolder) -> None:
    tracker = FakeTracker()
    mirror = writer(tmp_path, ["fit"], tracker)
    make_folder("fit").rewrite({0: 1.0})
    mirror.poll()
    mirror.finish()
    assert tracker.opened["fit", "offline"].exit_code == 1
    assert mirror.code == 0, "that a run failed is no failure of the mirror"


def test_epochs_that_the_server_has_are_not_sent_again(
    tmp_path: Path, make_folder: MakeFolder
) -> None:
    tracker = FakeTracker(starting_step=2)
    mirror = writer(tmp_path, ["fit"], tracker, "online")
    make_folder("fit").rewrite({0: 1.0, 1: 0.5, 2: 0.25})
    mirror.poll()
    assert tracker.opened["fit", "online"].logged == [(2, 0.25)]


def test_one_run_that_breaks_does_not_stop_the_others(
    tmp_path: Path, make_folder: MakeFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = FakeTracker()
    tracker.opened["bad", "offline"] = FakeRun(broken=True)
    mirror = writer(tmp_path, ["bad", "good"], tracker)
    for name in ("bad", "good"):
        make_folder(name).rewrite({0: 1.0})
    mirror.poll()
    mirror.poll()
    assert tracker.opened["good", "offline"].logged == [(0, 1.0)]
    assert mirror.code == FAILED
    assert capfd.readouterr().err == "run bad is not mirrored: OSError: no more\n"


def test_a_lost_connection_mirrors_all_unfinished_runs_anew_offline(
    tmp_path: Path, make_folder: MakeFolder
) -> None:
    tracker = FakeTracker()
    mirror = writer(tmp_path, ["a", "b"], tracker, "online")
    make_folder("a").rewrite({0: 1.0, 1: 0.5})
    mirror.poll()
    tracker.refuses = ("online",)
    make_folder("b").rewrite({0: 2.0})
    mirror.poll()
    mirror.poll()
    assert tracker.drops == 1
    assert tracker.opened["a", "offline"].logged == [(0, 1.0), (1, 0.5)]
    assert tracker.opened["b", "offline"].logged == [(0, 2.0)]
    assert mirror.code == WENT_OFFLINE


def test_it_gives_up_when_every_run_is_refused(tmp_path: Path, make_folder: MakeFolder) -> None:
    tracker = FakeTracker(refuses=("online", "offline"))
    ids = [f"run{i}" for i in range(9)]
    mirror = writer(tmp_path, ids, tracker)
    for run_id in ids:
        make_folder(run_id).rewrite({0: 1.0})
    mirror.poll()
    assert tracker.attempts == 3
    assert mirror.pending == {}
    assert mirror.code == FAILED


def test_a_key_that_an_error_quotes_does_not_get_into_the_log(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "secret-key")
    note("refused: secret-key is not valid")
    assert capfd.readouterr().err == "refused: *** is not valid\n"
