"""An owner that is suspended, taken over and woken: it changes nothing any more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sweeps import Started, check_nothing_is_half_written
from toy_chapter import Toy
from toy_runs import HERE, PARTS, Children, allowed_parts, toy_compute, toy_config, toy_folder

from thesisbench.instantiate import ALLOW_VARIABLE
from thesisbench.launch.jobs import BUSY, DONE
from thesisbench.store.folder import RunFolder

LONG_AGO = 1_000_000.0  # a heartbeat; suspended owners have none


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with allowed_parts():
        yield Children()


def execute(folder: RunFolder, ended: Started) -> subprocess.Popen[str]:
    """Starts a process that executes a folder, as a launcher does."""
    path = os.pathsep.join([HERE, *filter(None, sys.path)])
    with folder.log_file.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "thesisbench", "run", str(folder.path)],
            env={**os.environ, "PYTHONPATH": path, ALLOW_VARIABLE: PARTS, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            text=True,
        )
    ended.append(process)
    return process


def wait_for(folder: RunFolder, what: str, process: subprocess.Popen[str]) -> None:
    """Until a line with a word is in the file `told`, or in the curve of a fit."""
    files = (folder.path.parent / "told", folder.metrics_file)
    while not any(path.exists() and what in path.read_text() for path in files):
        assert process.poll() is None, folder.log_file.read_text()
        time.sleep(0.002)


def suspend(folder: RunFolder, process: subprocess.Popen[str]) -> None:
    """Suspends the owner, for so long that its lease is stale."""
    process.send_signal(signal.SIGSTOP)
    assert os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT) is not None
    assert folder.state().name == "running"
    os.utime(folder.path / "lease.1", (LONG_AGO, LONG_AGO))
    assert folder.state().name == "interrupted"


def wake(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGCONT)
    return process.wait(timeout=60)


def identity(folder: RunFolder) -> tuple[int, int]:
    stat = folder.record_file.stat()
    return stat.st_ino, stat.st_mtime_ns


def test_an_owner_woken_after_its_successor_is_done_replaces_nothing(
    tmp_path: Path, ended: Started, children: Children
) -> None:
    told = str(tmp_path / "told")
    toy_compute(tmp_path, "a", k=3, seconds=2.0, told=told)
    folder = RunFolder(tmp_path / "a")
    process = execute(folder, ended)
    wait_for(folder, "begin a 1", process)
    suspend(folder, process)
    assert children.execute(folder.path) == DONE
    before = identity(folder)
    assert wake(process) == DONE, "the run is done, by whomever"
    assert identity(folder) == before
    record, state = folder.read_record(), folder.read_state()
    assert record is not None
    assert state is not None
    assert record["provenance"]["attempts"] == state["attempt"] == 2
    assert folder.state().name == "done"
    check_nothing_is_half_written(Toy(tmp_path, "."))


@pytest.mark.slow
def test_a_fit_woken_while_its_successor_works_stops_and_the_result_is_that_of_one_fit(
    tmp_path: Path, ended: Started
) -> None:
    config = toy_config(schedule={"epochs": 150})
    alone = toy_folder(tmp_path / "alone", "fit", config)
    assert execute(alone, ended).wait(timeout=120) == DONE
    folder = toy_folder(tmp_path / "shared", "fit", config)
    first = execute(folder, ended)
    wait_for(folder, '"epoch": 20,', first)
    suspend(folder, first)
    second = execute(folder, ended)
    wait_for(folder, '"epoch": 60,', second)
    assert wake(first) == BUSY, "another has it"
    state = folder.read_state()
    assert state is not None
    assert state["attempt"] == 2
    assert second.wait(timeout=120) == DONE
    assert result(folder) == result(alone)
    epochs = [json.loads(line)["epoch"] for line in folder.metrics_file.read_text().splitlines()]
    assert epochs == list(range(150))
    assert "Traceback" not in folder.log_file.read_text()
    check_nothing_is_half_written(Toy(tmp_path, "shared"))


def result(folder: RunFolder) -> Any:
    record = folder.read_record()
    assert record is not None
    return record["result"]
