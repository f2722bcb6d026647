"""Runs in process trees of their own, on made-up GPUs: which they get, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from toy_runs import toy_folder

from thesisbench.errors import UserError
from thesisbench.launch import local
from thesisbench.launch.jobs import Job
from thesisbench.launch.local import LocalLauncher
from thesisbench.launch.memory import KillerWatch
from thesisbench.launch.resources import Resources
from thesisbench.store.runs import RunStore

FAKE = (sys.executable, str(Path(__file__).with_name("fake_run.py")))
OnTick = Callable[[Sequence[str]], None]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """The file that runs wait for."""
    return tmp_path / "go"


def fake(store: RunStore, name: str, gpus: int, until: Path | None = None, ends: str = "") -> Job:
    task = {"until": str(until or ""), "ends": ends}
    toy_folder(store.root, name, {"kind": "analytic", "compute": task})
    return Job(name, resources=Resources("gpu", gpus))


def launch(
    store: RunStore, jobs: Sequence[Job], gpus: str, on_tick: OnTick = lambda _: None
) -> tuple[dict[str, str], list[str]]:
    events: list[str] = []
    launcher = LocalLauncher(gpus=tuple(gpus.split()), command=FAKE)
    outcome = launcher.launch(
        store, jobs, lambda run_id, word: events.append(f"{word} {run_id}"), on_tick
    )
    return outcome, events


def told(store: RunStore, name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((store.folder(name).path / "told.json").read_text())
    return data


def all_told(store: RunStore, *names: str) -> bool:
    return all((store.folder(name).path / "told.json").exists() for name in names)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_each_run_sees_exactly_its_gpus_and_the_launcher_keeps_its_own(
    store: RunStore, go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a,GPU-b,2,3")
    for name in ("LOCAL_RANK", "SLURM_NTASKS"):
        monkeypatch.setenv(name, "1")
    jobs = [fake(store, f"r{i}", count, go) for i, count in enumerate((2, 1, 1, 4))]
    seen: list[list[str]] = []

    def on_tick(running: Sequence[str]) -> None:
        seen.append(list(running))
        if all_told(store, "r0", "r1", "r2"):
            go.touch()

    outcome, events = launch(store, jobs, "MIG-a GPU-b 2 3", on_tick)
    assert outcome == dict.fromkeys(("r0", "r1", "r2", "r3"), "done")
    devices = [told(store, f"r{i}")["CUDA_VISIBLE_DEVICES"] for i in range(4)]
    assert devices == ["MIG-a,GPU-b", "2", "3", "MIG-a,GPU-b,2,3"]
    assert events[:3] == ["started r0", "started r1", "started r2"]
    assert events.index("started r3") > max(events.index(f"done r{i}") for i in range(3))
    one = told(store, "r1")
    assert (one["OMP_NUM_THREADS"], one["LOCAL_RANK"], one["SLURM_NTASKS"]) == ("1", None, None)
    assert one["THESISBENCH_LAUNCHER"] is None, "ranks must not take it for theirs"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "MIG-a,GPU-b,2,3"
    assert os.environ["LOCAL_RANK"] == "1"
    assert store.folder("r1").log_file.read_text() == "said by the run\n"


def test_what_a_run_has_started_ends_with_it(store: RunStore) -> None:
    jobs = [fake(store, "good", 1), fake(store, "bad", 1, ends="failed")]
    jobs.append(fake(store, "shot", 1, ends="killed"))
    outcome, _ = launch(store, jobs, "0")
    assert outcome == {"good": "done", "bad": "failed", "shot": "interrupted"}
    for name in outcome:
        root, child = told(store, name)["pids"]
        assert told(store, name)["group"] == root
        wait_for(lambda pid=child: not alive(pid), 5.0)


def members(groups: set[int]) -> list[int]:
    """Living processes of process groups."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(group) in groups and state not in "ZX":
            found.append(int(path.parent.name))
    return found


def test_an_interrupt_ends_whole_trees_and_leaves_all_resumable(store: RunStore, go: Path) -> None:
    jobs = [fake(store, "a", 1, go), fake(store, "b", 1, go), fake(store, "c", 2, go)]

    def interrupt(_: Sequence[str]) -> None:
        if all_told(store, "a", "b"):
            groups = {told(store, name)["group"] for name in "ab"}
            wait_for(lambda: len(members(groups)) == 6)  # a child and a child's child each
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(store, jobs, "0 1", interrupt)
    groups = {told(store, name)["group"] for name in "ab"}
    wait_for(lambda: not members(groups), 5.0)
    states = {i: store.state(i).name for i in store.ids()}
    assert states == {"a": "interrupted", "b": "interrupted", "c": "queued"}
    go.touch()
    assert launch(store, jobs, "0 1")[0] == dict.fromkeys("abc", "done")


LAUNCH = """
import sys
from pathlib import Path
from thesisbench.launch.jobs import Job
from thesisbench.launch.local import LocalLauncher
from thesisbench.launch.resources import Resources
from thesisbench.store.runs import RunStore
launcher = LocalLauncher(gpus=("0",), command=(sys.executable, sys.argv[2]))
jobs = [Job("a", resources=Resources("gpu"))]
launcher.launch(RunStore(Path(sys.argv[1])), jobs, lambda *_: None, lambda _: None)
"""


@pytest.fixture
def launcher(store: RunStore, go: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A launcher in a process of its own, with a run that waits."""
    fake(store, "a", 1, go)
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(store.root), FAKE[1]],
        env={**os.environ, "PYTHONPATH": path},
    )
    wait_for(lambda: all_told(store, "a"))
    yield process
    process.kill()
    process.wait()


def test_a_tree_whose_launcher_is_killed_ends_itself(
    store: RunStore, launcher: subprocess.Popen[bytes]
) -> None:
    group = told(store, "a")["group"]
    wait_for(lambda: len(members({group})) == 3)
    launcher.kill()
    wait_for(lambda: not members({group}), 5.0)
    assert store.state("a").name == "interrupted"


def test_two_launchers_never_execute_a_run_twice(
    store: RunStore, go: Path, launcher: subprocess.Popen[bytes]
) -> None:
    job = Job("a", resources=Resources("gpu"))

    def on_tick(_: Sequence[str]) -> None:
        go.touch()

    outcome, events = launch(store, [job], "0", on_tick)
    assert outcome == {"a": "done"}
    assert events == ["elsewhere a", "done a"]
    assert launcher.wait(30) == 0
    assert store.state("a").attempts == 1


def test_the_end_of_a_tree_is_noticed_where_the_system_does_not_tell(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pidfd_open", "waitid"):
        monkeypatch.delattr(os, name)
    assert launch(store, [fake(store, "a", 1)], "0")[0] == {"a": "done"}


def test_more_gpus_than_there_are_start_nothing(store: RunStore) -> None:
    jobs = [fake(store, "small", 1), fake(store, "large", 3)]
    with pytest.raises(UserError, match="run large wants 3 GPUs and this machine has 2 GPUs"):
        launch(store, jobs, "0 1")
    assert {store.state(i).name for i in store.ids()} == {"queued"}


def test_a_run_that_the_oom_killer_ended_says_that_memory_was_probably_missing(
    store: RunStore, go: Path, tmp_path: Path
) -> None:
    events = tmp_path / "vmstat"
    events.write_text("pgfault 7\noom_kill 3\n")
    jobs = [fake(store, "big", 1, go, "killed"), fake(store, "shot", 1, go, "killed")]
    launcher = LocalLauncher(gpus=("0",), command=FAKE, _killer=KillerWatch(events))

    def on_tick(_: Sequence[str]) -> None:
        events.write_text("pgfault 9\noom_kill 4\n")
        go.touch()

    outcome = launcher.launch(store, jobs, lambda *_: None, on_tick)
    assert outcome == {"big": "failed", "shot": "interrupted"}
    state = store.state("big")
    assert state.kind == "out of memory"
    assert state.message.startswith("probably out of memory")


def test_signals_of_others_are_no_lack_of_memory(tmp_path: Path) -> None:
    watch = KillerWatch(tmp_path / "none")
    assert not watch.explains(-signal.SIGKILL)
    (tmp_path / "none").write_text("oom_kill 1\n")
    assert not watch.explains(-signal.SIGTERM)
    assert not watch.explains(-signal.SIGKILL), "that was before the last end"
    (tmp_path / "none").write_text("oom_kill 3\n")
    ends = [watch.explains(-signal.SIGKILL) for _ in range(3)]
    assert ends == [True, True, False], "one kill explains one end"


def test_local_is_made_for_the_gpus_that_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "gpus_here", lambda: ("0", "1"))
    made: Any = local.make({"threads": 1}, [])
    assert (made.gpus, made.most) == (("0", "1"), None)
    made = local.make({"threads": 1, "workers": 3}, [])
    assert (made.workers, made.most) == (3, 3)
