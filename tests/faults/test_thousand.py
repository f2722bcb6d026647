"""A thousand short runs under fifty random kills: each is done once, with its one result."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from sweeps import (
    Started,
    begin,
    check_each_was_recorded_once,
    check_nothing_is_half_written,
    descendants,
    finish,
    results,
)
from toy_chapter import NUMBERS, Toy, write_toy

from thesisbench.data.arrays import mix

RUNS, KILLS, SEED = 1000, 50, 20261121
OF_LAUNCHERS = 10  # of the kills; the others are of children and of the server that forks them


class Records:
    """The records seen so far; one that is replaced or changed is noticed."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.seen: dict[str, tuple[int, int, int]] = {}

    def look(self) -> int:
        """How many there are; each is the file it always was."""
        for path in self.toy.store.root.glob("*/record.json"):
            stat = path.stat()
            now = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            assert self.seen.setdefault(path.parent.name, now) == now, "a record was replaced"
        return len(self.seen)


def kill_somewhere(toy: Toy, ended: Started, chance: random.Random, goals: list[int]) -> str:
    """Starts the sweep, and kills a child of it at each goal, at last the sweep itself.

    Args:
        goals: numbers of runs executed; whenever there are so many, something is killed.
    """
    ended.append(begin(toy, NUMBERS, "launcher.workers=2"))
    process, killed = ended[-1], ""
    for goal in goals:
        while executed(toy) < goal:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 0.1))
        if goal == goals[-1]:
            process.kill()
            return killed + "L"
        while not kill_below(process, chance):
            time.sleep(0.01)
        killed += "c"
    return killed


def kill_below(process: subprocess.Popen[str], chance: random.Random) -> bool:
    """Kills what a sweep has started, mostly a run; False when it had just ended."""
    below = descendants(process.pid)  # the server and its helper first, then what it has forked
    try:
        os.kill(chance.choice(below[2:] if chance.random() < 0.9 else below), signal.SIGKILL)
    except (ProcessLookupError, IndexError):
        return False
    return True


def executed(toy: Toy) -> int:
    """How many runs have come to their end so far, whether recorded or not."""
    told = toy.root / "told"
    return told.read_text().count("end ") if told.exists() else 0


@pytest.mark.slow
def test_each_run_is_done_once_with_its_result_and_the_report_names_what_was_begun_twice(
    tmp_path: Path, ended: Started
) -> None:
    chance = random.Random(SEED)
    print(f"random seed {SEED}")
    toy = write_toy(tmp_path, seeds=10, numbers=RUNS // 10, seconds=0.03)
    records, kills = Records(toy), Counter[str]()
    moments = sorted(chance.sample(range(5, RUNS - 20), KILLS))
    cuts = [0, *sorted(chance.sample(range(1, KILLS), OF_LAUNCHERS - 1)), KILLS]
    for first, last in itertools.pairwise(cuts):
        kills.update(kill_somewhere(toy, ended, chance, moments[first:last]))
        code, _, err = finish(ended[-1])
        assert code == -signal.SIGKILL
        assert "Traceback" not in err, err
        records.look()
    assert kills.total() == KILLS
    assert kills["c"] >= KILLS / 2, kills

    for _ in range(3):  # a child that was killed costs its run this round only
        ended.append(begin(toy, NUMBERS, "launcher.workers=2"))
        code, out, err = finish(ended[-1])
        if code == 0:
            break
    assert code == 0, out + err
    assert records.look() == RUNS
    check_each_was_recorded_once(toy)
    check_nothing_is_half_written(toy)
    for run_id, record in toy.store.records():
        config = toy.store.folder(run_id).read_config()["config"]
        expected = {"number": float(mix(config["seed"], config["compute"]["k"]) % 1000)}
        assert record["result"] == {"outcome": "ok", "metrics": expected, "digests": {}}
    begun_twice = {i for i, record in toy.store.records() if record["provenance"]["attempts"] > 1}
    check_told(toy, begun_twice, out)


def check_told(toy: Toy, begun_twice: set[str], out: str) -> None:
    """The last command, the report and a single run say which runs needed more than one attempt."""
    assert len(begun_twice) > KILLS / 5, "kills hit no run"
    words = f"{len(begun_twice)} runs needed more than one attempt"
    assert words in out
    report = (toy.root / "reports" / f"{NUMBERS}.smoke.md").read_text()
    assert words in report
    assert any(run_id in report for run_id in begun_twice)


@pytest.mark.slow
def test_two_sweeps_at_once_share_the_runs_and_execute_each_once(
    tmp_path: Path, ended: Started
) -> None:
    toy = write_toy(tmp_path, seeds=5, numbers=8, seconds=0.1)
    both = [begin(toy, NUMBERS, "launcher.workers=1") for _ in range(2)]
    ended += both
    for process in both:
        code, out, err = finish(process)
        assert code == 0, out + err
        assert err == ""
        assert "more than one attempt" not in out
    told = [line.split() for line in (tmp_path / "told").read_text().splitlines()]
    begun = Counter(run_id for word, run_id, *_ in told if word == "begin")
    assert set(begun.values()) == {1}
    assert set(begun) == set(results(toy))
    assert len(begun) == 40
    assert {attempt for _, _, attempt, *_ in told} == {"1"}
    check_each_was_recorded_once(toy)
    check_nothing_is_half_written(toy)
