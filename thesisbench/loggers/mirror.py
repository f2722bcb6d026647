"""The writer process of a sweep: copies curves and results of its runs into W&B.

`python -m thesisbench.loggers.mirror MANIFEST`, started by `sweep.Mirror`. It looks into the run
folders every second and ends when the parent says so or is gone. From W&B it learns only how far a
resumed run was. Exit code: 0, FAILED (runs were left out), WENT_OFFLINE (no connection).
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thesisbench.loggers.curve import Curve
from thesisbench.loggers.mode import Mode
from thesisbench.loggers.tracker import Tracker, Wandb
from thesisbench.store.secrets import masked

FAILED, WENT_OFFLINE = 1, 3
POLL_SECONDS = 1.0
REFUSALS = 3  # so many runs in a row that W&B does not open, and the writer gives up


@dataclass
class Followed:
    """A run that is being mirrored: its description, its folder and, once begun, its W&B run."""

    entry: Mapping[str, Any]
    folder: Path
    tracked: Any = None
    curve: Curve = field(init=False)

    def __post_init__(self) -> None:
        self.begin(None, 0)

    def begin(self, tracked: Any, epoch: int) -> None:
        """Mirrors the curve to a W&B run from an epoch on."""
        self.tracked = tracked
        self.curve = Curve(self.folder / "metrics.jsonl", last=epoch - 1)


@dataclass
class Writer:
    """Mirrors the runs of a manifest.

    Attributes:
        manifest: project, entity, mode, root and runs (see `describe`).
        tracker: W&B.
        code: exit code so far. pending: runs without a mirrored result.
    """

    manifest: Mapping[str, Any]
    tracker: Tracker = field(default_factory=Wandb)
    code: int = 0
    pending: dict[str, Followed] = field(default_factory=dict)
    _mode: Mode = "offline"
    _refused: int = 0

    def __post_init__(self) -> None:
        self._mode = self.manifest["mode"]
        for entry in self.manifest["runs"]:
            folder = Path(self.manifest["root"]) / entry["id"]
            self.pending[entry["id"]] = Followed(entry, folder)

    def poll(self) -> None:
        """Mirrors what is new; a run that cannot be mirrored is left out, the others go on."""
        for run in list(self.pending.values()):
            if run.entry["id"] not in self.pending:
                return  # given up
            try:
                self._advance(run)
            except Exception as error:
                self._leave_out(run, error)

    def finish(self) -> None:
        """Ends the W&B runs that have no result, as failed; the same command resumes them."""
        for run in list(self.pending.values()):
            try:
                if run.tracked is not None:
                    run.tracked.finish(exit_code=1)
            except Exception as error:
                self._leave_out(run, error)
        self.pending.clear()

    def _advance(self, run: Followed) -> None:
        record = _read_record(run.folder / "record.json")  # before the curve, which ends first
        if run.tracked is None:
            if record is None and not run.curve.path.exists():
                return
            tracked = self._open(run.entry)
            run.begin(tracked, int(tracked.starting_step))  # earlier ones are on the server already
        for epoch, values in run.curve.new_lines():
            run.tracked.log(values, step=epoch)
        if record is not None:
            result = record["result"]
            run.tracked.summary.update({**result["metrics"], "outcome": result["outcome"]})
            del self.pending[run.entry["id"]]
            run.tracked.finish(exit_code=0)

    def _open(self, entry: Mapping[str, Any]) -> Any:
        """The W&B run; where the server cannot be reached, mirroring goes on offline."""
        if self._mode == "online":
            try:
                return self.tracker.open(self.manifest, entry, "online")
            except Exception as error:
                self._go_offline(error)
        try:
            tracked = self.tracker.open(self.manifest, entry, "offline")
        except Exception:
            self._refused += 1
            raise
        self._refused = 0
        return tracked

    def _go_offline(self, error: Exception) -> None:
        """Mirrors every run without a result anew, from its files: they are the truth."""
        note(f"runs are mirrored offline from here on: {type(error).__name__}: {error}")
        self._mode, self.code = "offline", self.code or WENT_OFFLINE
        for run in self.pending.values():
            run.begin(None, 0)
        self.tracker.drop()

    def _leave_out(self, run: Followed, error: Exception) -> None:
        self.code = FAILED
        note(f"run {run.entry['id']} is not mirrored: {type(error).__name__}: {error}")
        self.pending.pop(run.entry["id"], None)
        if self._refused >= REFUSALS:
            note("W&B refuses runs: giving up")
            self.pending.clear()


def note(line: str) -> None:
    """A line for the writer's log (standard error), without keys should an error quote one."""
    print(masked(line), file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Mirrors the manifest's runs until the parent closes the pipe or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when the writer ends
    parent = os.getppid()
    path = Path(arguments[0])
    writer = Writer(json.loads(path.read_text(encoding="utf-8")))
    path.unlink(missing_ok=True)
    while not _told_to_end(POLL_SECONDS) and os.getppid() == parent:
        writer.poll()
    writer.poll()
    writer.finish()
    return writer.code


def _told_to_end(seconds: float) -> bool:
    """Waits; True as soon as the parent has written to the pipe or closed it."""
    return bool(select.select([sys.stdin.fileno()], [], [], seconds)[0])


def _read_record(path: Path) -> dict[str, Any] | None:
    """The record, None while there is none that can be read."""
    try:
        record = json.loads(path.read_bytes())
        return record if "result" in record else None
    except (FileNotFoundError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
