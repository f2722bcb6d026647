"""The commands that take tables: reproduce, report, plan, status, accept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from thesisbench.commands.output import console, problems, put, show
from thesisbench.completion import (
    complete_formats,
    complete_launchers,
    complete_rerun,
    complete_scales,
)
from thesisbench.selectors import AsJson, Selected, selects


def _checked_format(name: str) -> str:
    from thesisbench.report import check_format

    return check_format(name)


def _checked_scale(name: str) -> str:
    from thesisbench.report import check_scale

    return check_scale(name)


Workers = Annotated[int | None, typer.Option(help="Runs at a time.")]
LauncherName = Annotated[
    str | None,
    typer.Option(help="local or inline, as launcher=X.", autocompletion=complete_launchers),
]
Again = Annotated[
    list[str] | None,
    typer.Option(
        metavar="failed|stale|oom|ID",
        help="Run again; oom: those that ran out of memory, their batches in smaller parts.",
        autocompletion=complete_rerun,
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 3 when a claim fails.")]
Reports = Annotated[Path, typer.Option(help="Folder of the reports.")]
Probing = Annotated[bool, typer.Option("--probe", help="Try 20 steps of fits never timed.")]
ProbeLimit = Annotated[int, typer.Option(min=1, help="Kinds of fit that --probe tries at most.")]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        callback=_checked_format,
        help="terminal, md, tex, csv, html or json.",
        autocompletion=complete_formats,
    ),
]
ReportScale = Annotated[
    str,
    typer.Option(
        "--scale",
        callback=_checked_scale,
        help="auto: the largest that has records.",
        autocompletion=complete_scales,
    ),
]
StatusScale = Annotated[
    str | None,
    typer.Option(
        "--scale",
        help="smoke, small (of tables, when not given) or paper.",
        show_default=False,
        autocompletion=complete_scales,
    ),
]
Watching = Annotated[bool, typer.Option("--watch", help="Look again every second, until q.")]
ReportFolder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write files; reports/html for html.")
]


def _launcher_words(**own: Any) -> list[str]:
    name, workers = own["launcher"], own["workers"]
    words = [] if name is None else [f"launcher={name}"]
    return words if workers is None else [*words, f"launcher.workers={workers}"]


@selects(extra_words=_launcher_words)
def reproduce(
    selected: Selected,
    workers: Workers = None,
    launcher: LauncherName = None,
    rerun: Again = None,
    strict: Strict = False,
    out: Reports = Path("reports"),
    as_json: AsJson = False,
) -> None:
    """Regenerate tables: plan, run what is missing, collect, judge, render.

    For example:

      thesisbench reproduce kayhan.t2.1

      thesisbench reproduce --chapter kayhan/full_conv --scale smoke --workers 2

      thesisbench reproduce kayhan.t2.1 schedule.epochs=5   (changes the runs: not comparable)

    Finished runs are skipped and interrupted ones resume. Exit codes: 0 fine, 1 a run failed or a
    record was set aside, 2 bad input and nothing done, 3 with --strict when a claim fails, 130
    interrupted.
    """
    from thesisbench.reproduce import Request
    from thesisbench.reproduce import reproduce as go

    del workers, launcher  # they became overrides, see _launcher_words
    infrastructure = selected.infrastructure
    request = Request(selected.session, infrastructure, tuple(rerun or ()), strict, out)
    said = console(stderr=as_json)
    code = go(request, said)
    show(selected, said, as_json)
    for path in request.written:
        if path.suffix in (".md", ".html"):
            said.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def _report_scale(*, scale: str, **_: Any) -> str:
    return "small" if scale == "auto" else scale


@selects(targets_too=True, session_scale=_report_scale)
def report(
    selected: Selected,
    scale: ReportScale = "auto",
    form: Format = "terminal",
    out: ReportFolder = None,
) -> None:
    """Show tables from whatever records exist, accepted ones included.

    A table without a grid is shown with its published values only. With --out, each table is a file
    of its own; html is always written to files, with an index.html of the tables asked for.

      thesisbench report kayhan.t2.1

      thesisbench report --chapter kayhan/full_conv --format md --out reports

      thesisbench report --all --format html

      thesisbench report --thesis kayhan --format tex > tables.tex
    """
    from thesisbench.report import HTML_FOLDER, Report, print_report, write_report

    made = Report(selected.session, scale)
    if out is None and form != "html":
        print_report(made, form, console(stderr=False))
    else:
        for path in write_report(made, form, out or HTML_FOLDER, console(stderr=True)):
            print(path)
    raise typer.Exit(problems(selected))


@selects(extra_words=_launcher_words, targets_too=True)
def plan(
    selected: Selected,
    workers: Workers = None,
    launcher: LauncherName = None,
    probe: Probing = False,
    probe_limit: ProbeLimit = 12,
    as_json: AsJson = False,
) -> None:
    """Say which runs tables need, which are done, and what the others will take, and why.

    Estimates rest on runs that are done, here or in the accepted results. Without any, --probe
    makes 20 training steps of each kind of fit; what it measured is kept in the runs folder.

      thesisbench plan kayhan.t3.1 --scale paper

      thesisbench plan --thesis kayhan --workers 2 --probe
    """
    from thesisbench.planning.command import show_plan

    del workers, launcher  # they became overrides, see _launcher_words
    limit = probe_limit if probe else 0
    told = show_plan(selected, limit, console(stderr=as_json), as_json=as_json)
    if told is not None:
        put(told)
    raise typer.Exit(problems(selected))


def _status_scale(*, scale: str | None, **_: Any) -> str:
    return "small" if scale is None else scale


@selects(session_scale=_status_scale, tables_optional=True)
def status(
    selected: Selected | None,
    scale: StatusScale = None,
    watch: Watching = False,
    as_json: AsJson = False,
) -> None:
    """Say how far tables are, or all runs of the runs folder where no table is named.

    Cells that are done; runs that go on, with what they still need; runs that failed, with the end
    of their log and the command that tries them again. It only reads the runs folder, so it can
    look at a sweep on another machine that shares the disk. --watch goes on until q or Ctrl-C.

      thesisbench status

      thesisbench status kayhan.t2.1 --scale paper --watch
    """
    from thesisbench.status.command import show_status

    session = selected.session if selected else None
    said = console(stderr=False)
    raise typer.Exit(show_status(session, scale, said, as_json=as_json, watch=watch))


@selects()
def accept(selected: Selected) -> None:
    """Keep the records of tables, and what their claims came to, in the chapter's results.

    Refuses records made from a dirty tree, overrides that change runs, and missing replicates.
    """
    from thesisbench.tables.accept import accept as keep

    written = keep(selected.session)
    for path in written:
        print(f"wrote {path}")
    if not written:
        print("nothing has changed since these records were accepted")
    raise typer.Exit(problems(selected))
