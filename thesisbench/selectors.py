"""The options by which every command selects tables, written once.

`@selects()` gives a command the parameters below and hands it what they select.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thesisbench.completion import (
    complete_chapters,
    complete_scales,
    complete_table_words,
    complete_theses,
)

if TYPE_CHECKING:
    from thesisbench.tables.session import Session

Option, Argument = typer.Option, typer.Argument

_words = Argument(
    help="Table ids, and overrides such as schedule.epochs=5.",
    show_default=False,
    autocompletion=complete_table_words,
)
_spec_dir = Option("--spec-dir", metavar="DIR", help="Your chapters: DIR/<thesis>/<chapter>/.")
_config_dir = Option("--config-dir", metavar="DIR", help="Your own config groups.")
_targets = Option("--allow-targets", metavar="PKG", help="Package that configs may call into.")
_chapter = Option(
    "--chapter",
    metavar="SLUG",
    help="A whole chapter, such as kayhan/full_conv.",
    autocompletion=complete_chapters,
)
_thesis = Option("--thesis", help="A whole thesis.", autocompletion=complete_theses)
_scale = Option("--scale", help="smoke, small or paper.", autocompletion=complete_scales)
_seeds = Option("--seeds", metavar="LIST", help="Instead of the spec's seeds: 0,1,2 or 0-4.")
_look = Option("--second-look", help="Twice the seeds, for claims that declare two looks.")

Words = Annotated[list[str] | None, _words]
SpecDirs = Annotated[list[str] | None, _spec_dir]
ConfigDirs = Annotated[list[str] | None, _config_dir]
Targets = Annotated[list[str] | None, _targets]
AsJson = Annotated[bool, Option("--json", help="For machines, on standard output.")]

_SHARED: dict[str, tuple[Any, Any]] = {
    "words": (Words, None),
    "chapter": (Annotated[str | None, _chapter], None),
    "thesis": (Annotated[str | None, _thesis], None),
    "every": (Annotated[bool, Option("--all", help="All tables.")], False),
    "scale": (Annotated[str, _scale], "small"),
    "seeds": (Annotated[str | None, _seeds], None),
    "second_look": (Annotated[bool, _look], False),
    "spec_dir": (SpecDirs, None),
    "config_dir": (ConfigDirs, None),
    "allow_targets": (Targets, None),
}


@dataclass(frozen=True)
class Selected:
    """What a command line selects.

    Attributes:
        session: tables, scale, overrides and seeds. infrastructure: launcher and logger nodes.
        named: tables given by their ids.
    """

    session: Session
    infrastructure: dict[str, Any]
    named: tuple[str, ...] = ()


def selects(
    *,
    extra_words: Callable[..., list[str]] | None = None,
    targets_too: bool = False,
    session_scale: Callable[..., str] | None = None,
    tables_optional: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the shared parameters; it receives a `Selected` as its first argument.

    Args:
        extra_words: words that its own arguments stand for: `--launcher X` is `launcher=X`.
        targets_too: it is also given the tables that have targets only.
        session_scale: for a command with a `scale` of its own, the scale its session is to have;
            like `extra_words` a function of the command's own arguments.
        tables_optional: it gets None where nothing is selected.
    """

    def give(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

        @functools.wraps(command)
        def wrapper(**arguments: Any) -> None:
            mine = {p.name: arguments.pop(p.name) for p in own}
            words = arguments.pop("words") or []
            words = [*words, *(extra_words(**mine) if extra_words else ())]
            if tables_optional and not words and not any(arguments.values()):
                command(None, **mine)
                return
            if session_scale:
                arguments["scale"] = session_scale(**mine)
            command(select(words, targets_too=targets_too, **arguments), **mine)

        parameters = _with_shared(own)
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapper

    return give


def _with_shared(own: list[inspect.Parameter]) -> list[inspect.Parameter]:
    """The shared parameters, but for those a command has of its own, and its own."""
    kind = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, (annotation, default) in _SHARED.items()
        if name not in {p.name for p in own}
    ]
    return [*shared, *(p.replace(kind=kind) for p in own)]


def select(words: list[str], **options: Any) -> Selected:
    """The session that words and options select.

    Raises:
        UserError: bad input of any kind; nothing has been done.
    """
    from thesisbench.selection import is_override, make_session

    allow(options["allow_targets"])
    session, infrastructure = make_session(
        words,
        {name: options[name] for name in ("chapter", "thesis", "every")},
        scale=options["scale"],
        seeds=options["seeds"],
        second_look=options["second_look"],
        spec_dirs=options["spec_dir"] or (),
        config_dirs=tuple(options["config_dir"] or ()),
        targets_too=options["targets_too"],
    )
    return Selected(session, infrastructure, tuple(w for w in words if not is_override(w)))


def allow(packages: list[str] | None) -> None:
    """Lets configurations call into packages, here and in the runs that are started from here."""
    from thesisbench.instantiate import ALLOW_VARIABLE

    if packages:
        before = os.environ.get(ALLOW_VARIABLE, "")
        os.environ[ALLOW_VARIABLE] = ",".join([*filter(None, [before]), *packages])
