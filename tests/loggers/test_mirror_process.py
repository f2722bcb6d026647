"""The parent's side, and the real writer process writing real offline files."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from thesisbench.loggers.sweep import NOT_INSTALLED, Mirror
from thesisbench.tables.model import PlannedRun

MakeFolder = Callable[[str], Any]
MakeRun = Callable[..., PlannedRun]
LOGGER = {"name": "wandb", "project": "mine", "entity": None}
KEY = "0123456789abcdef0123456789abcdef01234567"
SLEEPER = (sys.executable, "-S", "-c", "import time; time.sleep(60)")


def wait_for(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def read_back(root: Path) -> dict[str, dict[str, Any]]:
    files = [str(path) for path in sorted((root / "wandb").glob("offline-run-*/*.wandb"))]
    reader = Path(__file__).with_name("read_wandb.py")
    text = subprocess.run([sys.executable, reader, *files], check=True, capture_output=True).stdout
    runs = json.loads(text)
    assert len({run["id"] for run in runs}) == len(runs)
    return {run["id"]: run for run in runs}


def files_with(root: Path, text: str) -> list[Path]:
    return [p for p in root.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


def test_three_runs_are_mirrored_offline_epoch_by_epoch(
    tmp_path: Path,
    make_run: MakeRun,
    make_folder: MakeFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", "offline")
    root, said = tmp_path / "runs", list[str]()
    resumed, appended, evaluated = (make_folder(name) for name in ("resumed", "appended", "test"))
    runs = [make_run("resumed"), make_run("appended"), make_run("test", kind="eval", step="test")]
    mirror = Mirror.start(runs, root, LOGGER, said.append)
    assert mirror is not None
    with mirror:
        resumed.rewrite({0: 1.0, 1: 0.5, 2: 0.25}, torn='{"epoch": 3, "lo')
        appended.rewrite({0: 4.0})
        wait_for(lambda: list(root.glob("wandb/offline-run-*-appended")))
        resumed.rewrite({0: 1.0})
        resumed.rewrite({0: 1.0, 1: 99.0, 2: 99.0, 3: 0.125})
        appended.append('{"epoch": 1, "step": 20, "loss": 2.0}\n')
        resumed.publish({"top1": 0.75})
        evaluated.publish({"ap": 0.5})
    assert said == []
    assert not mirror.manifest.exists()
    assert not mirror.log.exists()
    assert files_with(root, KEY) == []

    found = read_back(root)
    assert set(found) == {"resumed", "appended", "test"}
    curve = [(line["_step"], line["loss"]) for line in found["resumed"]["history"]]
    assert curve == [(0, 1.0), (1, 0.5), (2, 0.25), (3, 0.125)]
    assert found["resumed"]["history"][3]["global_step"] == 40
    curve = [(line["_step"], line["loss"]) for line in found["appended"]["history"]]
    assert curve == [(0, 4.0), (1, 2.0)]
    assert found["test"]["history"] == []

    assert found["resumed"]["summary"]["top1"] == 0.75
    assert found["resumed"]["summary"]["outcome"] == "done"
    assert found["test"]["summary"]["ap"] == 0.5
    assert "outcome" not in found["appended"]["summary"]
    codes = {name: run["exit"] for name, run in found.items()}
    assert codes == {"resumed": 0, "test": 0, "appended": 1}

    run = found["resumed"]
    assert run["project"] == "mine"
    assert run["group"] == "kayhan/full_conv/red_green"
    assert (run["job_type"], found["test"]["job_type"]) == ("fit", "eval")
    assert run["name"] == "border=full seed=3"
    expected = "kayhan.t2.1 kayhan kayhan/full_conv border=full red_green small"
    assert sorted(run["tags"]) == sorted(expected.split())
    assert run["config"]["optimizer"] == {"lr": 0.5}
    assert run["host"] == ""
    assert "unwanted" not in run


def test_a_writer_that_is_killed_at_work_costs_one_line(
    tmp_path: Path, make_run: MakeRun, make_folder: MakeFolder
) -> None:
    root, said = tmp_path / "runs", list[str]()
    make_folder("fit").rewrite({0: 1.0})
    mirror = Mirror.start([make_run("fit")], root, LOGGER, said.append)
    assert mirror is not None
    wait_for(lambda: list(root.glob("wandb/offline-run-*")))
    mirror.process.kill()
    mirror.process.wait()
    mirror.close()
    assert len(said) == 1
    assert str(mirror.log) in said[0]


def test_a_writer_that_fails_costs_one_line_that_names_its_log(
    tmp_path: Path, make_run: MakeRun
) -> None:
    said: list[str] = []
    command = (sys.executable, "-S", "-c", "raise SystemExit('wandb is broken')")
    mirror = Mirror.start([make_run()], tmp_path, LOGGER, said.append, command=command)
    assert mirror is not None
    mirror.close()
    mirror.close()
    assert len(said) == 1
    assert str(mirror.log) in said[0]
    assert "wandb is broken" in mirror.log.read_text()
    assert not mirror.manifest.exists()


def test_a_writer_that_hangs_is_ended_with_one_line(tmp_path: Path, make_run: MakeRun) -> None:
    said: list[str] = []
    mirror = Mirror.start([make_run()], tmp_path, LOGGER, said.append, command=SLEEPER)
    assert mirror is not None
    start = time.monotonic()
    mirror.close(timeout=0.2)
    assert time.monotonic() - start < 5
    assert mirror.process.returncode == -signal.SIGKILL
    assert len(said) == 1
    assert str(mirror.log) in said[0]


def test_an_interrupt_while_closing_leaves_no_writer_behind(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = Mirror.start([make_run()], tmp_path, LOGGER, print, command=SLEEPER)
    assert mirror is not None

    def interrupted(timeout: float | None = None) -> int:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(mirror.process, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mirror.close()
    assert mirror.process.returncode == -signal.SIGKILL
    assert not mirror.manifest.exists()


def test_the_manifest_holds_the_runs_and_no_key(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("SOME_TOKEN", "token-in-the-environment")
    mirror = Mirror.start([make_run("r1")], tmp_path, LOGGER, print, command=SLEEPER)
    assert mirror is not None
    manifest = json.loads(mirror.manifest.read_text())
    leaks = files_with(tmp_path, KEY) + files_with(tmp_path, "token-in-the-environment")
    mirror.close(timeout=0)
    assert leaks == []
    assert (manifest["mode"], manifest["project"], manifest["entity"]) == ("online", "mine", None)
    assert manifest["root"] == str(tmp_path)
    assert [entry["id"] for entry in manifest["runs"]] == ["r1"]


def test_the_writer_ignores_ctrl_c_and_ends_when_told(tmp_path: Path, make_run: MakeRun) -> None:
    said: list[str] = []
    mirror = Mirror.start([make_run()], tmp_path, LOGGER, said.append)
    assert mirror is not None
    wait_for(lambda: not mirror.manifest.exists())  # it has read it, so it has begun
    mirror.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        mirror.process.wait(0.3)
    mirror.close()
    assert mirror.process.returncode == 0
    assert said == []


PARENT = """
import os, sys, time
from pathlib import Path
from thesisbench.loggers.sweep import Mirror
from thesisbench.tables.model import PlannedRun

run = PlannedRun("r", "r", "t/c", "fit", "fit", "t/c/r", "smoke", {}, {}, {"kind": "fit"})
mirror = Mirror.start([run], Path(sys.argv[1]), {"name": "wandb"}, print)
heavy = [name for name in ("wandb", "torch") if name in sys.modules]
print(mirror.process.pid, *heavy, flush=True)
time.sleep(60)
"""


def test_the_parent_does_not_import_wandb_and_the_writer_does_not_outlive_it(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, *imported = parent.stdout.readline().split()
        parent.kill()
    assert imported == []
    wait_for(lambda: not is_alive(int(pid)), 10)
    assert list(tmp_path.glob(".wandb-*")) == []


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
    except OSError:
        os.kill(pid, 0)
        return True


@pytest.mark.parametrize("logger", [{"name": "none"}, {}])
def test_logger_none_starts_nothing(
    tmp_path: Path, make_run: MakeRun, logger: dict[str, Any]
) -> None:
    said: list[str] = []
    assert Mirror.start([make_run()], tmp_path, logger, said.append) is None
    assert said == []
    assert list(tmp_path.iterdir()) == []


def test_wandb_mode_disabled_starts_nothing(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert Mirror.start([make_run()], tmp_path, LOGGER, print) is None
    assert list(tmp_path.iterdir()) == []


def test_no_runs_start_nothing(tmp_path: Path) -> None:
    assert Mirror.start([], tmp_path, LOGGER, print) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spec", [None, ModuleSpec("wandb", None)], ids=["absent", "mere folder"])
def test_missing_wandb_costs_one_line(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, spec: ModuleSpec | None
) -> None:
    said: list[str] = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert Mirror.start([make_run()], tmp_path, LOGGER, said.append) is None
    assert said == [NOT_INSTALLED]
    assert list(tmp_path.iterdir()) == []


def test_a_runs_folder_that_takes_no_files_costs_one_line(
    tmp_path: Path, make_run: MakeRun
) -> None:
    root, said = tmp_path / "file", list[str]()
    root.write_text("")
    assert Mirror.start([make_run()], root, LOGGER, said.append) is None
    assert len(said) == 1
    assert "not mirrored" in said[0]
