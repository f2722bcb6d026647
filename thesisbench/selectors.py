"""The options by which every command selects tables, written once.

`@selects` gives a command the parameters below and hands it what they select.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from thesisbench.tables.session import Session

Option, Argument = typer.Option, typer.Argument

_words = Argument(help="Table ids, and overrides such as schedule.epochs=5.", show_default=False)
_spec_dir = Option("--spec-dir", metavar="DIR", help="Your chapters: DIR/<thesis>/<chapter>/.")
_config_dir = Option("--config-dir", metavar="DIR", help="Your own config groups.")
_targets = Option("--allow-targets", metavar="PKG", help="Package that configs may call into.")
_chapter = Option("--chapter", metavar="SLUG", help="A whole chapter, such as kayhan/full_conv.")
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
    "thesis": (Annotated[str | None, Option("--thesis", help="A whole thesis.")], None),
    "every": (Annotated[bool, Option("--all", help="All tables.")], False),
    "scale": (Annotated[str, Option("--scale", help="smoke, small or paper.")], "small"),
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
    """

    session: Session
    infrastructure: dict[str, Any]


def selects(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the shared parameters; it receives a `Selected` as its first argument.

    Words that a command's own options stand for (`--launcher X` is `launcher=X`) are returned by
    its attribute `extra_words`, a function of its own arguments.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    kind = inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter(n, kind, default=d, annotation=a) for n, (a, d) in _SHARED.items()]

    @functools.wraps(command)
    def wrapper(**arguments: Any) -> None:
        mine = {p.name: arguments.pop(p.name) for p in own}
        extra: Callable[..., list[str]] = getattr(command, "extra_words", lambda **_: [])
        command(select([*(arguments.pop("words") or []), *extra(**mine)], **arguments), **mine)

    parameters = [*shared, *(p.replace(kind=kind) for p in own)]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def select(words: list[str], **options: Any) -> Selected:
    """The session that words and options select.

    Raises:
        UserError: bad input of any kind; nothing has been done.
    """
    from thesisbench.selection import make_session

    allow(options["allow_targets"])
    session, infrastructure = make_session(
        words,
        {name: options[name] for name in ("chapter", "thesis", "every")},
        scale=options["scale"],
        seeds=options["seeds"],
        second_look=options["second_look"],
        spec_dirs=options["spec_dir"] or (),
        config_dirs=tuple(options["config_dir"] or ()),
    )
    return Selected(session, infrastructure)


def allow(packages: list[str] | None) -> None:
    """Lets configurations call into packages, here and in the runs that are started from here."""
    from thesisbench.instantiate import ALLOW_VARIABLE

    if packages:
        before = os.environ.get(ALLOW_VARIABLE, "")
        os.environ[ALLOW_VARIABLE] = ",".join([*filter(None, [before]), *packages])
