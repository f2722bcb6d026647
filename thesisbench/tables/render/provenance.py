"""Where the numbers of a table come from: the runs behind each row, and how each was made.

What many runs share (code, machine, data) is listed once and named by a short key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thesisbench.tables.plan import CONSTANT
from thesisbench.tables.render.words import duration, figure
from thesisbench.tables.session import FINISHED
from thesisbench.tables.spec import Table

if TYPE_CHECKING:
    from thesisbench.tables.collect import Record
    from thesisbench.tables.session import Session

UNSTARTED = ("absent", "queued")


@dataclass(frozen=True)
class RunLine:
    """A run in words.

    Attributes:
        id: of the run. title: its step and levels; replicate: such as "seed=0".
        values: what each column took from it, empty where it took nothing.
        state: done, diverged, failed, ...; source: "accepted", "runs folder" or nothing.
        message: why it failed. finished: when. seconds: how long it took, in words.
        environment, data: keys of the lists of those. needs: ids of the runs it needed.
    """

    id: str
    title: str
    replicate: str
    values: tuple[str, ...]
    state: str
    source: str
    message: str
    finished: str
    seconds: str
    environment: str
    data: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class RowRuns:
    """The runs that a row was read from.

    Attributes:
        label: of the row. columns: headers of the columns that were read from runs.
        runs: in order; those that were never started are only counted in `waiting`.
        derived: (column, formula, value of each seed) of the columns that were computed.
    """

    label: str
    columns: tuple[str, ...]
    runs: tuple[RunLine, ...]
    waiting: int
    derived: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Provenance:
    """Where all numbers of a table come from.

    Attributes:
        rows: by row. needed: further runs that those needed.
        environments, data: key -> (what, value) pairs.
    """

    rows: tuple[RowRuns, ...]
    needed: tuple[RunLine, ...]
    environments: Mapping[str, Sequence[tuple[str, str]]]
    data: Mapping[str, Sequence[tuple[str, str]]]


def provenance_of(session: Session, table_id: str) -> Provenance:
    """The runs behind a table of a session.

    Raises:
        UserError: no such table.
    """
    table, found = session.catalog.table(table_id), _Found(session)
    rows = tuple(
        row
        for key in table.rows
        if (row := _row(session, table, key, found)).runs or row.waiting or row.derived
    )
    needed = tuple(found.line(i) for i in found.needed() if i in session.plan.runs)
    return Provenance(rows, needed, found.environments.listed, found.data.listed)


def _row(session: Session, table: Table, key: str, found: _Found) -> RowRuns:
    planned = {c: session.plan.cells.get((table.id, key, c)) for c in table.columns}
    measured = {c: p for c, p in planned.items() if p is not None and p.spec.source == "run"}
    reads: dict[str, dict[str, str]] = {}
    for column, plan in measured.items():
        for ids in plan.runs.values():
            for run_id in ids:
                reads.setdefault(run_id, {})[column] = plan.spec.read
    columns = [c for c in measured if any(c in taken for taken in reads.values())]
    started = [i for i in reads if found.is_started(i)]
    derived = [
        (table.columns[c].name, str(plan.spec.formula.text), _by_seed(session, table.id, key, c))
        for c, plan in planned.items()
        if plan is not None and plan.spec.formula is not None
    ]
    return RowRuns(
        table.rows[key].label,
        tuple(table.columns[c].name for c in columns),
        tuple(found.line(i, [reads[i].get(c) for c in columns]) for i in started),
        len(reads) - len(started),
        tuple(derived),
    )


def _by_seed(session: Session, table: str, row: str, column: str) -> str:
    """Seed and value of a derived cell, for example "0: 1.5, 1: 1.25"."""
    values = session.cells[table, row, column].values
    return ", ".join(
        figure(value) if seed == CONSTANT else f"{seed}: {figure(value)}"
        for seed, value in values.items()
    )


@dataclass
class _Shared:
    """What several runs share, each written once and named by a letter and a number."""

    letter: str
    names: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)

    def key(self, pairs: Sequence[tuple[str, str]]) -> str:
        """The name of a thing; nothing where there is nothing to say."""
        return self.names.setdefault(tuple(pairs), self._next()) if pairs else ""

    @property
    def listed(self) -> dict[str, Sequence[tuple[str, str]]]:
        """Name -> thing."""
        return {name: pairs for pairs, name in self.names.items()}

    def _next(self) -> str:
        return f"{self.letter}{len(self.names) + 1}"


class _Found:
    """Looks up runs and remembers what they share and need."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.environments, self.data = _Shared("E"), _Shared("D")
        self.shown: dict[str, tuple[str, ...]] = {}

    def is_started(self, run_id: str) -> bool:
        """There is a record, or somebody has begun."""
        return self.session.states[run_id] not in UNSTARTED or bool(self.session.brief(run_id))

    def needed(self) -> list[str]:
        """Ids of the runs behind the shown ones that are not shown themselves."""
        behind = (b for i in list(self.shown) for b in self.session.plan.behind(i))
        return [i for i in dict.fromkeys(behind) if i not in self.shown and self.is_started(i)]

    def line(self, run_id: str, read: Sequence[str | None] = ()) -> RunLine:
        """A run in words, with the metrics that were read from it."""
        run = self.session.plan.runs[run_id]
        needs = tuple(i for ids in run.needs.values() for i in ids)
        self.shown[run_id] = needs
        record: Record = self.session.record(run_id) or {}
        made, result = record.get("provenance") or {}, record.get("result") or {}
        metrics = result.get("metrics") or {}
        state = self.session.states[run_id]
        here = state in FINISHED
        failed = state == "failed"
        ended = "diverged" if result.get("outcome") == "diverged" else "done"
        return RunLine(
            id=run_id,
            title=f"{run.step} {_pairs(run.levels)}".strip(),
            replicate=_pairs(run.replicate),
            values=tuple("" if name is None else _value(metrics.get(name)) for name in read),
            state=ended if record else state,
            source=("runs folder" if here else "accepted") if record else "",
            message=self.session.store.state(run_id).message if failed else "",
            finished=str(made.get("finished") or "")[:16].replace("T", " "),
            seconds=_seconds(record, made),
            environment=self.environments.key(_environment(made)),
            data=self.data.key(_data(made)),
            needs=needs,
        )


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in mapping.items())


def _value(value: Any) -> str:
    """A metric with six digits."""
    return f"{value:.6g}" if isinstance(value, int | float) else ""


def _seconds(record: Record, made: Mapping[str, Any]) -> str:
    seconds = made.get("wall_seconds", (record.get("cost") or {}).get("seconds"))
    return duration(seconds) if isinstance(seconds, int | float) else ""


def _environment(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Code, machine and versions."""
    code, hardware = made.get("code") or {}, made.get("hardware") or {}
    pairs = []
    if code:
        dirty = " with uncommitted changes" if code.get("dirty") else ""
        pairs.append(("Commit", f"{code.get('git_commit') or 'unknown'}{dirty}"))
        pairs.append(("Package", str(code.get("package_version", "unknown"))))
    if hardware:
        gpus = hardware.get("gpus") or []
        named = ", ".join(map(str, gpus)) if isinstance(gpus, list) else str(gpus)
        cores = f"{hardware.get('usable_cores', hardware.get('cores'))} cores"
        pairs.append(("Hardware", f"{hardware.get('cpu')}, {cores}, GPU: {named or 'none'}"))
    for name, key in (("Threads", "threads"), ("Platform", "platform")):
        pairs += [(name, str(made[key]))] if key in made else []
    versions = made.get("versions") or {}
    known = [f"{name} {version}" for name, version in versions.items() if version]
    return [*pairs, *([("Versions", ", ".join(known))] if known else [])]


def _data(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and fingerprint of the data of a run."""
    data = (made.get("facts") or {}).get("data") or {}
    if "name" not in data:
        return []
    other = data.get("stand_in_for")
    pairs = [("Data set", f"{data['name']}{f', a stand-in for {other}' if other else ''}")]
    for name, split in (data.get("splits") or {}).items():
        said = split if isinstance(split, Mapping) else {}
        pairs.append((str(name), f"{said.get('count', '?')} samples, sha256 {said.get('sha256')}"))
    return pairs
