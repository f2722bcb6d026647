"""Who owns a run folder: one process, by number, heartbeat and the life of its process."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thesisbench.errors import UserError
from thesisbench.store import lease as lease_module
from thesisbench.store import owner as owner_module
from thesisbench.store.files import publish
from thesisbench.store.lease import Lease, Outcome, filesystem_time, lease_status
from thesisbench.store.owner import Process


def owned(folder: Path, timeout: float = 60.0) -> Lease:
    claim = Lease.claim(folder, timeout=timeout)
    assert claim.outcome is Outcome.OWNED
    assert claim.lease is not None
    return claim.lease


def rewrite(lease: Lease, **changes: object) -> None:
    """Makes a lease look as if another process had written it, now."""
    data = json.loads(lease.path.read_text())
    lease.path.write_text(json.dumps({**data, **changes}))


def test_a_folder_that_nobody_claimed_is_free(tmp_path: Path) -> None:
    assert lease_status(tmp_path).state == "free"
    assert lease_status(tmp_path).attempts == 0
    assert lease_status(tmp_path / "absent").state == "free"


def test_a_claim_names_its_owner_and_keeps_others_out(tmp_path: Path) -> None:
    lease = owned(tmp_path)
    status = lease_status(tmp_path)
    assert (status.state, status.attempts, status.owner) == ("live", 1, lease.owner)
    assert lease.owner.process.pid == os.getpid()
    second = Lease.claim(tmp_path)
    assert (second.outcome, second.lease, second.owner) == (Outcome.BUSY, None, lease.owner)
    assert lease.is_mine()


def test_the_lease_file_says_who_and_which_attempt(tmp_path: Path) -> None:
    data = json.loads(owned(tmp_path).path.read_text())
    assert set(data) == {"owner", "n", "offset", "host", "boot", "namespace", "pid", "start"}
    assert (data["n"], data["pid"]) == (1, os.getpid())


def test_a_released_folder_is_free_and_the_next_claim_gets_the_next_number(tmp_path: Path) -> None:
    first = owned(tmp_path)
    first.release()
    assert lease_status(tmp_path).state == "free"
    assert not first.is_mine()
    assert not first.beat()
    assert lease_status(tmp_path).state == "free", "a beat revived a released lease"
    second = owned(tmp_path)
    assert (second.n, lease_status(tmp_path).attempts) == (2, 2)


def test_a_silent_owner_becomes_stale_and_a_beat_keeps_it_alive(tmp_path: Path) -> None:
    lease = owned(tmp_path)
    for age, state in ((59, "live"), (61, "stale")):
        now = time.time()
        os.utime(lease.path, (now - age, now - age))
        assert lease_status(tmp_path).state == state
        assert lease_status(tmp_path).age == pytest.approx(age, abs=0.5)
    assert lease.beat()
    assert lease_status(tmp_path).state == "live"


def test_the_timeout_is_measured_by_the_clock_given(tmp_path: Path) -> None:
    lease = owned(tmp_path)
    beat = lease.path.stat().st_mtime
    assert lease_status(tmp_path, timeout=5, clock=lambda _: beat + 5).state == "live"
    assert lease_status(tmp_path, timeout=5, clock=lambda _: beat + 5.1).state == "stale"
    claim = Lease.claim(tmp_path, timeout=5, clock=lambda _: beat + 5.1)
    assert claim.outcome is Outcome.OWNED


def test_a_host_with_a_wrong_clock_judges_leases_rightly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = owned(tmp_path)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e6)
    assert lease_status(tmp_path).state == "live"
    assert Lease.claim(tmp_path).outcome is Outcome.BUSY
    assert filesystem_time(tmp_path) == pytest.approx(lease.path.stat().st_mtime, abs=5)
    assert [path.name for path in tmp_path.iterdir()] == ["lease.1"], "the probe was left behind"


def test_a_heartbeat_from_before_the_clock_was_set_back_is_stale(tmp_path: Path) -> None:
    lease = owned(tmp_path)
    os.utime(lease.path, (time.time() + 1000,) * 2)
    assert lease_status(tmp_path).state == "stale"


def test_a_successor_takes_over_and_the_old_owner_knows(tmp_path: Path) -> None:
    first = owned(tmp_path)
    os.utime(first.path, (1, 1))
    second = owned(tmp_path)
    assert second.n == 2
    assert not first.is_mine()
    assert not first.beat()
    first.release()
    assert second.is_mine()
    assert lease_status(tmp_path).state == "live"


def test_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    for n in range(1, 11):
        lease = owned(tmp_path)
        assert lease.n == n
        lease.release()
    assert owned(tmp_path).n == 11


@pytest.mark.parametrize("name", ["lease.x", "lease.03", "lease.5.bak", "lease.", "alease.7"])
def test_other_files_are_no_leases(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert owned(tmp_path).n == 1


def test_a_dead_process_of_this_machine_makes_the_lease_stale_at_once(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    rewrite(owned(tmp_path), pid=child.pid)
    assert lease_status(tmp_path).state == "stale"
    assert owned(tmp_path).n == 2


def test_a_reused_process_id_does_not_keep_a_lease_alive(tmp_path: Path) -> None:
    lease = owned(tmp_path)
    rewrite(lease, start=lease.owner.process.start + 1)
    assert lease_status(tmp_path).state == "stale"


@pytest.mark.parametrize("change", [{"boot": "0" * 32}, {"namespace": 1}, {"boot": ""}])
def test_a_process_elsewhere_is_judged_by_its_heartbeat_alone(
    tmp_path: Path, change: dict[str, object]
) -> None:
    lease = owned(tmp_path)
    rewrite(lease, pid=2**22 - 1, start=1, **change)
    assert lease_status(tmp_path).state == "live"
    os.utime(lease.path, (1, 1))
    assert lease_status(tmp_path).state == "stale"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"owner": "x"}', '{"owner": 1, "pid": []}'])
def test_a_lease_that_cannot_be_read_is_judged_by_its_heartbeat(
    tmp_path: Path, content: str
) -> None:
    lease = owned(tmp_path)
    lease.path.write_text(content)
    status = lease_status(tmp_path)
    assert (status.state, status.owner, status.attempts) == ("live", None, 1)
    assert not lease.is_mine()
    os.utime(lease.path, (1, 1))
    assert owned(tmp_path).n == 2


def test_without_proc_a_process_is_unknown_and_heartbeats_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_module, "PROC", tmp_path / "no-proc")
    owner_module._current.cache_clear()
    try:
        me = Process.current()
        assert (me.boot, me.namespace, me.start, me.pid) == ("", 0, 0, os.getpid())
        assert not dataclasses.replace(me, pid=2**22 - 1).is_gone()
        lease = owned(tmp_path)
        assert lease_status(tmp_path).state == "live"
        assert lease.beat()
        os.utime(lease.path, (1, 1))
        assert owned(tmp_path).n == 2
    finally:
        owner_module._current.cache_clear()


def test_this_process_is_near_and_not_gone() -> None:
    me = Process.current()
    assert me.is_near()
    assert not me.is_gone()
    assert dataclasses.replace(me, start=me.start + 1).is_gone()
    assert Process.from_json(json.loads(json.dumps(me.to_json()))) == me


def test_a_run_with_a_record_is_done_and_stays_unclaimed(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{}")
    assert Lease.claim(tmp_path).outcome is Outcome.DONE
    assert not list(tmp_path.glob("lease.*"))


def test_a_record_published_while_we_claim_is_seen_and_the_claim_given_back(
    tmp_path: Path,
) -> None:
    first = owned(tmp_path)
    os.utime(first.path, (1, 1))

    def owner_finishes_meanwhile(folder: Path) -> float:
        (folder / "record.json").write_text("{}")
        return filesystem_time(folder)

    claim = Lease.claim(tmp_path, clock=owner_finishes_meanwhile)
    assert (claim.outcome, claim.lease) == (Outcome.DONE, None)
    assert lease_status(tmp_path).state == "free"


def test_a_claim_that_comes_second_is_busy(tmp_path: Path) -> None:
    first = owned(tmp_path)
    os.utime(first.path, (1, 1))
    rivals: list[Lease] = []

    def rival_is_faster(folder: Path) -> float:
        if not rivals:
            rivals.append(owned(folder))
        return filesystem_time(folder)

    assert Lease.claim(tmp_path, clock=rival_is_faster).outcome is Outcome.BUSY
    assert rivals[0].is_mine()
    assert lease_status(tmp_path).attempts == 2


@pytest.mark.parametrize("overtaken", [False, True])
def test_a_claim_that_slept_before_its_link_is_alive_or_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overtaken: bool
) -> None:
    def sleep_through_timeout(path: Path, text: str, *, durable: bool) -> bool:
        linked = publish(path, text, durable=durable)
        os.utime(path, (1, 1))
        if overtaken:
            path.with_name("lease.2").write_text("{}")
        return linked

    monkeypatch.setattr(lease_module, "publish", sleep_through_timeout)
    expected = Outcome.BUSY if overtaken else Outcome.OWNED
    assert Lease.claim(tmp_path).outcome is expected
    assert lease_status(tmp_path).state == "live"


def test_a_folder_that_vanished_is_not_ours(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    lease = owned(folder)
    lease.path.unlink()
    folder.rmdir()
    assert not lease.is_mine()
    assert not lease.beat()
    lease.release()


def test_a_folder_made_anew_is_not_ours_though_the_number_is(tmp_path: Path) -> None:
    first = owned(tmp_path)
    first.path.unlink()
    second = owned(tmp_path)
    assert first.n == second.n
    assert not first.is_mine()
    first.release()
    assert second.is_mine()
    assert lease_status(tmp_path).state == "live"


@pytest.mark.parametrize("name", ["absent", "file"])
def test_claiming_what_is_no_folder_gives_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as caught:
        Lease.claim(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
