"""Who holds a run: a process, so named that others on its machine can tell whether it still lives.

A process id alone is reused, so it is paired with the start time of the process; both are
meaningful only within one boot of one machine and one pid namespace (a container has its own).
Where there is no `/proc` nothing can be told, and callers fall back on heartbeats.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process of some machine.

    Attributes:
        host: name of the machine, for people.
        boot: identity of the machine's boot, hex; empty where unknown.
        namespace: number of the pid namespace; 0 where unknown.
        pid: process id there.
        start: start time in clock ticks since boot; 0 where unknown.
    """

    host: str
    boot: str
    namespace: int
    pid: int
    start: int

    @classmethod
    def current(cls) -> Process:
        """This process (asked anew after a fork)."""
        return _current(os.getpid())

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Process:
        """The inverse of `to_json`; raises KeyError, TypeError or ValueError on anything else."""
        return cls(
            host=str(data["host"]),
            boot=str(data["boot"]),
            namespace=int(data["namespace"]),
            pid=int(data["pid"]),
            start=int(data["start"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def is_near(self) -> bool:
        """Whether it belongs to this boot and pid namespace, so that `is_gone` can tell."""
        here = Process.current()
        return bool(self.boot) and (self.boot, self.namespace) == (here.boot, here.namespace)

    def is_gone(self) -> bool:
        """Whether it certainly no longer runs; False when that cannot be told from here."""
        if not self.is_near():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # it is there, but belongs to another user
        status = _read_stat(self.pid)
        return status is not None and (status[0] in "ZX" or status[1] != self.start)


@lru_cache(maxsize=1)
def _current(pid: int) -> Process:
    """This process, whose id is `pid`; without boot identity where `/proc` does not show us."""
    host = socket.gethostname()
    try:
        if (PROC / "self").readlink() != Path(str(pid)):  # the /proc of another pid namespace
            return Process(host, "", 0, pid, 0)
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip().replace("-", "")
        namespace = int(str((PROC / "self/ns/pid").readlink()).strip("pid:[]"))
    except (OSError, ValueError):
        return Process(host, "", 0, pid, 0)
    status = _read_stat(pid)
    return (
        Process(host, boot, namespace, pid, status[1]) if status else Process(host, "", 0, pid, 0)
    )


def _read_stat(pid: int) -> tuple[str, int] | None:
    """State letter and start time of a process (fields 3 and 22 of stat), None if unreadable."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
        fields = text.rpartition(")")[2].split()  # the name before it may hold blanks and brackets
        return fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
