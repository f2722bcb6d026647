"""The local launcher: order, isolation, crashes, interrupts, and two launchers on one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy_runs import HERE, allowed_parts, toy_compute, toy_config, toy_folder

from thesisbench.instantiate import ALLOW_VARIABLE
from thesisbench.launch.inline import InlineLauncher
from thesisbench.launch.jobs import Job
from thesisbench.launch.local import LocalLauncher, child_environment, stop_server
from thesisbench.store.runs import RunStore

PRELOAD = ("thesisbench.run", "toy_parts")  # without Lightning, which only the last test needs


@pytest.fixture(autouse=True, scope="module")
def _allowed() -> Iterator[None]:
    with allowed_parts():
        yield
    stop_server()


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told"


def launch(
    store: RunStore,
    jobs: Sequence[Job],
    workers: int = 2,
    on_tick: Callable[[Sequence[str]], None] = lambda _: None,
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Final words and events."""
    events: list[tuple[str, str]] = []
    outcome = LocalLauncher(workers=workers, preload=PRELOAD).launch(
        store, jobs, lambda run_id, word: events.append((word, run_id)), on_tick
    )
    return outcome, events


def spans(told: Path) -> dict[str, tuple[float, float]]:
    """When each run began and ended."""
    lines = [line.split() for line in told.read_text().splitlines()]
    at = {(word, run_id): float(when) for word, run_id, _, _, when in lines}
    assert len(at) == len(lines), "a run was executed twice"
    return {i: (when, at["end", i]) for (word, i), when in at.items() if word == "begin"}


def wait_for(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_run_starts_after_those_it_needs_and_others_run_beside_it(
    store: RunStore, told: Path
) -> None:
    def job(name: str, *needs: str) -> Job:
        return toy_compute(store.root, name, needs=needs, seconds=0.3, told=str(told))

    jobs = [job("c", "b"), job("b", "a"), job("a"), job("d")]
    outcome, events = launch(store, jobs)
    assert outcome == dict.fromkeys("abcd", "done")
    when = spans(told)
    assert when["a"][1] < when["b"][0] < when["b"][1] < when["c"][0]
    assert when["d"][0] < when["a"][1], "two workers do two runs at a time"
    assert when["a"][0] < when["d"][1]
    assert [e for e in events if e[1] == "c"] == [("started", "c"), ("done", "c")]


def test_an_exclusive_run_has_the_machine_for_itself(store: RunStore, told: Path) -> None:
    jobs = [toy_compute(store.root, f"r{i}", seconds=0.15, told=str(told), k=i) for i in range(5)]
    jobs[1] = replace(jobs[1], exclusive=True)
    jobs[3] = replace(jobs[3], exclusive=True)
    outcome, _ = launch(store, jobs, workers=3)
    assert set(outcome.values()) == {"done"}
    when = spans(told)
    for timed in ("r1", "r3"):
        others = [span for name, span in when.items() if name != timed]
        assert all(end < when[timed][0] or begin > when[timed][1] for begin, end in others)


def test_a_failed_run_blocks_those_that_need_it_and_no_others(store: RunStore) -> None:
    jobs = [
        toy_compute(store.root, "bad", wants="/no/such/file"),
        toy_compute(store.root, "needs_bad", needs=("bad",)),
        toy_compute(store.root, "needs_that", needs=("needs_bad",)),
        toy_compute(store.root, "other"),
    ]
    outcome, _ = launch(store, jobs)
    blocked = {"needs_bad": "blocked", "needs_that": "blocked"}
    assert outcome == {"bad": "failed", "other": "done", **blocked}
    state = store.state("bad")
    assert state.message == "ValueError: no file /no/such/file yet"
    assert "Traceback" in store.folder("bad").log_file.read_text()
    assert store.state("needs_bad").name == "queued"


def test_a_crash_costs_one_run(store: RunStore) -> None:
    names = [f"r{i}" for i in range(4)]
    jobs = [toy_compute(store.root, name) for name in names]
    jobs.insert(1, toy_compute(store.root, "crash", wants="kill"))
    outcome, _ = launch(store, jobs)
    assert outcome == {"crash": "interrupted", **dict.fromkeys(names, "done")}
    assert store.state("crash").name == "interrupted"


def test_threads_and_allocator_settings_are_there_before_the_child_starts(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    job = toy_compute(store.root, "environment", target="Environment")
    launch(store, [job])
    record = store.record("environment")
    assert record is not None
    wanted = {"threads": 1.0, "omp": 1.0, "mmap": float(2**32), "trim": float(2**34)}
    assert record["result"]["metrics"] == wanted
    assert record["provenance"]["threads"] == 1
    assert store.folder("environment").log_file.read_text() == "said by the child\n"
    assert os.environ["OMP_NUM_THREADS"] == "7", "the settings are those of the children alone"


def test_runs_that_are_done_are_not_executed_again(store: RunStore, told: Path) -> None:
    jobs = [toy_compute(store.root, name, told=str(told)) for name in "ab"]
    launch(store, jobs[:1])
    outcome, events = launch(store, jobs)
    assert outcome == {"a": "done", "b": "done"}
    assert ("started", "a") not in events
    assert set(spans(told)) == {"a", "b"}


def test_an_interrupt_ends_the_children_and_the_next_launch_goes_on(
    store: RunStore, told: Path
) -> None:
    lengths = {"long1": 2.0, "long2": 2.0, "quick": 0.0}
    jobs = [toy_compute(store.root, n, seconds=s, told=str(told)) for n, s in lengths.items()]

    def interrupt(_: Sequence[str]) -> None:
        if told.exists() and told.read_text().count("begin") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(store, jobs, on_tick=interrupt)
    pids = [int(line.split()[3]) for line in told.read_text().splitlines()]
    assert not any(alive(pid) for pid in pids)
    states = {i: store.state(i).name for i in store.ids()}
    assert states == {"long1": "interrupted", "long2": "interrupted", "quick": "queued"}
    told.unlink()
    assert launch(store, jobs)[0] == dict.fromkeys(lengths, "done")
    assert set(spans(told)) == set(lengths)


def test_an_interrupt_ends_what_the_children_have_started(store: RunStore, told: Path) -> None:
    job = toy_compute(store.root, "parent", target="Offspring", told=str(told))

    def interrupt(_: Sequence[str]) -> None:
        wait_for(told.exists)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(store, [job], on_tick=interrupt)
    wait_for(lambda: not alive(int(told.read_text())), 5.0)


@pytest.fixture
def start(tmp_path: Path, store: RunStore) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts launchers of their own, and ends them."""
    started: list[subprocess.Popen[str]] = []

    def begin(*names: str, workers: int = 1) -> subprocess.Popen[str]:
        path = os.pathsep.join([HERE, *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": path, ALLOW_VARIABLE: "toy_parts"}
        script = str(Path(__file__).with_name("local_worker.py"))
        process = subprocess.Popen(
            [sys.executable, script, str(store.root), str(workers), *names],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_child_ends_itself_soon_after_its_launcher_is_killed_and_another_takes_over(
    store: RunStore, told: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    jobs = [toy_compute(store.root, name, seconds=4.0, told=str(told)) for name in "ab"]
    first = start("a", "b")
    wait_for(lambda: told.exists() and "begin a" in told.read_text())
    (child,) = (int(line.split()[3]) for line in told.read_text().splitlines())
    events: list[tuple[str, str]] = []
    killed = 0.0

    def kill_the_first(_: Sequence[str]) -> None:
        nonlocal killed
        if not killed and ("elsewhere", "a") in events:
            first.kill()
            killed = time.monotonic()
            wait_for(lambda: not alive(child), 5.0)

    launcher = LocalLauncher(workers=2, preload=PRELOAD)
    outcome = launcher.launch(store, jobs, lambda i, word: events.append((word, i)), kill_the_first)
    assert outcome == {"a": "done", "b": "done"}
    assert events.index(("elsewhere", "a")) < events.index(("started", "a"))
    lines = [line.split()[:3] for line in told.read_text().splitlines()]
    assert lines.count(["begin", "a", "1"]) == lines.count(["begin", "a", "2"]) == 1
    assert ["end", "a", "1"] not in lines
    assert ["end", "a", "2"] in lines


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_two_launchers_share_the_work_and_each_waits_for_the_other(
    store: RunStore, told: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    names = [f"r{i}" for i in range(12)]
    jobs = [toy_compute(store.root, n, seconds=0.2, told=str(told)) for n in names]
    other = start(*names)
    wait_for(lambda: told.exists())
    outcome, events = launch(store, jobs, workers=1)
    assert outcome == dict.fromkeys(names, "done")
    assert other.wait(30) == 0
    assert set(spans(told)) == set(names), "each was executed once"
    assert {word for word, _ in events} >= {"started", "done"}


def test_an_interrupted_launcher_process_leaves_no_child_behind(
    store: RunStore, told: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    toy_compute(store.root, "long", seconds=60.0, told=str(told))
    process = start("long")
    wait_for(lambda: told.exists())
    child = int(told.read_text().split()[3])
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    wait_for(lambda: not alive(child), 5.0)
    assert store.state("long").name == "interrupted"


def test_inline_and_local_give_equal_results(tmp_path: Path) -> None:
    found = []
    for name, launcher in {
        "inline": InlineLauncher(),
        "local": LocalLauncher(),
    }.items():
        store = RunStore(tmp_path / name)
        toy_folder(store.root, "fit", toy_config(schedule={"epochs": 2}))
        test = {
            "kind": "eval",
            "seed": 3,
            "evaluation": {
                "_target_": "thesisbench.tasks.evaluate.TopOne", "splits": ["test"]
            },
        }  # fmt: skip
        toy_folder(store.root, "test", test, weights=["fit"])
        jobs = [Job("fit"), Job("test", ("fit",))]
        outcome = launcher.launch(store, jobs, lambda *_: None, lambda _: None)
        assert outcome == {"fit": "done", "test": "done"}, store.state("fit").message
        found.append([record["result"] for _, record in store.records()])
    assert found[0] == found[1]


def test_another_number_of_threads_takes_another_server(store: RunStore) -> None:
    for threads in (1, 2):
        name = f"{len(store.ids())}"
        job = toy_compute(store.root, name, target="Environment")
        launcher = LocalLauncher(threads=threads, preload=("thesisbench.run",))
        launcher.launch(store, [job], lambda *_: None, lambda _: None)
        record = store.record(name)
        assert record is not None
        assert record["result"]["metrics"]["threads"] == threads
    assert child_environment(2)["MKL_NUM_THREADS"] == "2"
