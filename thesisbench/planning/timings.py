"""What runs like the planned ones took: read from the runs folder and from accepted records."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thesisbench.errors import UserError
from thesisbench.planning.machine import Machine
from thesisbench.planning.settings import settings_digest
from thesisbench.planning.work import Known, Work, work_of
from thesisbench.store.index import RunSummary
from thesisbench.tables.model import SCALES
from thesisbench.tables.session import Session

A_KIND = 10  # records read of runs that look the same: enough for a median

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Timing:
    """One finished run.

    Attributes:
        recipe, step, scale: of the run ("<chapter>:<name>" for the step).
        settings: digest that like runs share; None where a run it needs is not at hand.
        overridden: it was changed on the command line.
        seconds: from its claim to its record. machine: it was computed on.
        work: that the time is proportional to, for other scales.
        size: of its folder in bytes; None for an accepted record. weights: of the kept weights.
    """

    recipe: str
    step: str
    scale: str
    settings: str | None
    overridden: bool
    seconds: float
    machine: Machine
    work: Work | None
    size: int | None
    weights: int | None


@dataclass
class Timings:
    """Timings of the recipes of a session.

    Attributes:
        found: of finished runs. known: what their records tell about data sets and networks.
    """

    session: Session
    found: list[Timing] = field(default_factory=list)
    known: Known = field(default_factory=Known)
    _settings: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, session: Session) -> Timings:
        """Reads those that may serve the runs of a session."""
        timings = cls(session)
        records = dict(timings._records({run.recipe for run in session.plan.runs.values()}))
        timings.known = Known.of(
            (_config(record), _facts(record))
            for record in records.values()
            if record["kind"] == "fit"
        )
        for run_id, record in records.items():
            if _is_whole(record):
                timings.found.append(timings._timing(run_id, record))
        return timings

    def configs(self, record: Record) -> list[Mapping[str, Any]]:
        """The configuration of a record, then those of the runs it needs, as far as at hand."""
        needed = (self.session.record(i) for ids in record["needs"].values() for i in ids)
        return [_config(record), *(_config(r) for r in needed if r is not None)]

    def settings(self, run_id: str) -> str | None:
        """The digest of a finished run; None where it, or a run it needs, cannot be read."""
        if run_id not in self._settings:
            record = self.session.record(run_id)
            self._settings[run_id] = None if record is None else self._digest(record)
        return self._settings[run_id]

    def _digest(self, record: Record) -> str | None:
        needs: dict[str, list[str]] = {}
        for name, ids in record["needs"].items():
            found = [self.settings(i) for i in ids]
            needs[name] = [d for d in found if d is not None]
            if len(needs[name]) < len(ids):
                return None
        try:
            return settings_digest(_config(record), needs)
        except (UserError, ValueError):
            return None  # made by code that is not here

    def _timing(self, run_id: str, record: Record) -> Timing:
        kind, metrics = record["kind"], record["result"]["metrics"]
        folder = self.session.store.folder(run_id)
        return Timing(
            recipe=record["recipe"],
            step=f"{record['chapter']}:{record['step']}",
            scale=record["scale"],
            settings=self.settings(run_id),
            overridden=bool(record.get("overridden")),
            seconds=float(record["cost"]["seconds"]),
            machine=Machine.of_record(record),
            work=work_of(kind, self.configs(record), self.known, metrics),
            size=folder_bytes(folder.path) if folder.record_file.exists() else None,
            weights=_facts(record).get("weights_bytes"),
        )

    def _records(self, recipes: set[str]) -> Iterator[tuple[str, Record]]:
        """Of runs that are equal but for their replicate, the few that were done last."""
        done = {i: run for i, run in self.session.summaries.items() if run.state == "done"}
        heads = {i: Head.of_record(record) for i, record in self._accepted()}
        heads |= {i: Head.of_summary(run) for i, run in done.items()}
        for run_id in newest(heads, recipes):
            record = self.session.record(run_id)
            if record is not None and _is_usable(record):
                yield run_id, record

    def _accepted(self) -> Iterator[tuple[str, Record]]:
        for scale in SCALES:
            for kept in self.session.accepted.tables(scale).values():
                yield from ((i, r) for i, r in kept.runs.items() if _is_usable(r))


@dataclass(frozen=True)
class Head:
    """What tells, without reading a record, which runs may be equal but for their replicate."""

    recipe: str
    place: tuple[str, ...]
    needs: tuple[str, ...]
    finished: str

    @classmethod
    def of_summary(cls, run: RunSummary) -> Head:
        """Of a run of the runs folder."""
        place = _place(run.chapter, run.step, run.scale, run.levels, run.overridden)
        needs = tuple(i for ids in run.needs.values() for i in ids)
        return cls(run.recipe, place, needs, run.finished or "")

    @classmethod
    def of_record(cls, record: Record) -> Head:
        """Of an accepted run."""
        levels, overridden = record.get("levels") or {}, bool(record.get("overridden"))
        place = _place(record["chapter"], record["step"], record["scale"], levels, overridden)
        needs = tuple(i for ids in record["needs"].values() for i in ids)
        return cls(record["recipe"], place, needs, record["provenance"].get("finished") or "")


def newest(heads: Mapping[str, Head], recipes: Collection[str]) -> list[str]:
    """Ids of the few that finished last, of those that look the same and whose needs do."""
    groups: dict[Any, list[str]] = {}
    for run_id, head in heads.items():
        if head.recipe in recipes:
            needs = tuple(heads[i].place for i in head.needs if i in heads)
            groups.setdefault((head.place, needs), []).append(run_id)
    for ids in groups.values():
        ids.sort(key=lambda i: heads[i].finished, reverse=True)
    return [run_id for ids in groups.values() for run_id in ids[:A_KIND]]


def _place(
    chapter: str, step: str, scale: str, levels: Mapping[str, Any], overridden: bool
) -> tuple[str, ...]:
    chosen = sorted(f"{factor}={level}" for factor, level in levels.items())
    return (chapter, step, scale, str(overridden), *chosen)


def folder_bytes(path: Path) -> int:
    """Size of all files of a folder."""
    total = 0
    for file in path.rglob("*"):
        with contextlib.suppress(OSError):  # it may be in use, and gone by now
            total += file.stat().st_size if file.is_file() else 0
    return total


def _is_usable(record: Record) -> bool:
    """Whether it has what every record of ours has."""
    keys = ("kind", "recipe", "chapter", "step", "scale", "needs", "provenance", "cost")
    seconds = (record.get("cost") or {}).get("seconds")
    return all(record.get(key) is not None for key in keys) and seconds is not None


def _is_whole(record: Record) -> bool:
    """Whether its time is that of a whole run: not of one that diverged, or that was resumed."""
    resumed = record["kind"] == "fit" and record["provenance"].get("attempts", 1) > 1
    return record["result"]["outcome"] == "ok" and not resumed


def _config(record: Record) -> Mapping[str, Any]:
    return record.get("provenance", {}).get("config") or {}


def _facts(record: Record) -> Mapping[str, Any]:
    return record.get("provenance", {}).get("facts") or {}
