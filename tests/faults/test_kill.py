"""Kills and interrupts of real sweeps: nothing is lost, done twice or half written.

Slow: each start of the program imports torch.
"""

from __future__ import annotations

import os
import random
import re
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
    descendants,
    finish,
    leases,
    results,
    wait_for_leases,
)
from toy_chapter import FITS, NUMBERS, Toy, write_toy

KILLS = 20
NOISE = re.compile(
    r"nanobind: | - (leaked |\.\.\. skipped)|See https://nanobind"
)  # torch's compiler
LAUNCHERS = (("launcher=inline",), ("launcher.workers=2",))


@pytest.mark.slow
def test_twenty_kills_of_a_sweep_change_no_result(tmp_path: Path, ended: Started) -> None:
    toy = write_toy(tmp_path, seeds=4, epochs=60)
    chance = random.Random(1)
    ended.append(begin(toy, FITS, "launcher.workers=2"))
    code, _, err = finish(ended[-1])
    assert code == 0, err
    expected = results(toy)
    assert len(expected) == 16

    kills: Counter[str] = Counter()
    folder = resumed = 0
    while kills.total() < KILLS:
        folder += 1
        toy = Toy(tmp_path, f"killed-{folder}")
        for _ in range(100):
            ended.append(begin(toy, FITS, *chance.choice(LAUNCHERS)))
            killed = kill_one(toy, ended[-1], chance) if kills.total() < KILLS else ""
            kills.update([killed] if killed else [])
            code, out, err = finish(ended[-1])
            assert "Traceback" not in err, err
            if code == 0 and not killed:
                break
            assert code in (0, 1, -signal.SIGKILL), out + err
        assert results(toy) == expected
        check_each_was_recorded_once(toy)
        resumed += sum(r["provenance"]["attempts"] - 1 for _, r in toy.store.records())
    assert min(kills["parent"], kills["child"]) > 3, kills
    assert resumed > KILLS / 4, "kills hit no run"


def kill_one(toy: Toy, process: subprocess.Popen[str], chance: random.Random) -> str:
    """Kills the process or one below it a while after it claimed a run; says which."""
    if not wait_for_leases(toy, process, leases(toy) + 1):
        return ""
    time.sleep(chance.uniform(0.0, 1.0))
    below = descendants(process.pid)
    if process.poll() is not None:
        return ""
    child = bool(below) and chance.random() < 0.5
    try:
        os.kill(chance.choice(below) if child else process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return ""
    return "child" if child else "parent"


@pytest.mark.slow
def test_eight_processes_share_200_runs_and_random_kills_lose_none(
    tmp_path: Path, ended: Started
) -> None:
    toy = write_toy(tmp_path, seeds=10, numbers=20, seconds=0.3)
    chance = random.Random(2)
    running = [begin(toy, NUMBERS, "launcher=inline") for _ in range(8)]
    ended += running
    kills = 0
    wait_for_leases(toy, running[0], 1)
    while kills < 12 and len(results(toy)) < 200:
        time.sleep(chance.uniform(0.0, 1.0))
        place = chance.randrange(8)
        if running[place].poll() is None:
            running[place].kill()
            running[place].wait()
            kills += 1
        running[place] = begin(toy, NUMBERS, "launcher=inline")
        ended.append(running[place])
    for process in running:
        code, _, err = finish(process)
        assert code == 0, err
        assert "Traceback" not in err, err
    ended.append(begin(toy, NUMBERS, "launcher=inline"))
    assert finish(ended[-1])[0] == 0
    assert len(results(toy)) == 200
    check_each_was_recorded_once(toy)
    told = [line.split() for line in (tmp_path / "told").read_text().splitlines()]
    begun = Counter(run_id for word, run_id, *_ in told if word == "begin")
    assert set(begun) == set(results(toy))
    assert begun.total() <= 200 + kills, "a run was executed twice though its owner lived"
    owners = {pid for word, _, _, pid, _ in told if word == "end"}
    assert len(owners) > 4, "the work was not shared"
    assert kills > 3


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS, ids=["inline", "local"])
def test_ctrl_c_says_in_one_line_how_to_go_on_and_the_same_command_does(
    launcher: tuple[str, ...], tmp_path: Path, ended: Started
) -> None:
    toy = write_toy(tmp_path, seeds=2, epochs=80)
    ended.append(begin(toy, FITS, *launcher))
    assert wait_for_leases(toy, ended[-1], 1)
    time.sleep(0.5)
    os.killpg(ended[-1].pid, signal.SIGINT)  # as a terminal does
    code, out, err = finish(ended[-1])
    assert code == 130, (code, out, err)
    lines = [line for line in err.splitlines() if not NOISE.match(line)]
    assert len(lines) == 1, err
    assert "the same command goes on: thesisbench reproduce toy.t1.1" in err
    below = [p for p in toy.store.root.glob("*/state.json") if "failed" in p.read_text()]
    assert below == []
    interrupted = [i for i in toy.store.ids() if toy.store.state(i).name == "interrupted"]
    assert interrupted
    ended.append(begin(toy, FITS, *launcher))
    code, out, err = finish(ended[-1])
    assert code == 0, out + err
    assert len(results(toy)) == 8
    check_each_was_recorded_once(toy)
    record = toy.store.record(interrupted[0])
    assert record is not None
    assert record["provenance"]["attempts"] == 2


@pytest.mark.slow
def test_ctrl_c_while_the_fork_server_still_imports_is_one_line_too(
    tmp_path: Path, ended: Started
) -> None:
    toy = write_toy(tmp_path, seeds=1)
    ended.append(begin(toy, FITS))
    while not descendants(ended[-1].pid):
        assert ended[-1].poll() is None
        time.sleep(0.01)
    time.sleep(1.0)
    os.killpg(ended[-1].pid, signal.SIGINT)
    code, _, err = finish(ended[-1])
    assert code == 130
    assert len(err.splitlines()) == 1, err
