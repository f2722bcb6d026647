"""The runs folder: one folder a run, `<root>/<id>/`, read in spite of single damaged ones.

Other folders under the root are ignored. Where the runs and the data lie comes from two environment
variables. A file that cannot be read is named and set aside, and the rest goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from thesisbench.errors import CorruptFileError, UserError
from thesisbench.store.files import is_there, plain_errors, set_aside
from thesisbench.store.folder import RunFolder
from thesisbench.store.index import RunIndex, RunSummary
from thesisbench.store.lease import TIMEOUT, Clock, LeaseStatus, lease_status
from thesisbench.store.status import RunStatus, derive

__all__ = ["RunFolder", "RunStatus", "RunStore", "RunSummary", "data_root", "default_root"]

T = TypeVar("T")


class RunStore:
    """All runs under one root, read in spite of single damaged folders.

    Attributes:
        root: the runs folder; it need not exist yet.
        problems: one line for each file that could not be read, and where it is now.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()
        self.problems: list[str] = []
        self._index = RunIndex(self.root)

    def folder(self, run_id: str) -> RunFolder:
        """The folder of a run, whether it exists or not."""
        return RunFolder(self.root / run_id)

    def ids(self) -> list[str]:
        """Ids of all runs here, sorted; other folders are ignored.

        Raises:
            UserError: when the root is there but cannot be read.
        """
        with plain_errors("read", self.root):
            try:
                names = sorted(path.name for path in self.root.iterdir())
            except FileNotFoundError:
                return []
        folders = (self.folder(name) for name in names)
        return [f.id for f in folders if self._mended(f.path, f.exists)]

    def record(self, run_id: str) -> dict[str, Any] | None:
        """The record of a run, None if there is none or it had to be set aside."""
        folder = self.folder(run_id)
        return self._mended(folder.record_file, folder.read_record)

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Id and record of every run that has one, in order of the ids."""
        for run_id in self.ids():
            record = self.record(run_id)
            if record is not None:
                yield run_id, record

    def state(
        self, run_id: str, *, timeout: float = TIMEOUT, clock: Clock | None = None
    ) -> RunStatus:
        """The status of a run; a damaged record or state is set aside and counts as not there."""
        folder = self.folder(run_id)
        lease = self._mended(
            folder.path, lambda: lease_status(folder.path, timeout=timeout, clock=clock)
        )
        record = self._mended(folder.record_file, folder.read_record)
        state = self._mended(folder.state_file, folder.read_state)
        planned = self._mended(folder.config_file, lambda: is_there(folder.config_file)) or False
        return derive(record, state, lease or LeaseStatus("free"), planned=planned)

    def summaries(self) -> dict[str, RunSummary]:
        """Id -> every run here in short, its state included; quick, since an index is kept.

        A record that cannot be read is set aside, as by `record`.

        Raises:
            UserError: when the root is there but cannot be read.
        """
        with plain_errors("read", self.root):
            found = self._index.read()
        return {i: run if run.state else self._looked_at(run) for i, run in found.items()}

    def _looked_at(self, run: RunSummary) -> RunSummary:
        """The summary of a run without a record, or with one of an unusual form."""
        name, record = self.state(run.id).name, self.record(run.id) or {}
        result, cost = record.get("result", {}), record.get("cost", {})
        return replace(run, state=name, metrics=result.get("metrics", {}), cost=cost)

    def _mended(self, path: Path, read: Callable[[], T]) -> T | None:
        """What `read` returns; None after noting a problem, the corrupt file being set aside."""
        try:
            return read()
        except CorruptFileError as error:
            problem = _moved(path, error)
        except UserError as error:
            problem = str(error)
        if problem not in self.problems:
            self.problems.append(problem)
        return None


def default_root() -> Path:
    """The runs folder: `THESISBENCH_RUNS`, or `runs` where the command was started."""
    return Path(os.environ.get("THESISBENCH_RUNS") or "runs").expanduser()


def data_root() -> Path:
    """The data folder: `THESISBENCH_DATA`, or `~/.cache/thesisbench`."""
    return Path(os.environ.get("THESISBENCH_DATA") or "~/.cache/thesisbench").expanduser()


def _moved(path: Path, error: CorruptFileError) -> str:
    """Sets a corrupt file aside; one line that names it and says where it is now."""
    try:
        return f"{error}; set aside as {set_aside(path).name}"
    except FileNotFoundError:
        return f"{error}; somebody else has set it aside"
    except UserError as refusal:
        return f"{error}; {refusal}"
