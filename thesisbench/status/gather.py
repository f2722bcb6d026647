"""What can be said of runs at one look: of the cells of tables, or of all that is in a folder."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from thesisbench.status.look import LookingStore, plain
from thesisbench.status.model import ATTENTION, FINISHED, Group, Overview, RunView, in_order
from thesisbench.status.remaining import Usual, altogether, remaining
from thesisbench.store.lease import LeaseStatus
from thesisbench.store.runs import RunSummary
from thesisbench.store.status import OUT_OF_MEMORY

if TYPE_CHECKING:
    from thesisbench.tables.session import Session

QUIET = 15.0  # seconds without a heartbeat, of which there should be one every 5
ALLOW_VARIABLE = "THESISBENCH_ALLOW_TARGETS"
AGAIN = {"failed": ["--rerun", "failed"], "stale": ["--rerun", "stale"]}

Command = Callable[[str, str, str], str]  # (run id, state, kind of failure) -> command line


def of_folder(store: LookingStore, scale: str | None = None) -> Overview:
    """All runs of a runs folder, by chapter and step; nothing is planned.

    Args:
        store: the folder.
        scale: only runs of this one.

    Raises:
        UserError: the folder is there but cannot be read.
    """
    every = store.summaries()
    chosen = {i: run for i, run in every.items() if scale in (None, run.scale)}
    states = {i: run.state for i, run in chosen.items()} | stale_among(chosen)

    def command(run_id: str, state: str, kind: str) -> str:
        del state, kind
        return shlex.join(["thesisbench", "run", str(store.folder(run_id).path)])

    usual = _usual(every, states)
    waiting = [run for i, run in chosen.items() if states[i] in ("queued", "interrupted")]
    groups: dict[str, Counter[str]] = {}
    for run_id, run in chosen.items():
        name = f"{run.chapter} {run.step}, {run.scale}"
        groups.setdefault(name, Counter())[states[run_id]] += 1
    views = _views(store, chosen, states, usual, command)
    return Overview(
        root=str(store.root),
        tables=(),
        scale=scale,
        groups=tuple(Group(name, in_order(groups[name])) for name in sorted(groups)),
        states=in_order(Counter(states.values())),
        runs=views,
        remaining=_altogether(views, waiting, usual),
        problems=tuple(store.problems),
        retried=_retried(chosen.values()),
    )


def of_tables(session: Session, store: LookingStore) -> Overview:
    """The cells of tables, and the runs behind them.

    Args:
        session: the tables; what it knew of the runs folder is forgotten first.
        store: that the session reads.

    Raises:
        UserError: the folder is there but cannot be read.
    """
    session.refresh()
    runs, states = session.plan.runs, session.states
    usual = _usual(session.summaries, states)
    unfinished = {i: run for i, run in runs.items() if states[i] in ATTENTION}
    views = _views(store, unfinished, states, usual, _table_command(session))
    waiting = [run for i, run in runs.items() if states[i] in ("queued", "absent", "interrupted")]
    return Overview(
        root=str(store.root),
        tables=tuple(session.tables),
        scale=session.scale,
        groups=tuple(_table(session, table, states) for table in session.tables),
        states=in_order(Counter(states.values())),
        runs=views,
        remaining=_altogether(views, waiting, usual),
        commands=tuple(_next(session, states, views)),
        problems=tuple(store.problems),
        retried=_retried(session.summaries[i] for i in runs if i in session.summaries),
    )


def _retried(runs: Iterable[RunSummary]) -> dict[str, int]:
    """Finished runs that needed more than one attempt, and how many."""
    return {r.id: r.attempts for r in runs if r.state in FINISHED and r.attempts > 1}


def stale_among(runs: Mapping[str, RunSummary]) -> dict[str, str]:
    """Unfinished runs of which an older revision, or another, is done."""
    done = {run.lineage for run in runs.values() if run.state in FINISHED}
    return {
        run_id: "stale"
        for run_id, run in runs.items()
        if run.lineage in done and run.state not in (*FINISHED, "running")
    }


def _table(session: Session, table: str, states: Mapping[str, str]) -> Group:
    """The runs behind a table, and its cells; a cell is done when all its runs are finished."""
    behind: dict[str, None] = {}
    done = every = 0
    for (owner, _, _), cell in session.plan.cells.items():
        read = [run for ids in cell.runs.values() for run in ids]
        if owner == table and read:
            every += 1
            done += all(states[run] in FINISHED for run in read)
            behind |= dict.fromkeys(b for run in read for b in session.plan.behind(run))
    return Group(table, in_order(Counter(states[run] for run in behind)), (done, every))


def _views(
    store: LookingStore,
    runs: Mapping[str, Any],
    states: Mapping[str, str],
    usual: Usual,
    command: Command,
) -> tuple[RunView, ...]:
    """A word on each run that needs one, in the order of the states."""
    wanted = [i for i in runs if states[i] in ATTENTION]
    wanted.sort(key=lambda i: ATTENTION.index(states[i]))
    return tuple(_view(store, i, runs[i], states[i], usual, command) for i in wanted)


def _view(
    store: LookingStore, run_id: str, run: Any, state: str, usual: Usual, command: Command
) -> RunView:
    said, held = store.state(run_id), store.held(run_id)
    lost = state in ("failed", "interrupted")
    view = RunView(
        id=run_id,
        title=title(run),
        chapter=run.chapter,
        step=run.step,
        scale=run.scale,
        tables=tuple(run.tables),
        folder=str(store.folder(run_id).path),
        state=state,
        kind=said.kind,
        message=plain(said.message),
        log_line=store.last_line(run_id) if lost else "",
        progress=dict(said.progress),
        attempts=said.attempts,
        host=plain(held.owner.process.host) if held.owner else "",
        silent=_silent(held),
        seconds=said.seconds,
        command="" if state == "running" else command(run_id, state, said.kind),
    )
    return _timed(store, view, usual(run)) if state == "running" else view


def _timed(store: LookingStore, view: RunView, usual: float | None) -> RunView:
    """A running run with its times, which its state tells as they were when it was written."""
    since = store.age(store.folder(view.id).state_file) or 0.0
    told = view.seconds
    view = replace(view, seconds=None if told is None else told + since)
    return replace(view, remaining=remaining(view, told, since, usual))


def _silent(held: LeaseStatus) -> float | None:
    return held.age if held.age is not None and held.age > QUIET else None


def _usual(every: Mapping[str, RunSummary], states: Mapping[str, str]) -> Usual:
    """What runs took; nobody asks where none is running."""
    return Usual.of(every.values() if "running" in states.values() else ())


def _altogether(views: Iterable[RunView], waiting: list[Any], usual: Usual) -> float | None:
    return altogether([view for view in views if view.state == "running"], waiting, usual)


def title(run: Any) -> str:
    """A short name for people: step, levels and replicate."""
    return " ".join([run.step, *(f"{k}={v}" for k, v in {**run.levels, **run.replicate}.items())])


def _table_command(session: Session) -> Command:
    again = _reproduce(session)

    def command(run_id: str, state: str, kind: str) -> str:
        del run_id
        rerun = ["--rerun", "oom"] if kind == OUT_OF_MEMORY else AGAIN.get(state, [])
        return " ".join([again, *rerun])

    return command


def _next(session: Session, states: Mapping[str, str], views: Iterable[RunView]) -> list[str]:
    """What to do next: go on, unless somebody does; and try again what is held back till asked."""
    left = {state for state in states.values() if state not in FINISHED}
    held = {view.command for view in views if view.state in AGAIN}
    go_on = left - AGAIN.keys() and "running" not in left
    return [*([_reproduce(session)] if go_on else []), *sorted(held)]


def _reproduce(session: Session) -> str:
    allowed = filter(None, os.environ.get(ALLOW_VARIABLE, "").split(","))
    words = [word for package in allowed for word in ("--allow-targets", package)]
    return " ".join([session.command("reproduce"), *map(shlex.quote, words)])
