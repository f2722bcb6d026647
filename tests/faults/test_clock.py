"""Clocks that jump: no live owner loses its run, no dead one keeps it, and no time is negative."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from toy_runs import allowed_parts, toy_compute

from thesisbench.launch.jobs import DONE
from thesisbench.run import run_folder
from thesisbench.store import lease as lease_module
from thesisbench.store.folder import RunFolder
from thesisbench.store.lease import Lease, Outcome, lease_status

HOUR = 3600.0


class Clock:
    """The machine's clock and its file system's, to be set at will.

    Attributes:
        set_by: seconds by which it was set since the test began. passed: seconds that truly passed.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set_by = self.passed = 0.0
        self.start = time.time()
        monkeypatch.setattr(lease_module, "clock_offset", lambda: 1e6 + self.set_by)

    def __call__(self, folder: Path) -> float:
        return self.start + self.passed + self.set_by

    def beat(self, lease: Lease) -> None:
        """A heartbeat as the file system stamps it now."""
        assert lease.is_mine()
        os.utime(lease.path, (self(lease.folder),) * 2)

    def status(self, lease: Lease) -> str:
        return lease_status(lease.folder, clock=self).state


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def lease(tmp_path: Path, clock: Clock) -> Lease:
    found = Lease.claim(tmp_path, clock=clock).lease
    assert found is not None
    clock.beat(found)
    return found


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 20 * HOUR])
def test_a_live_owner_keeps_its_run_when_the_clock_is_set(
    jump: float, clock: Clock, lease: Lease
) -> None:
    clock.passed, clock.set_by = 4.0, jump
    assert clock.status(lease) == "live"
    assert Lease.claim(lease.folder, clock=clock).outcome is Outcome.BUSY
    clock.passed = 5.0
    clock.beat(lease)
    clock.passed = 9.0
    assert clock.status(lease) == "live"
    assert lease.is_mine()


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
@pytest.mark.parametrize("beats", [False, True])
def test_a_silent_owner_loses_its_run_whether_it_fell_silent_before_the_jump_or_after(
    jump: float, beats: bool, clock: Clock, lease: Lease
) -> None:
    clock.set_by = jump
    if beats:
        clock.beat(lease)
    clock.passed = lease_module.TIMEOUT - 1
    assert clock.status(lease) == "live"
    clock.passed = lease_module.TIMEOUT + 1
    assert clock.status(lease) == "stale"
    successor = Lease.claim(lease.folder, clock=clock)
    assert successor.outcome is Outcome.OWNED
    assert not lease.is_mine()


@pytest.mark.parametrize("change", [{"boot": "0" * 32}, {"offset": None}])
def test_of_another_machine_or_an_unknown_offset_only_the_heartbeat_is_known(
    change: dict[str, Any], clock: Clock, lease: Lease
) -> None:
    said = json.loads(lease.path.read_text())
    lease.path.write_text(json.dumps({**said, **change}))
    clock.beat(dataclasses.replace(lease, owner=lease_module._read_owner(lease.path)))
    clock.set_by = HOUR
    assert clock.status(lease) == "stale"


@pytest.fixture
def allowed() -> Iterator[None]:
    with allowed_parts():
        yield


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_clock_that_is_set_during_a_run_changes_neither_its_result_nor_its_cost(
    jump: float, tmp_path: Path, allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "a")
    toy_compute(tmp_path, "a", k=3)
    monkeypatch.setattr(time, "time", jumping(time.time, jump))
    assert run_folder(folder.path) == DONE
    record = folder.read_record()
    assert record is not None
    said = record["provenance"]
    assert 0 <= record["cost"]["seconds"] < HOUR / 2
    assert 0 <= said["wall_seconds"] < HOUR / 2
    taken = datetime.fromisoformat(said["finished"]) - datetime.fromisoformat(said["started"])
    assert taken.total_seconds() == pytest.approx(said["wall_seconds"], abs=0.01)
    assert folder.state().name == "done"
    assert folder.state().attempts == 1


def jumping(real: Callable[[], float], jump: float) -> Callable[[], float]:
    """A clock that is set after it was first asked."""
    asked: list[float] = []

    def now() -> float:
        asked.append(real())
        return asked[-1] + (jump if len(asked) > 2 else 0.0)

    return now
