"""Numbered leases: who may execute a run folder, decided by the file system alone.

A claim links a complete temporary file to `lease.<n+1>`, where n is the highest lease there; the
highest number owns the folder, and leases are never deleted, so a number is won once. The heartbeat
is the modification time of one's own lease. A lease is stale when that is older than the timeout by
the file system's own clock, or at once when its process is seen to be gone; released means time
zero. A clock that was set, or a machine that slept, makes a heartbeat look old; so a lease says how
far the clock was from one that nobody sets, and within a boot that is taken into account. An owner
that was suspended may overlap with its successor, so owners look again (`is_mine`) before each
write.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from thesisbench.errors import CorruptFileError
from thesisbench.store.files import (
    format_json,
    is_there,
    plain_errors,
    publish,
    read_json,
    temporary_path,
)
from thesisbench.store.litter import sweep
from thesisbench.store.owner import Process

TIMEOUT = 60.0  # seconds without a heartbeat after which a lease is stale
RECORD = "record.json"

Clock = Callable[[Path], float]

_LEASE = re.compile(r"lease\.([1-9][0-9]*)")


@dataclass(frozen=True)
class Owner:
    """Who wrote a lease: a name drawn for that claim, and the process that made it.

    Attributes:
        uuid: the name. process: who. offset: `clock_offset` when it claimed; None if unknown.
    """

    uuid: str
    process: Process
    offset: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class LeaseStatus:
    """How a folder is held.

    Attributes:
        state: free (never claimed, or released), live, or stale (its owner is gone or silent).
        attempts: how often the folder was claimed so far.
        owner: who wrote the highest lease; None if nobody did or it cannot be read.
        age: seconds since its last heartbeat; None when free, or when the process is gone anyway.
    """

    state: Literal["free", "live", "stale"]
    attempts: int = 0
    owner: Owner | None = None
    age: float | None = None


class Outcome(Enum):
    """What came of a claim."""

    OWNED = "owned"
    BUSY = "busy"
    DONE = "done"


@dataclass(frozen=True)
class Claim:
    """The answer to a claim.

    Attributes:
        outcome: OWNED (go ahead), BUSY (a live owner has it) or DONE (there is a record already).
        lease: ours, when owned; else None.
        owner: who has it, when busy and known; else None.
    """

    outcome: Outcome
    lease: Lease | None = None
    owner: Owner | None = None


@dataclass
class Lease:
    """The right to execute one run folder, until somebody claims it with a higher number.

    Attributes:
        folder: the run folder.
        n: number of the lease, which is the number of the attempt.
        owner: ourselves.
        released: whether it was given back.
        began: when it was claimed, by this process's own clock, in seconds.
    """

    folder: Path
    n: int
    owner: Owner
    released: bool = field(default=False)
    began: float = field(default_factory=time.monotonic, compare=False)

    @classmethod
    def claim(cls, folder: Path, *, timeout: float = TIMEOUT, clock: Clock | None = None) -> Claim:
        """Tries to become the owner of a folder.

        Args:
            folder: an existing run folder.
            timeout: seconds without a heartbeat after which the owner counts as gone.
            clock: tells the time of the file system at a folder (seconds since the epoch).

        Raises:
            UserError: when the folder is not there or cannot be written to.
        """
        clock = clock or filesystem_time
        if is_there(folder / RECORD):
            return Claim(Outcome.DONE)
        status = lease_status(folder, timeout=timeout, clock=clock)
        if status.state == "live":
            return Claim(Outcome.BUSY, owner=status.owner)
        owner = Owner(uuid.uuid4().hex, Process.current(), clock_offset())
        lease = cls(folder, status.attempts + 1, owner)
        if not publish(lease.path, lease._text(), durable=False) or not lease.beat():
            return Claim(Outcome.BUSY)  # another claim was faster
        sweep(folder, now=clock(folder))
        if is_there(folder / RECORD):  # published between our first look and our claim
            lease.release()
            return Claim(Outcome.DONE)
        return Claim(Outcome.OWNED, lease=lease)

    @property
    def path(self) -> Path:
        """Its file."""
        return self.folder / f"lease.{self.n}"

    def beat(self) -> bool:
        """Shows that we live; returns `is_mine`.

        Raises:
            UserError: when the lease cannot be written to.
        """
        if not self.is_mine():
            return False
        with plain_errors("renew", self.path):
            os.utime(self.path)
        return self.is_mine()

    def is_mine(self) -> bool:
        """Whether we still own the folder: not released, no higher number, the file is ours.

        Raises:
            UserError: when the folder cannot be read (one that has vanished is simply not ours).
        """
        if self.released or _highest(self.folder) != self.n:
            return False
        try:
            return _read_owner(self.path) == self.owner
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Gives the folder back, so that the next claim need not wait; harmless when it is lost."""
        if self.is_mine():
            with plain_errors("release", self.path):
                os.utime(self.path, (0, 0))
        self.released = True

    def _text(self) -> str:
        """What its file says."""
        said = {"owner": self.owner.uuid, "n": self.n, "offset": self.owner.offset}
        return format_json({**said, **self.owner.process.to_json()})


def lease_status(
    folder: Path, *, timeout: float = TIMEOUT, clock: Clock | None = None
) -> LeaseStatus:
    """How a folder is held, without claiming it.

    Args:
        folder: a run folder; one that does not exist is free.
        timeout: seconds without a heartbeat after which the owner counts as gone.
        clock: tells the time of the file system at a folder (seconds since the epoch).

    Raises:
        UserError: when the folder cannot be read.
    """
    n = _highest(folder)
    path = folder / f"lease.{n}"
    try:
        beat = path.stat().st_mtime
        owner = _read_owner(path)
    except FileNotFoundError:  # n is 0, or the folder was removed meanwhile
        return LeaseStatus("free")
    if beat <= 0:
        return LeaseStatus("free", n, owner)
    if owner and owner.process.is_gone():
        return LeaseStatus("stale", n, owner)
    # A heartbeat from the future means that the clock was set back: nobody beat since.
    since = (clock or filesystem_time)(folder) - beat
    age = min(abs(since), abs(since - _jump(owner)))  # it beat after the jump, or before it
    return LeaseStatus("stale" if age > timeout else "live", n, owner, age)


def clock_offset() -> float:
    """Seconds that time is ahead of a clock that nobody sets and that stops while we sleep."""
    return time.time() - time.monotonic()


def _jump(owner: Owner | None) -> float:
    """How far the clock of this machine was moved since a claim, in seconds; 0 if unknown."""
    if owner is None or owner.offset is None or not owner.process.is_near():
        return 0.0
    return clock_offset() - owner.offset


def filesystem_time(folder: Path) -> float:
    """Now, by the clock that stamps files in this folder (of a file server, perhaps), in seconds.

    A folder that we may only read is judged by our own clock.
    """
    probe = temporary_path(folder)
    try:
        with probe.open("xb") as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _highest(folder: Path) -> int:
    """The highest lease number in a folder, 0 for none."""
    with plain_errors("read", folder):
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            return 0
    return max((int(m[1]) for name in names if (m := _LEASE.fullmatch(name))), default=0)


def _read_owner(path: Path) -> Owner | None:
    """Who wrote a lease; None when it does not say (cut short by a power failure)."""
    try:
        data: Any = read_json(path)
        offset = data.get("offset")
        known = offset if isinstance(offset, int | float) else None
        return Owner(str(data["owner"]), Process.from_json(data), known)
    except (CorruptFileError, AttributeError, KeyError, TypeError, ValueError):
        return None
