"""The console command `thesisbench`.

Nothing heavy is imported before a subcommand needs it: `list` must not wait for torch.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from thesisbench.browse import command as browse
from thesisbench.completion import (
    VARIABLE,
    answer,
    complete_formats,
    complete_launchers,
    complete_overrides,
    complete_rerun,
    complete_runs,
    complete_scales,
)
from thesisbench.errors import UserError, nearest
from thesisbench.selectors import AsJson, ConfigDirs, Selected, Targets, allow, selects

BAD_INPUT, INTERRUPTED = 2, 130
_LONG = re.compile(r"(\S{100})\S{400,}")  # a word that hides what is said about it
UsageError: Any = typer.BadParameter.__base__  # typer brings its own copy of click

app = typer.Typer(
    name="thesisbench",
    help="Regenerates the tables of five computer-vision theses beside the published values.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    typer.Option(metavar="failed|stale|ID", help="Run again.", autocompletion=complete_rerun),
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
ReportFolder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write files; reports/html for html.")
]
RunPlace = Annotated[
    str,
    typer.Argument(help="Run id, run folder or weights file.", autocompletion=complete_runs),
]
EvalWords = Annotated[
    list[str] | None,
    typer.Argument(
        help="experiment=RECIPE and overrides; none repeats an evaluation run.",
        autocompletion=complete_overrides,
    ),
]


def _launcher_words(**own: Any) -> list[str]:
    name, workers = own["launcher"], own["workers"]
    words = [] if name is None else [f"launcher={name}"]
    return words if workers is None else [*words, f"launcher.workers={workers}"]


def _reproduce(
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
    from thesisbench.reproduce import Request, reproduce

    del workers, launcher  # they became overrides, see _launcher_words
    infrastructure = selected.infrastructure
    request = Request(selected.session, infrastructure, tuple(rerun or ()), strict, out)
    console = _console(stderr=as_json)
    code = reproduce(request, console)
    _show(selected, console, as_json)
    for path in request.written:
        if path.suffix in (".md", ".html"):
            console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


_reproduce.extra_words = _launcher_words  # type: ignore[attr-defined]
app.command("reproduce")(selects(_reproduce))


def _report(
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
        print_report(made, form, _console(stderr=False))
    else:
        for path in write_report(made, form, out or HTML_FOLDER, _console(stderr=True)):
            print(path)
    raise typer.Exit(_problems(selected))


def _report_scale(*, scale: str, **_: Any) -> str:
    return "small" if scale == "auto" else scale


_report.targets_too = True  # type: ignore[attr-defined]
_report.session_scale = _report_scale  # type: ignore[attr-defined]
app.command("report")(selects(_report))


def _plan(
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
    report = show_plan(selected, limit, _console(stderr=as_json), as_json=as_json)
    if report is not None:
        _put(report)
    raise typer.Exit(_problems(selected))


_plan.extra_words = _launcher_words  # type: ignore[attr-defined]
_plan.targets_too = True  # type: ignore[attr-defined]
app.command("plan")(selects(_plan))


@app.command()
@selects
def status(selected: Selected, as_json: AsJson = False) -> None:
    """Say how far tables are: runs done, running, failed, interrupted, stale."""
    from thesisbench.overview import print_status, status_json

    if as_json:
        _put(status_json(selected.session))
    else:
        print_status(selected.session, _console(stderr=False))
    raise typer.Exit(_problems(selected))


@app.command()
@selects
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
    raise typer.Exit(_problems(selected))


app.command("list")(browse.list_)
app.command("search")(browse.search)
app.command("show")(browse.show)

_PASS_ON = {"ignore_unknown_options": True}
TrainWords = Annotated[list[str] | None, typer.Argument(autocompletion=complete_overrides)]


@app.command(context_settings=_PASS_ON, add_help_option=False)
def train(overrides: TrainWords = None) -> None:
    """Run one recipe, or a sweep of it: plain Hydra, with our run folders and records.

    For example:

      thesisbench train experiment=kayhan/full_conv/red_green border=full seed=1,2 -m

      thesisbench train experiment=kayhan/full_conv/red_green --cfg job

      thesisbench train experiment=kayhan/full_conv/red_green debug=one_batch
    """
    from thesisbench.train import train as go

    raise typer.Exit(go(overrides or [], _console(stderr=False)))


@app.command()
def evaluate(
    run: RunPlace,
    overrides: EvalWords = None,
    config_dir: ConfigDirs = None,
    allow_targets: Targets = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a fit without training it again, or repeat an evaluation and compare.

    Example: thesisbench evaluate 3f0c51d2a4b6e789 experiment=kayhan/full_conv/red_green_test
    """
    from thesisbench.evaluate import evaluate as go

    allow(allow_targets)
    result, code = go(run, overrides or [], tuple(config_dir or ()))
    if as_json:
        _put(result)
    else:
        for name, value in result.items():
            print(f"{name}: {value}")
    raise typer.Exit(code)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Look whether this machine can do the work: a line a check, and what to do.

    Exit code 1 when something is missing without which nothing can be run. No key is shown.
    """
    from thesisbench.doctor import command

    checks = list(command.all_checks())
    if as_json:
        _put(command.as_json(checks))
    else:
        command.print_checks(checks, _console(stderr=False))
    raise typer.Exit(command.exit_code(checks))


@app.command(hidden=True)
def run(folder: Path) -> None:
    """Execute one run folder; what launchers call."""
    from thesisbench.run import run_folder

    if not (folder / "config.yaml").exists():
        raise UserError(f"{folder} is no run folder: it has no config.yaml")
    raise typer.Exit(run_folder(folder))


def _show(selected: Selected, console: Any, as_json: bool) -> None:
    session = selected.session
    if as_json:
        from thesisbench.tables.render.as_json import table_json

        _put({"tables": [table_json(session, table) for table in session.tables]})
        return
    from thesisbench.tables.render.terminal import render_terminal

    for table in session.tables:
        render_terminal(session, table, console)


def _problems(selected: Selected) -> int:
    for problem in selected.session.store.problems:
        print(problem, file=sys.stderr)
    return 1 if selected.session.store.problems else 0


def _put(data: Any) -> None:
    from thesisbench.store.files import format_json

    sys.stdout.write(format_json(data))


def _console(*, stderr: bool) -> Any:
    from rich.console import Console

    return Console(stderr=stderr)


def main() -> None:
    """Entry point: one clear line for bad input, 130 for an interrupt, a traceback for neither."""
    if VARIABLE in os.environ:
        answer(app)
        return
    signal.signal(signal.SIGTERM, _interrupt)
    code: Any = 0
    try:
        code = app(standalone_mode=False)
    except UserError as error:
        _fail(str(error), error.code)
    except UsageError as error:
        _fail(_usage(error), BAD_INPUT)
    except typer.Exit as error:
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os._exit(0)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        _fail(f"{error.strerror}: {error.filename}", BAD_INPUT)
    if code == INTERRUPTED:  # typer makes that of an interrupt
        text = "interrupted; what is finished is kept, and the same command goes on"
        _fail(f"{text}: {shlex.join(['thesisbench', *sys.argv[1:]])}", INTERRUPTED)
    raise SystemExit(code if isinstance(code, int) else 0)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _usage(error: Any) -> str:
    context = error.ctx
    where = f"; see {context.command_path} --help" if context is not None else ""
    text = error.format_message().rstrip(".")
    if (value := _given(error)) is not None:
        text = text.replace(": ", f": {value!r}: ", 1)
    name = getattr(error, "option_name", "")
    if name and context is not None:
        options = [o for p in context.command.params for o in p.opts if o.startswith("--")]
        close = nearest(name, options)
        text += f"; nearest: {', '.join(close)}" if close else ""
    elif text.startswith("No such command"):
        text += f"; valid: {', '.join(sorted(c for c in context.command.commands if c != 'run'))}"
    return f"{text}{where}"


def _given(error: Any) -> str | None:
    """The value of an option that could not be used; None where the message is of another kind."""
    if not isinstance(error, typer.BadParameter) or not error.param:
        return None
    for word, value in itertools.pairwise([*sys.argv[1:], ""]):
        option, equals, joined = word.partition("=")
        if option in error.param.opts:
            return joined if equals else value
    return None


def _fail(text: str, code: int) -> None:
    line = _LONG.sub(r"\1...", " ".join(text.split()))
    print(f"thesisbench: {line}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
