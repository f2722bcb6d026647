"""The console command `thesisbench`.

Nothing heavy is imported before a subcommand needs it: `list` must not wait for torch.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from thesisbench.errors import UserError, nearest

if TYPE_CHECKING:
    from thesisbench.tables.session import Session

app = typer.Typer(
    name="thesisbench",
    help="Regenerates the tables of five computer-vision theses beside the published values.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
BAD_INPUT, INTERRUPTED = 2, 130
MIXED = {"allow_extra_args": True, "ignore_unknown_options": False, "allow_interspersed_args": True}

Words = Annotated[list[str] | None, typer.Argument(help="Table ids, and overrides such as schedule.epochs=5.", show_default=False)]  # fmt: skip
ChapterOption = Annotated[str | None, typer.Option("--chapter", metavar="SLUG", help="All tables of a chapter, e.g. kayhan/full_conv.")]  # fmt: skip
ThesisOption = Annotated[str | None, typer.Option("--thesis", help="All tables of a thesis.")]
AllOption = Annotated[bool, typer.Option("--all", help="All tables.")]
ScaleOption = Annotated[str, typer.Option("--scale", help="smoke, small or paper.")]
SeedsOption = Annotated[str | None, typer.Option("--seeds", metavar="LIST", help="Seeds to use instead of the spec's, e.g. 0,1,2.")]  # fmt: skip
LookOption = Annotated[bool, typer.Option("--second-look", help="Double the seeds, for claims that declare two looks.")]  # fmt: skip
SpecDirOption = Annotated[list[str] | None, typer.Option("--spec-dir", metavar="DIR", help="Folder of your own chapters: DIR/<thesis>/<chapter>/chapter.yaml.")]  # fmt: skip
ConfigDirOption = Annotated[list[str] | None, typer.Option("--config-dir", metavar="DIR", help="Folder of your own config groups.")]  # fmt: skip
TargetsOption = Annotated[list[str] | None, typer.Option("--allow-targets", metavar="PKG", help="Package that configurations may instantiate from.")]  # fmt: skip
JsonOption = Annotated[bool, typer.Option("--json", help="For machines, on standard output.")]


@app.command()
def reproduce(
    words: Words = None,
    chapter: ChapterOption = None,
    thesis: ThesisOption = None,
    every: AllOption = False,
    scale: ScaleOption = "small",
    workers: Annotated[int | None, typer.Option(help="Runs at a time.")] = None,
    launcher: Annotated[
        str | None, typer.Option(help="local or inline; the same as launcher=X.")
    ] = None,
    seeds: SeedsOption = None,
    second_look: LookOption = False,
    rerun: Annotated[
        list[str] | None, typer.Option(metavar="failed|stale|ID", help="Run these again.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 when a claim fails.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the reports.")] = Path("reports"),
    spec_dir: SpecDirOption = None,
    config_dir: ConfigDirOption = None,
    allow_targets: TargetsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Regenerate tables: plan, run what is missing, collect, judge, render.

    Examples:
      thesisbench reproduce kayhan.t2.1

      thesisbench reproduce --chapter kayhan/full_conv --scale smoke --workers 2

      thesisbench reproduce kayhan.t2.1 schedule.epochs=5   (not comparable: it changes the runs)

    Finished runs are skipped and interrupted ones resume. Exit codes: 0 fine, 1 a run failed or a
    record was set aside, 2 bad input and nothing done, 3 with --strict when a claim fails, 130
    interrupted.
    """
    from thesisbench.reproduce import Request
    from thesisbench.reproduce import reproduce as go

    if launcher is not None:
        words = [*(words or []), f"launcher={launcher}"]
    if workers is not None:
        words = [*(words or []), f"launcher.workers={workers}"]
    made = _session(
        words,
        chapter,
        thesis,
        every,
        scale,
        seeds,
        second_look,
        spec_dir,
        config_dir,
        allow_targets,
    )
    request = Request(made.session, made.infrastructure, tuple(rerun or ()), strict, out)
    console = _console(stderr=as_json)
    code = go(request, console)
    _show(made.session, console, as_json)
    for path in request.written:
        if path.suffix == ".md":
            console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


@app.command()
def report(
    words: Words = None,
    chapter: ChapterOption = None,
    thesis: ThesisOption = None,
    every: AllOption = False,
    scale: ScaleOption = "small",
    form: Annotated[str, typer.Option("--format", help="terminal, md or json.")] = "terminal",
    seeds: SeedsOption = None,
    second_look: LookOption = False,
    spec_dir: SpecDirOption = None,
    config_dir: ConfigDirOption = None,
    allow_targets: TargetsOption = None,
) -> None:
    """Show tables from whatever records exist, accepted ones included.

    Example: thesisbench report kayhan.t2.1 --scale paper --format md
    """
    from thesisbench.errors import unknown

    if form not in ("terminal", "md", "json"):
        raise UserError(unknown("format", form, ("terminal", "md", "json")))
    made = _session(
        words,
        chapter,
        thesis,
        every,
        scale,
        seeds,
        second_look,
        spec_dir,
        config_dir,
        allow_targets,
    )
    if form == "md":
        from thesisbench.tables.render.markdown import render_markdown

        for table in made.session.tables:
            print(render_markdown(made.session, table))
    else:
        _show(made.session, _console(stderr=False), form == "json")
    raise typer.Exit(_problems(made.session))


@app.command()
def plan(
    words: Words = None,
    chapter: ChapterOption = None,
    thesis: ThesisOption = None,
    every: AllOption = False,
    scale: ScaleOption = "small",
    seeds: SeedsOption = None,
    second_look: LookOption = False,
    spec_dir: SpecDirOption = None,
    config_dir: ConfigDirOption = None,
    allow_targets: TargetsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which runs tables need, what they need in turn, and which are done."""
    from thesisbench.overview import plan_json, print_plan

    made = _session(
        words,
        chapter,
        thesis,
        every,
        scale,
        seeds,
        second_look,
        spec_dir,
        config_dir,
        allow_targets,
    )
    _put(plan_json(made.session)) if as_json else print_plan(made.session, _console(stderr=False))
    raise typer.Exit(_problems(made.session))


@app.command()
def status(
    words: Words = None,
    chapter: ChapterOption = None,
    thesis: ThesisOption = None,
    every: AllOption = False,
    scale: ScaleOption = "small",
    seeds: SeedsOption = None,
    second_look: LookOption = False,
    spec_dir: SpecDirOption = None,
    config_dir: ConfigDirOption = None,
    allow_targets: TargetsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far tables are: runs done, running, failed, interrupted, stale."""
    from thesisbench.overview import print_status, status_json

    made = _session(
        words,
        chapter,
        thesis,
        every,
        scale,
        seeds,
        second_look,
        spec_dir,
        config_dir,
        allow_targets,
    )
    _put(status_json(made.session)) if as_json else print_status(
        made.session, _console(stderr=False)
    )
    raise typer.Exit(_problems(made.session))


@app.command()
def accept(
    words: Words = None,
    chapter: ChapterOption = None,
    thesis: ThesisOption = None,
    every: AllOption = False,
    scale: ScaleOption = "small",
    seeds: SeedsOption = None,
    second_look: LookOption = False,
    spec_dir: SpecDirOption = None,
    config_dir: ConfigDirOption = None,
    allow_targets: TargetsOption = None,
) -> None:
    """Keep the records of tables, and what their claims came to, in results/<scale>/ of the chapter.

    Refuses records made from a dirty tree, overrides that change runs, and missing replicates.
    """
    from thesisbench.tables.accept import accept as keep

    made = _session(
        words,
        chapter,
        thesis,
        every,
        scale,
        seeds,
        second_look,
        spec_dir,
        config_dir,
        allow_targets,
    )
    for path in keep(made.session):
        print(f"wrote {path}")
    raise typer.Exit(_problems(made.session))


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="tables, chapters or claims.")] = "tables",
    spec_dir: SpecDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is here. Example: thesisbench list claims --json"""
    from thesisbench.overview import listing, print_listing
    from thesisbench.tables.catalog import Catalog

    rows = listing(Catalog.at(spec_dir or ()), what)
    _put(rows) if as_json else print_listing(rows, _console(stderr=False))


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False)  # fmt: skip
def train(context: typer.Context) -> None:
    """Run one recipe, or a sweep of it: plain Hydra, with our run folders and records.

    Examples:
      thesisbench train experiment=kayhan/full_conv/red_green border=full seed=1,2 -m

      thesisbench train experiment=kayhan/full_conv/red_green --cfg job

      thesisbench train experiment=kayhan/full_conv/red_green debug=one_batch
    """
    from thesisbench.train import train as go

    raise typer.Exit(go(context.args, _console(stderr=False)))


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="Run id, run folder or weights file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="experiment=EVAL_RECIPE and overrides; empty repeats an evaluation run.",
            show_default=False,
        ),
    ] = None,  # fmt: skip
    config_dir: ConfigDirOption = None,
    allow_targets: TargetsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a fit without training it again, or repeat an evaluation and compare.

    Example: thesisbench evaluate 3f0c51d2a4b6e789 experiment=kayhan/full_conv/red_green_test
    """
    from thesisbench.evaluate import evaluate as go

    _allow(allow_targets)
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


class _Made:
    """A session and the infrastructure nodes that go with it."""

    def __init__(self, session: Session, infrastructure: dict[str, Any]) -> None:
        self.session, self.infrastructure = session, infrastructure


def _session(
    words: list[str] | None,
    chapter: str | None,
    thesis: str | None,
    every: bool,
    scale: str,
    seeds: str | None,
    second_look: bool,
    spec_dir: list[str] | None,
    config_dir: list[str] | None,
    allow_targets: list[str] | None,
) -> _Made:
    from thesisbench.selection import make_session

    _allow(allow_targets)
    named = {"chapter": chapter, "thesis": thesis, "every": every}
    return _Made(
        *make_session(
            words or [], named, scale=scale, seeds=seeds, second_look=second_look,
            spec_dirs=spec_dir or (), config_dirs=tuple(config_dir or ()),
        )
    )  # fmt: skip


def _allow(packages: list[str] | None) -> None:
    from thesisbench.instantiate import ALLOW_VARIABLE

    if packages:
        before = os.environ.get(ALLOW_VARIABLE, "")
        os.environ[ALLOW_VARIABLE] = ",".join([*filter(None, [before]), *packages])


def _show(session: Session, console: Any, as_json: bool) -> None:
    if as_json:
        from thesisbench.tables.render.as_json import table_json

        _put({"tables": [table_json(session, table) for table in session.tables]})
        return
    from thesisbench.tables.render.terminal import render_terminal

    for table in session.tables:
        render_terminal(session, table, console)


def _problems(session: Session) -> int:
    for problem in session.store.problems:
        print(problem, file=sys.stderr)
    return 1 if session.store.problems else 0


def _put(data: Any) -> None:
    from thesisbench.store.files import format_json

    sys.stdout.write(format_json(data))


def _console(*, stderr: bool) -> Any:
    from rich.console import Console

    return Console(stderr=stderr)


def main() -> None:
    """Entry point: one clear line for bad input, 130 for an interrupt, never a traceback for either."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app(standalone_mode=False)
    except UserError as error:
        _fail(str(error), error.code)
    except click.UsageError as error:
        _fail(_usage(error), BAD_INPUT)
    except click.exceptions.Exit as error:
        raise SystemExit(error.exit_code) from None
    except (KeyboardInterrupt, click.Abort):
        again = " ".join(["thesisbench", *sys.argv[1:]])
        _fail(
            f"interrupted; finished runs are kept, the same command goes on: {again}", INTERRUPTED
        )
    except BrokenPipeError:
        os._exit(0)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _usage(error: click.UsageError) -> str:
    context = error.ctx
    where = f"; see {context.command_path} --help" if context is not None else ""
    text = error.format_message().rstrip(".")
    if (
        isinstance(error, click.NoSuchOption)
        and error.possibilities is None
        and context is not None
    ):
        options = [o for p in context.command.params for o in p.opts if o.startswith("--")]
        close = nearest(error.option_name, options)
        text += f" (nearest: {', '.join(close)})" if close else ""
    return f"{' '.join(text.split())}{where}"


def _fail(text: str, code: int) -> None:
    print(f"thesisbench: {' '.join(text.split())}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
