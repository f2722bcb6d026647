"""The console command `thesisbench`.

Nothing heavy is imported before a subcommand needs it: `list` must not wait for torch.
"""

from __future__ import annotations

import errno
import gc
import itertools
import os
import re
import shlex
import signal
import sys
from typing import Any

import typer

from thesisbench.browse import command as browse
from thesisbench.commands import data, probe, runs, tables
from thesisbench.completion import VARIABLE, answer
from thesisbench.errors import UserError, nearest

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

app.command("reproduce")(tables.reproduce)
app.command("report")(tables.report)
app.command("plan")(tables.plan)
app.command("status")(tables.status)
app.command("accept")(tables.accept)
app.command("list")(browse.list_)
app.command("search")(browse.search)
app.command("show")(browse.show)
app.command("train", context_settings={"ignore_unknown_options": True}, add_help_option=False)(
    runs.train
)
app.command("search-hparams")(runs.search_hparams)
app.command("evaluate")(runs.evaluate)
app.command("probe")(probe.probe)
app.command("doctor")(runs.doctor)
app.add_typer(data.data, name="data")
app.add_typer(data.weights, name="weights")
app.command("run", hidden=True)(runs.run)


def main() -> None:
    """Entry point: one clear line for bad input, 130 for an interrupt, a traceback for neither."""
    if VARIABLE in os.environ:
        answer(app)
        return
    signal.signal(signal.SIGTERM, _interrupt)
    collect_garbage_rarely()
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
        exec(
            ""
        )  # CPython ends by a signal, not our code, when the last text it ran was interrupted
        text = "interrupted; what is finished is kept, and the same command goes on"
        _fail(f"{text}: {shlex.join(['thesisbench', *sys.argv[1:]])}", INTERRUPTED)
    raise SystemExit(code if isinstance(code, int) else 0)


def collect_garbage_rarely() -> None:
    """Python looks for cycles less often: with 100,000 runs in memory each look takes long."""
    gc.set_threshold(200_000, 50, 100)


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
