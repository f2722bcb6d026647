"""The console command `thesisbench`.

Nothing heavy is imported before a subcommand needs it: `list` must not wait for torch.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from thesisbench.errors import UserError, nearest, unknown
from thesisbench.selectors import AsJson, ConfigDirs, Selected, SpecDirs, Targets, allow, selects

BAD_INPUT, INTERRUPTED = 2, 130
UsageError: Any = typer.BadParameter.__base__  # typer brings its own copy of click
FORMATS = ("terminal", "md", "json")

app = typer.Typer(
    name="thesisbench",
    help="Regenerates the tables of five computer-vision theses beside the published values.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Workers = Annotated[int | None, typer.Option(help="Runs at a time.")]
LauncherName = Annotated[str | None, typer.Option(help="local or inline, as launcher=X.")]
Again = Annotated[list[str] | None, typer.Option(metavar="failed|stale|ID", help="Run again.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 3 when a claim fails.")]
Reports = Annotated[Path, typer.Option(help="Folder of the reports.")]
Format = Annotated[str, typer.Option("--format", help="terminal, md or json.")]
What = Annotated[str, typer.Argument(help="tables, chapters or claims.")]
RunPlace = Annotated[str, typer.Argument(help="Run id, run folder or weights file.")]
EvalWords = Annotated[
    list[str] | None,
    typer.Argument(help="experiment=RECIPE and overrides; none repeats an evaluation run."),
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
        if path.suffix == ".md":
            console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


_reproduce.extra_words = _launcher_words  # type: ignore[attr-defined]
app.command("reproduce")(selects(_reproduce))


@app.command()
@selects
def report(selected: Selected, form: Format = "terminal") -> None:
    """Show tables from whatever records exist, accepted ones included.

    Example: thesisbench report kayhan.t2.1 --scale paper --format md
    """
    if form not in FORMATS:
        raise UserError(unknown("format", form, FORMATS))
    if form == "md":
        from thesisbench.tables.render.markdown import render_markdown

        for table in selected.session.tables:
            print(render_markdown(selected.session, table))
    else:
        _show(selected, _console(stderr=False), form == "json")
    raise typer.Exit(_problems(selected))


@app.command()
@selects
def plan(selected: Selected, as_json: AsJson = False) -> None:
    """Say which runs tables need, what they need in turn, and which are done."""
    from thesisbench.overview import plan_json, print_plan

    if as_json:
        _put(plan_json(selected.session))
    else:
        print_plan(selected.session, _console(stderr=False))
    raise typer.Exit(_problems(selected))


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


@app.command("list")
def list_(what: What = "tables", spec_dir: SpecDirs = None, as_json: AsJson = False) -> None:
    """List what is here.

    Example: thesisbench list claims --json
    """
    from thesisbench.overview import listing, print_listing
    from thesisbench.tables.catalog import Catalog

    rows = listing(Catalog.at(spec_dir or ()), what)
    if as_json:
        _put(rows)
    else:
        print_listing(rows, _console(stderr=False))


_PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True}


@app.command(context_settings=_PASS_ON, add_help_option=False)
def train(context: typer.Context) -> None:
    """Run one recipe, or a sweep of it: plain Hydra, with our run folders and records.

    For example:

      thesisbench train experiment=kayhan/full_conv/red_green border=full seed=1,2 -m

      thesisbench train experiment=kayhan/full_conv/red_green --cfg job

      thesisbench train experiment=kayhan/full_conv/red_green debug=one_batch
    """
    from thesisbench.train import train as go

    raise typer.Exit(go(context.args, _console(stderr=False)))


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
    name = getattr(error, "option_name", "")
    if name and context is not None:
        options = [o for p in context.command.params for o in p.opts if o.startswith("--")]
        close = nearest(name, options)
        text += f"; nearest: {', '.join(close)}" if close else ""
    elif text.startswith("No such command"):
        text += f"; valid: {', '.join(sorted(c for c in context.command.commands if c != 'run'))}"
    return f"{text}{where}"


def _fail(text: str, code: int) -> None:
    print(f"thesisbench: {' '.join(text.split())}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
