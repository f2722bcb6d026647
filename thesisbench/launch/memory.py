"""Out of memory, an outcome with its own name: told by the error of a run, or by who killed it.

A run that fails for it says so in its state (`kind`). One that the system's OOM killer ends can say
nothing; the launcher then looks whether that killer was at work meanwhile, and says "probably".
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from pathlib import Path

from thesisbench.store.folder import RunFolder
from thesisbench.store.lease import Lease
from thesisbench.store.status import OUT_OF_MEMORY

EVENTS = Path("/proc/vmstat")

_TYPES = ("MemoryError", "OutOfMemoryError")  # the second is torch's, which is not imported here
_WORDS = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUDA out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "is killed by signal: Killed",  # a worker of a DataLoader
)


def failure_kind(error: BaseException) -> str:
    """The name of a failure that has one of its own, "" for the others.

    >>> failure_kind(MemoryError()), failure_kind(ValueError("no"))
    ('out of memory', '')
    """
    return OUT_OF_MEMORY if any(map(_lacked_memory, _chain(error))) else ""


def _lacked_memory(error: BaseException) -> bool:
    if any(kind.__name__ in _TYPES for kind in type(error).__mro__):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that caused it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


class KillerWatch:
    """Notices that the system's OOM killer has been at work.

    Args:
        events: file in which the system counts what it did.
    """

    def __init__(self, events: Path = EVENTS) -> None:
        self._events = events
        self._count = self._kills()

    def explains(self, code: int) -> bool:
        """Whether it probably is why a child ended with this code; one kill explains one end."""
        kills = self._kills()
        if code != -signal.SIGKILL:
            self._count = kills  # what was killed until now was something else
            return False
        explained = kills > self._count
        self._count += explained
        return explained

    def _kills(self) -> int:
        try:
            lines = self._events.read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def note_killed(folder: RunFolder) -> None:
    """Says of a run whose process is gone that memory was probably what it lacked.

    Only its owner may write its state, so its lease is taken over for a moment.
    """
    lease = Lease.claim(folder.path).lease
    if lease is None:
        return
    text = f"probably {OUT_OF_MEMORY}: it was killed while the system's OOM killer was at work"
    state = {"name": "failed", "kind": OUT_OF_MEMORY, "message": text, "progress": {}}
    folder.write_state(state, lease)
    lease.release()
