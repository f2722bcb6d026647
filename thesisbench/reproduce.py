"""The command that regenerates tables: plan, run what is missing, collect, judge, render."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from thesisbench.errors import UserError
from thesisbench.execute import (
    Rerun,
    Work,
    discard,
    execute,
    longest_first,
    make_launcher,
    sort_out,
    write_folders,
)
from thesisbench.instantiate import check_targets
from thesisbench.launch.jobs import Launcher
from thesisbench.less_memory import out_of_memory
from thesisbench.loggers.sweep import Mirror
from thesisbench.progress import Display
from thesisbench.report import write_table
from thesisbench.store.leftovers import clear_leftovers
from thesisbench.tables.render.words import retried
from thesisbench.tables.session import Session

FINE, FAILED, BAD_INPUT, CLAIM_FAILS, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass
class Request:
    """What the user asked for.

    Attributes:
        session: tables, scale, overrides and seeds. infrastructure: launcher and logger nodes.
        rerun: words of --rerun. strict: a failing claim is an error. out: folder of the reports.
    """

    session: Session
    infrastructure: Mapping[str, Any]
    rerun: tuple[str, ...] = ()
    strict: bool = False
    out: Path = Path("reports")
    written: list[Path] = field(default_factory=list)


def reproduce(request: Request, console: Console) -> int:
    """Executes what is missing and returns the exit code.

    Raises:
        UserError: bad input; nothing was run then.
        KeyboardInterrupt: the user stopped it; everything can be resumed.
    """
    session = request.session
    runs = session.plan.runs
    check_targets([dict(run.config) for run in runs.values()])
    rerun = Rerun.of(request.rerun, runs)
    rerun.look_for_oom(session.store, session.states)
    work = sort_out(runs.values(), session.states, rerun)
    work.jobs = longest_first(work.jobs, runs, session.seconds)
    launcher = make_launcher(
        request.infrastructure.get("launcher") or {}, [runs[job.id] for job in work.jobs]
    )
    _check_folder(request.out)
    _announce(session, work, console)
    outcome = _run(request, work, rerun, launcher, console) if work.jobs else {}
    clear_leftovers(session.store, runs)
    session.refresh()
    for table in session.tables:
        request.written += write_table(session, table, request.out)
    return _exit_code(request, work, outcome, console)


def _run(
    request: Request, work: Work, rerun: Rerun, launcher: Launcher, console: Console
) -> dict[str, str]:
    session, runs = request.session, request.session.plan.runs
    wanted = [job.id for job in work.jobs]
    finished = [i for i in wanted if session.states[i] in ("done", "diverged")]
    discard(session.store, [i for i in wanted if i in rerun.ids] + finished)
    changed = session.plan.overridden
    for overridden in (False, True):
        chosen = [i for i in wanted if (i in changed) == overridden]
        write_folders(
            session.store, runs.values(), chosen, overridden=overridden, parts=rerun.parts
        )
    mirror = Mirror.start(
        [runs[i] for i in wanted],
        session.store.root,
        dict(request.infrastructure.get("logger") or {}),
        lambda line: console.print(line, markup=False, highlight=False),
    )
    try:
        with Display(console, session.store, runs, len(wanted)) as display:
            return execute(session.store, launcher, work, display.on_event, display.on_tick)
    finally:
        if mirror is not None:
            mirror.close()


def _check_folder(out: Path) -> None:
    """Says before anything runs that reports could not be written."""
    if any(p.exists() and not p.is_dir() for p in (out, *out.parents)):
        raise UserError(f"--out {out}: a file is where a folder should be; give another folder")


def _announce(session: Session, work: Work, console: Console) -> None:
    done, todo, held = len(work.done), len(work.jobs), len(work.held)
    console.print(
        f"{', '.join(session.tables)} at scale {session.scale}: {done} runs done, {todo} to do"
        + (f", {held} held back" if held else ""),
        highlight=False,
    )
    for why in dict.fromkeys(work.held.values()):
        count = sum(w == why for w in work.held.values())
        console.print(f"  {count} held back: {why}", markup=False, highlight=False)


def _rerun_words(session: Session, failed: Sequence[str]) -> str:
    """The options that try failed runs again, in smaller parts those that ran out of memory."""
    lacked = len(out_of_memory(session.store, failed))
    text = " --rerun failed" if len(failed) > lacked else ""
    return f"{text} --rerun oom" if lacked else text


def _exit_code(request: Request, work: Work, outcome: dict[str, str], console: Console) -> int:
    session = request.session
    for problem in session.store.problems:
        console.print(problem, markup=False, highlight=False)
    lost = [i for i, word in outcome.items() if word in ("failed", "interrupted", "blocked")]
    failed = [i for i, why in work.held.items() if why.startswith(("failed", "needs"))]
    if lost:
        log = session.store.folder(lost[0]).log_file
        again = session.command("reproduce")
        text = f"{len(lost)} runs did not finish; the first one's log: {log}; again: {again}"
        text += _rerun_words(session, [i for i, word in outcome.items() if word == "failed"])
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if work.jobs and (text := retried(session.attempts)):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if lost or failed or session.store.problems:
        return FAILED
    fails = any(v.result == "fails" for verdicts in session.claims.values() for v in verdicts)
    return CLAIM_FAILS if request.strict and fails else FINE
