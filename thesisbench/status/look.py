"""A runs folder that is only looked at: nothing in it is claimed, mended or moved but the index."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from thesisbench.errors import UserError
from thesisbench.store.files import plain_errors
from thesisbench.store.folder import CONFIG
from thesisbench.store.lease import (
    RECORD,
    TIMEOUT,
    Clock,
    LeaseStatus,
    filesystem_time,
    lease_status,
)
from thesisbench.store.runs import RunStore, RunSummary
from thesisbench.store.status import RunStatus, derive

LOG_BYTES = 4096

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")

T = TypeVar("T")


class LookingStore(RunStore):
    """The runs as they are at one moment; `summaries` looks anew, all else is remembered.

    A file that cannot be read is named in `problems` and left where it is. The time of the file
    system is asked for once a look, and only where a run was claimed.
    """

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(root)
        self._held: dict[str, LeaseStatus] = {}
        self._seen: dict[str, RunStatus] = {}
        self._now: float | None = None

    def summaries(self) -> dict[str, RunSummary]:
        """Id -> every run here in short, its state included.

        Raises:
            UserError: the root is there but cannot be read.
        """
        self._held.clear()
        self._seen.clear()
        self.problems.clear()
        self._now = None
        found = super().summaries()
        for name in sorted(_names(self.root) - found.keys()):
            self._name_unread(name)
        return found

    def state(
        self, run_id: str, *, timeout: float = TIMEOUT, clock: Clock | None = None
    ) -> RunStatus:
        """The status of a run at this look."""
        if run_id not in self._seen:
            self._seen[run_id] = super().state(run_id, timeout=timeout, clock=clock or self._clock)
        return self._seen[run_id]

    def held(self, run_id: str) -> LeaseStatus:
        """How the folder of a run is held at this look."""
        if run_id not in self._held:
            path = self.folder(run_id).path
            lease = self._mended(path, lambda: lease_status(path, clock=self._clock))
            self._held[run_id] = lease or LeaseStatus("free")
        return self._held[run_id]

    def age(self, path: Path) -> float | None:
        """Seconds since a file was written, by the clock of the file system; None without it."""
        try:
            return max(self._clock(path) - path.stat().st_mtime, 0.0)
        except OSError:
            return None

    def last_line(self, run_id: str) -> str:
        """The last line of a run's log that says anything, as plain text; empty without one."""
        try:
            with self.folder(run_id).log_file.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - LOG_BYTES, 0))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return next((clean for line in reversed(text.splitlines()) if (clean := plain(line))), "")

    def _looked_at(self, run: RunSummary) -> RunSummary:
        folder = self.folder(run.id)
        names = self._mended(folder.path, lambda: _names(folder.path)) or set()
        if RECORD in names:  # of an unusual form, or damaged
            return super()._looked_at(run)
        claimed = any(name.startswith("lease.") for name in names)
        lease = self.held(run.id) if claimed else LeaseStatus("free")
        state = self._mended(folder.state_file, folder.read_state) if claimed else None
        self._seen[run.id] = derive(None, state, lease, planned=True)
        return replace(run, state=self._seen[run.id].name)

    def _mended(self, path: Path, read: Callable[[], T]) -> T | None:
        del path  # it stays where it is
        try:
            return read()
        except UserError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
        return None

    def _clock(self, _: Path) -> float:
        if self._now is None:
            self._now = filesystem_time(self.root)
        return self._now

    def _name_unread(self, name: str) -> None:
        path = self.root / name
        if not name.startswith(".") and any((path / file).is_file() for file in (CONFIG, RECORD)):
            self.problems.append(f"{path} is no run folder that can be read: see its {CONFIG}")


def _names(path: Path) -> set[str]:
    """What lies in a folder; nothing where there is none."""
    with plain_errors("read", path):
        try:
            with os.scandir(path) as entries:
                return {entry.name for entry in entries}
        except FileNotFoundError:
            return set()


def plain(text: str) -> str:
    r"""Text without escape sequences and control characters, on one line.

    >>> plain("\x1b[31mno\x1b[0m\tgood\r\n")
    'no good'
    """
    shown = "".join(c if c.isprintable() else " " for c in _ESCAPES.sub("", text))
    return " ".join(shown.split())
