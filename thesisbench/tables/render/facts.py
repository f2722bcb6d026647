"""What stands above a table: scale, runs done, data, time, and whether anything is comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thesisbench.tables.model import Cell
from thesisbench.tables.render.words import duration, retried
from thesisbench.tables.stand_in import check_stand_in

if TYPE_CHECKING:
    from thesisbench.tables.session import Session
    from thesisbench.tables.spec import Table


@dataclass(frozen=True)
class Facts:
    """Facts on a table at a scale.

    Attributes:
        scale: smoke, small or paper. seeds: planned ones, none where nothing is repeated.
        total, done, diverged: runs behind the table (needed ones too): planned, with a record, and
            those of them that left the finite range.
        seconds: wall time of the runs done, added up.
        data: (name, what it stands in for or None) of every data set in the records.
        overrides: the user's. overridden: they, or those of a record, may have changed a run.
        published_n: number of replicates behind the published values, where known.
        comparable: at least one cell is of the published experiment.
        why: what to say when none is.
        stand_in: how far the reference network gets on the stand-in, in words.
        attempts: run id -> how often it was begun, for the runs done.
    """

    scale: str
    seeds: tuple[int, ...]
    total: int
    done: int
    diverged: int
    seconds: float
    data: tuple[tuple[str, str | None], ...]
    overrides: tuple[str, ...]
    overridden: bool
    published_n: int | None
    comparable: bool
    why: str | None
    stand_in: str | None = None
    attempts: Mapping[str, int] = field(default_factory=dict)

    def sentences(self) -> tuple[str, ...]:
        """The facts in words, the most important first."""
        diverged = f" ({self.diverged} diverged)" if self.diverged else ""
        spent = f", {duration(self.seconds)} of run time in all" if self.done else ""
        lines = [f"Scale {self.scale}: {self.done} of {self.total} runs done{diverged}{spent}."]
        lines += [self.why] if self.why else []
        if self.seeds:
            lines.append(f"Seeds: {', '.join(map(str, self.seeds))}.")
        if self.data:
            lines.append(f"Data: {', '.join(_data_words(*pair) for pair in self.data)}.")
        if self.stand_in:
            lines.append(f"{self.stand_in.capitalize()}.")
        if self.published_n:
            lines.append(f"Published values: n = {self.published_n}.")
        if self.overrides:
            lines.append(f"Overridden: {' '.join(self.overrides)}")
        elif self.overridden:
            lines.append("Overridden: records made with overrides of the user are among these.")
        if self.attempts and (text := retried(self.attempts, 3)):
            lines.append(f"{text}.")
        return tuple(lines)


def table_facts(session: Session, table_id: str) -> Facts:
    """Gathers the facts on a table of a session."""
    table = session.catalog.table(table_id)
    runs = [run.id for run in session.plan.runs.values() if table_id in run.tables]
    found = [record for run in runs if (record := session.brief(run)) is not None]
    cells = [cell for cell in session.cells.values() if cell.table == table_id]
    comparable = any(cell.comparable for cell in cells if _has_target(cell))
    repeats = "seed" in table.replicates
    return Facts(
        scale=session.scale,
        seeds=tuple(session.plan.seeds.get(table_id, ())) if repeats else (),
        total=len(runs),
        done=len(found),
        diverged=sum(record["result"]["outcome"] == "diverged" for record in found),
        seconds=sum(_seconds(record) for record in found),
        data=tuple(dict.fromkeys(d for record in found if (d := _data(record)) is not None)),
        overrides=tuple(session.overrides),
        overridden=bool(session.overrides) or any(record.get("overridden") for record in found),
        published_n=table.published_n,
        comparable=comparable,
        why=None if comparable else _why_not(session.scale, cells),
        stand_in=_stand_in(session, table),
        attempts={str(record["id"]): _attempts(record) for record in found},
    )


def _stand_in(session: Session, table: Table) -> str | None:
    check = check_stand_in(table, session.cells) if session.scale != "paper" else None
    return str(check) if check else None


def _has_target(cell: Cell) -> bool:
    """The cell is ours to make, and the thesis says what it came to there."""
    said = cell.target.value is not None or cell.target.reason == "diverged"
    return said and cell.state != "printed"


def _why_not(scale: str, cells: list[Cell]) -> str:
    if not any(_has_target(cell) for cell in cells):
        return "The thesis prints no number to compare these with; they serve the claims only."
    if scale != "paper":
        return (
            f"{scale.capitalize()} scale: not the published experiment; "
            "these numbers serve the claims only."
        )
    reasons = dict.fromkeys(cell.why for cell in cells if _has_target(cell) and cell.why)
    because = f" ({'; '.join(reasons)})" if reasons else ""
    return f"No cell here is of the published experiment{because}; nothing is compared."


def _seconds(record: Mapping[str, Any]) -> float:
    seconds = record.get("provenance", {}).get("wall_seconds")
    return float(seconds if seconds is not None else record.get("cost", {}).get("seconds", 0.0))


def _attempts(record: Mapping[str, Any]) -> int:
    return int(record.get("provenance", {}).get("attempts") or 1)


def _data(record: Mapping[str, Any]) -> tuple[str, str | None] | None:
    data = record.get("provenance", {}).get("facts", {}).get("data") or {}
    return (str(data["name"]), data.get("stand_in_for")) if "name" in data else None


def _data_words(name: str, stand_in_for: str | None) -> str:
    return f"stand-in {name} for {stand_in_for}" if stand_in_for else name
