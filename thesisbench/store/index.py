"""What all runs of a runs folder came to, read once: an index beside the runs.

What was read of a run is kept in `.index.msgpack` of the runs folder, and holds as long as size and
time of its record (of its configuration, while there is no record) are the same. The index is only
a short cut: it may be deleted, lost to another writer or damaged, and is then made again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from thesisbench.errors import UserError
from thesisbench.store.files import write_text
from thesisbench.store.folder import CONFIG, Loader
from thesisbench.store.lease import RECORD
from thesisbench.store.status import OUTCOMES

INDEX = ".index.msgpack"
FORMAT = 2
WORTH_KEEPING = 100  # runs read anew before the index is written again
HEAD_BYTES = 4096
CUT = b"\nconfig:"

Stamp = tuple[int, int]


class DataFact(msgspec.Struct, frozen=True):
    """Which data a run used, and what they stand in for."""

    name: str | None = None
    stand_in_for: str | None = None


class _Facts(msgspec.Struct, frozen=True):
    data: DataFact | None = None


class _Provenance(msgspec.Struct, frozen=True):
    wall_seconds: float | None = None
    finished: str | None = None
    attempts: int = 0
    facts: _Facts | None = None


class _Result(msgspec.Struct, frozen=True):
    outcome: str
    metrics: dict[str, Any] = {}


class _Head(msgspec.Struct, frozen=True):
    """What config.yaml and record.json both say of a run."""

    id: str = ""
    lineage: str = ""
    chapter: str = ""
    step: str = ""
    kind: str = ""
    recipe: str = ""
    scale: str = ""
    levels: dict[str, Any] = {}
    replicate: dict[str, int] = {}
    needs: dict[str, tuple[str, ...]] = {}
    tables: tuple[str, ...] = ()
    overridden: bool = False


class _Record(_Head, frozen=True, kw_only=True):
    result: _Result
    cost: dict[str, Any] = {}
    provenance: _Provenance = _Provenance()


class RunSummary(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A run in short.

    Attributes:
        id, lineage, chapter, step, kind, recipe, scale, levels, replicate, needs, overridden: as
            planned. tables: those it was planned for.
        state: done or diverged; empty where the run has no record (ask the store for its state).
        metrics, cost, data: from the record.
        seconds: wall time. finished: when, in ISO format.
        attempts: how often it was claimed until it had a record; 0 if unknown.
    """

    id: str
    lineage: str
    chapter: str
    step: str
    kind: str
    recipe: str
    scale: str
    levels: dict[str, Any]
    replicate: dict[str, int]
    needs: dict[str, tuple[str, ...]]
    tables: tuple[str, ...]
    overridden: bool
    state: str = ""
    metrics: dict[str, Any] = {}
    cost: dict[str, Any] = {}
    data: DataFact | None = None
    seconds: float | None = None
    finished: str | None = None
    attempts: int = 0

    def as_record(self) -> dict[str, Any]:
        """Those parts of the run's record from which cells and facts are made."""
        data = self.data
        return {
            "id": self.id,
            "kind": self.kind,
            "overridden": self.overridden,
            "result": {
                "outcome": "ok" if self.state == "done" else "diverged",
                "metrics": self.metrics,
            },
            "cost": self.cost,
            "provenance": {
                "wall_seconds": self.seconds,
                "attempts": self.attempts,
                "facts": {"data": data and {"name": data.name, "stand_in_for": data.stand_in_for}},
            },
        }


class _Kept(msgspec.Struct, array_like=True, gc=False):
    format: int
    runs: list[tuple[Stamp, RunSummary]]


_record_decoder = msgspec.json.Decoder(_Record)
_index_decoder = msgspec.msgpack.Decoder(_Kept)
_index_encoder = msgspec.msgpack.Encoder()


class RunIndex:
    """The runs under a root, in short.

    Args:
        root: the runs folder; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._kept: dict[str, tuple[Stamp, RunSummary]] | None = None

    def read(self) -> dict[str, RunSummary]:
        """Id -> run, for every run folder; what cannot be read is left out.

        Writes the index again when enough was new; that it cannot be written does no harm.

        Raises:
            OSError: when the root is there but cannot be read.
        """
        known = self._load() if self._kept is None else self._kept
        found: dict[str, tuple[Stamp, RunSummary]] = {}
        new = 0
        for name in _folders(self.root):
            path = os.path.join(self.root, name)
            kept = known.get(name)
            if (stamp := _stamp(os.path.join(path, RECORD))) is None:
                stamp = _stamp(os.path.join(path, CONFIG))
            if stamp is None:
                continue  # no run folder
            if kept is not None and kept[0] == stamp:
                found[name] = kept
            elif (run := _summary(path)) is not None:
                found[name] = (stamp, run)
                new += 1
        self._kept = found
        if new >= WORTH_KEEPING:
            self._save()
        return {name: run for name, (_, run) in found.items()}

    def _load(self) -> dict[str, tuple[Stamp, RunSummary]]:
        try:
            kept = _index_decoder.decode((self.root / INDEX).read_bytes())
        except (OSError, msgspec.MsgspecError):
            return {}
        return {run.id: (stamp, run) for stamp, run in kept.runs} if kept.format == FORMAT else {}

    def _save(self) -> None:
        assert self._kept is not None
        kept = list(self._kept.values())
        with contextlib.suppress(UserError):
            write_text(self.root / INDEX, _index_encoder.encode(_Kept(FORMAT, kept)), durable=False)


def _folders(root: Path) -> Iterator[str]:
    """Names of folders that may hold a run, sorted."""
    try:
        with os.scandir(root) as entries:
            names = [e.name for e in entries if not e.name.startswith(".")]
    except FileNotFoundError:
        return
    yield from sorted(names)


def _stamp(path: str) -> Stamp | None:
    """Time of change and size of a file; None when there is no such file."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size)


def _summary(path: str) -> RunSummary | None:
    """A run from its record, else from the head of its configuration; None if it has neither."""
    if (record := _record(path)) is not None:
        said = record.provenance
        return _of(
            record,
            path,
            tables=_tables(path),
            state="done" if record.result.outcome == "ok" else "diverged",
            metrics=record.result.metrics,
            cost=record.cost,
            data=said.facts.data if said.facts else None,
            seconds=said.wall_seconds,
            finished=said.finished,
            attempts=said.attempts,
        )
    head = config_head(Path(path) / CONFIG)
    return None if head is None else _of(head, path, tables=head.tables)


def _of(head: _Head, path: str, **more: Any) -> RunSummary:
    shared = {name: getattr(head, name) for name in _Head.__struct_fields__ if name != "tables"}
    return RunSummary(**{**shared, "id": os.path.basename(path)}, **more)


def _record(path: str) -> _Record | None:
    """The record of a run in short; None where there is none that can be read."""
    try:
        with open(os.path.join(path, RECORD), "rb") as file:
            record = _record_decoder.decode(file.read())
    except (OSError, msgspec.MsgspecError):
        return None
    return record if record.result.outcome in OUTCOMES else None


def config_head(path: Path) -> _Head | None:
    """What a config.yaml says before the configuration itself; None if it cannot be read."""
    text = _before_config(path)
    try:
        return msgspec.convert(yaml.load(text, Loader=Loader), _Head) if text else None
    except (yaml.YAMLError, ValueError):
        return None


def _tables(path: str) -> tuple[str, ...]:
    """The tables in a config.yaml, found without parsing it: it is written by us, one a line."""
    lines = _before_config(Path(path) / CONFIG).partition(b"\ntables:\n")[2].split(b"\n")
    listed = itertools.takewhile(lambda line: line.startswith(b"- "), lines)
    return tuple(line[2:].decode(errors="replace") for line in listed)


def _before_config(path: Path) -> bytes:
    """The head of a config.yaml; nothing if there is no such file."""
    text = b""
    try:
        with path.open("rb") as file:
            while CUT not in text and (more := file.read(HEAD_BYTES)):
                text += more
    except OSError:
        return b""
    return text.partition(CUT)[0] + b"\n"
