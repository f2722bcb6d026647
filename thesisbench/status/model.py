"""What a look at runs found: plain data, for the screen and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FINISHED = ("done", "diverged")
ATTENTION = ("running", "failed", "interrupted", "stale")
ORDER = (*FINISHED, *ATTENTION, "queued", "absent")


@dataclass(frozen=True)
class RunView:
    """A run that is neither finished nor waiting.

    Attributes:
        id, title, chapter, step, scale, tables: as planned. folder: where it is.
        state: running, failed, interrupted or stale. kind: name of a failure that has one.
        message: why it failed. log_line: the last line of its log, where it failed or was lost.
        progress: what its owner last said. attempts: how often it was claimed.
        host: machine of its owner. silent: seconds since its owner was last seen, where that is
            longer than it should be.
        seconds: so far. remaining: seconds still to go, as far as like runs or its own epochs tell.
        command: that executes it again, or goes on with it.
    """

    id: str
    title: str
    chapter: str
    step: str
    scale: str
    tables: tuple[str, ...]
    folder: str
    state: str
    kind: str = ""
    message: str = ""
    log_line: str = ""
    progress: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    host: str = ""
    silent: float | None = None
    seconds: float | None = None
    remaining: float | None = None
    command: str = ""

    @property
    def epochs(self) -> tuple[float, float] | None:
        """Epochs done, and of how many; None where nothing is known."""
        done, most = self.progress.get("epoch"), self.progress.get("epochs")
        if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in (done, most)):
            return None
        return (float(done), float(most)) if most > 0 else None  # type: ignore[arg-type, operator]


@dataclass(frozen=True)
class Group:
    """Runs that are shown on one line: those of a table, or of a step at a scale.

    Attributes:
        name: of it. states: state -> number of runs.
        cells: (done, all) cells of the table that are run; None where no table was asked for.
    """

    name: str
    states: Mapping[str, int]
    cells: tuple[int, int] | None = None


@dataclass(frozen=True)
class Overview:
    """What one look found.

    Attributes:
        root: the runs folder. tables: asked for. scale: of them; None: whatever is there.
        groups: one a line. states: state -> number of runs, each counted once.
        runs: those that need a word. remaining: seconds until all are done, if that can be said.
        commands: what to do next. problems: one line for each file that cannot be read.
        retried: id -> number of attempts, of finished runs that needed more than one.
    """

    root: str
    tables: tuple[str, ...]
    scale: str | None
    groups: tuple[Group, ...]
    states: Mapping[str, int]
    runs: tuple[RunView, ...] = ()
    remaining: float | None = None
    commands: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    retried: Mapping[str, int] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[int, int] | None:
        """(done, all) cells of all tables; None where no table was asked for."""
        counted = [group.cells for group in self.groups if group.cells is not None]
        if not counted:
            return None
        return sum(done for done, _ in counted), sum(every for _, every in counted)

    def of(self, state: str) -> list[RunView]:
        """The runs in a state."""
        return [run for run in self.runs if run.state == state]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        groups = [
            {"name": g.name, "states": dict(g.states), "cells": _cells(g.cells)}
            for g in self.groups
        ]
        return {
            "runs_folder": self.root,
            "scale": self.scale,
            "tables": list(self.tables),
            "cells": _cells(self.cells),
            "states": dict(self.states),
            "groups": groups,
            "runs": [{**asdict(run), "tables": list(run.tables)} for run in self.runs],
            "remaining": self.remaining,
            "commands": list(self.commands),
            "problems": list(self.problems),
            "retried": dict(self.retried),
        }


def _cells(cells: tuple[int, int] | None) -> dict[str, int] | None:
    return None if cells is None else {"done": cells[0], "all": cells[1]}


def in_order(states: Mapping[str, int]) -> dict[str, int]:
    """States that occur, finished ones first.

    >>> in_order({"queued": 2, "done": 1, "failed": 0})
    {'done': 1, 'queued': 2}
    """
    return {name: states[name] for name in ORDER if states.get(name)}
