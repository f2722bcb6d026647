"""Races, kills and suspensions of real processes on one runs folder."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import thesisbench
from thesisbench.store.files import TEMPORARY
from thesisbench.store.folder import RunFolder
from thesisbench.store.lease import Lease, Outcome, lease_status

ROOT = Path(thesisbench.__file__).parents[1]


class Worker:
    """A `claim_worker` process."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("claim_worker.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
            bufsize=1,
        )

    def send(self, *words: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, *words: object) -> str:
        self.send(*words)
        return self.answer()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def start() -> Iterator[Callable[[], Worker]]:
    workers: list[Worker] = []

    def begin() -> Worker:
        workers.append(Worker())
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


def run_folder(root: Path, name: str = "a") -> RunFolder:
    run = RunFolder(root / name)
    run.write_config({"id": name})
    return run


def ask_all(workers: list[Worker], *words: object) -> list[str]:
    for worker in workers:
        worker.send(*words)
    return [worker.answer() for worker in workers]


def test_of_eight_that_claim_at_once_exactly_one_owns_each_of_200_folders(
    tmp_path: Path, start: Callable[[], Worker]
) -> None:
    workers = [start() for _ in range(8)]
    winners = []
    for i in range(200):
        folder = tmp_path / str(i)
        folder.mkdir()
        answers = ask_all(workers, "claim", folder, 60)
        assert sorted(answers) == ["busy"] * 7 + ["owned"]
        assert [p.name for p in folder.iterdir()] == ["lease.1"]
        winners.append(answers.index("owned"))
    assert len(set(winners)) > 1, "no race took place"


def test_of_eight_that_take_over_a_stale_lease_exactly_one_succeeds(
    tmp_path: Path, start: Callable[[], Worker]
) -> None:
    workers = [start() for _ in range(8)]
    for i in range(40):
        folder = tmp_path / str(i)
        folder.mkdir()
        os.utime(_owned(folder).path, (1, 1))
        answers = ask_all(workers, "claim", folder, 60)
        assert sorted(answers) == ["busy"] * 7 + ["owned"]
        assert (folder / "lease.2").exists()
        assert not (folder / "lease.3").exists()


def test_the_lease_of_a_killed_owner_is_stale_at_once_even_before_it_is_waited_for(
    tmp_path: Path, start: Callable[[], Worker]
) -> None:
    run = run_folder(tmp_path)
    owner, successor = start(), start()
    assert owner.ask("claim", run.path, 60) == "owned"
    assert successor.ask("claim", run.path, 60) == "busy"
    assert run.state().name == "running"
    owner.signal(signal.SIGKILL)
    os.waitid(os.P_PID, owner.process.pid, os.WEXITED | os.WNOWAIT)  # dead, still a zombie
    assert lease_status(run.path).state == "stale"
    assert run.state().name == "interrupted"
    assert successor.ask("claim", run.path, 60) == "owned"
    assert run.state().attempts == 2


def test_a_suspended_owner_loses_its_run_and_can_neither_publish_nor_write_its_state(
    tmp_path: Path, start: Callable[[], Worker]
) -> None:
    run = run_folder(tmp_path)
    owner, successor = start(), start()
    assert owner.ask("claim", run.path, 60) == "owned"
    owner.signal(signal.SIGSTOP)
    assert successor.ask("claim", run.path, 60) == "busy"
    time.sleep(0.4)
    assert successor.ask("claim", run.path, 0.3) == "owned"
    owner.signal(signal.SIGCONT)
    assert owner.ask("mine") == "false"
    assert owner.ask("publish", 10) == "false"
    assert owner.ask("state") == "false"
    assert owner.ask("release") == "true"
    assert not run.record_file.exists()
    assert not run.state_file.exists()
    assert successor.ask("mine") == "true"
    assert successor.ask("publish", 10) == "true"
    assert run.state().name == "done"


def test_of_eight_that_publish_at_once_one_wins_and_its_record_is_complete(
    tmp_path: Path, start: Callable[[], Worker]
) -> None:
    workers = [start() for _ in range(8)]
    for i in range(10):
        run = run_folder(tmp_path, str(i))
        answers = ask_all(workers, "race", run.record_file, 100_000)
        assert sorted(answers) == ["false"] * 7 + ["true"]
        result = json.loads(run.record_file.read_text())["result"]
        assert len(result["filler"]) == 100_000
        assert result["end"]
        assert not list(run.path.glob(f"{TEMPORARY}*"))
        assert result["pid"] == workers[answers.index("true")].process.pid


def test_twenty_kills_while_writing_leave_only_complete_files_and_no_litter_after_a_claim(
    tmp_path: Path, start: Callable[[], Worker]
) -> None:
    generator = random.Random(0)
    run = run_folder(tmp_path)
    litter = records = 0
    for _ in range(20):
        worker = start()
        worker.send("storm", run.path)
        while not (run.path / "storming").exists():
            time.sleep(0.001)
        (run.path / "storming").unlink()
        time.sleep(generator.uniform(0, 0.03))
        worker.close()
        litter += len(list(run.path.glob(f"{TEMPORARY}*")))
        record, state = run.read_record(), run.read_state()  # raise for a half-written file
        assert record is None or len(record["result"]["filler"]) == 50_000
        assert state is None or len(state["message"]) == 50_000
        records += record is not None
        run.record_file.unlink(missing_ok=True)
    assert litter > 0, "no kill hit a writer"
    assert records > 0, "no kill came after a writer"
    assert Lease.claim(run.path).outcome is Outcome.OWNED
    assert not list(run.path.glob(f"{TEMPORARY}*"))


def test_a_run_that_is_done_is_not_claimed_again(
    tmp_path: Path, start: Callable[[], Worker]
) -> None:
    run = run_folder(tmp_path)
    owner, other = start(), start()
    assert owner.ask("claim", run.path, 60) == "owned"
    assert owner.ask("publish", 10) == "true"
    assert other.ask("claim", run.path, 60) == "done"
    owner.close()
    assert other.ask("claim", run.path, 60) == "done"
    assert run.state().name == "done"


def _owned(folder: Path) -> Lease:
    lease = Lease.claim(folder).lease
    assert lease is not None
    return lease
