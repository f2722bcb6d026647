"""The commands `list`, `search` and `show`; they read, and start no run.

Nothing heavy is imported here: these commands must not wait for torch or Hydra.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thesisbench.completion import (
    complete_chapters,
    complete_listed,
    complete_shown,
    complete_theses,
)
from thesisbench.selectors import AsJson, ConfigDirs, SpecDirs

if TYPE_CHECKING:
    from thesisbench.browse.library import Library

_LISTED = "theses, chapters, tables, claims, variants, datasets, backbones or runs."
What = Annotated[str, typer.Argument(help=_LISTED, autocompletion=complete_listed)]
Thesis = Annotated[
    str | None,
    typer.Option("--thesis", help="Of one thesis.", autocompletion=complete_theses),
]
_OF_CHAPTER = typer.Option(
    "--chapter", metavar="SLUG", help="Of one chapter.", autocompletion=complete_chapters
)
Chapter = Annotated[str | None, _OF_CHAPTER]
Task = Annotated[str | None, typer.Option("--task", help="Of one task, such as detection.")]
State = Annotated[
    str | None, typer.Option("--state", help="In one state, such as 'not run', accepted, holds.")
]
Every = Annotated[bool, typer.Option("--all", help="Supplements too: tables of ours.")]
Words = Annotated[list[str], typer.Argument(help="All of them must be found.")]
_NAMED = typer.Argument(
    help="Table id, claim, run id or run folder.", autocompletion=complete_shown
)
Name = Annotated[str, _NAMED]
ClaimOf = Annotated[
    str | None, typer.Option("--chapter", metavar="SLUG", help="The chapter of a claim.")
]


def list_(
    what: What = "tables",
    thesis: Thesis = None,
    chapter: Chapter = None,
    task: Task = None,
    state: State = None,
    every: Every = False,
    spec_dir: SpecDirs = None,
    config_dir: ConfigDirs = None,
    as_json: AsJson = False,
) -> None:
    """List what is here.

    For example:

      thesisbench list

      thesisbench list tables --thesis kayhan --state 'not run'

      thesisbench list claims --state fails --json

    A table is "targets only" while how to run it is not built, "not run"
    while no results are accepted, else "accepted". What claims came to is
    read from accepted results, never judged here.
    """
    from thesisbench.browse.listing import list_entries, nothing, print_entries

    library = _library(spec_dir, config_dir)
    chosen = {"thesis": thesis, "chapter": chapter, "task": task, "state": state}
    entries = list_entries(library, what, chosen, supplements=every)
    if as_json:
        _put([entry.data for entry in entries])
    elif entries:
        print_entries(entries, _console())
    else:
        print(nothing(what, chosen, library))
    raise typer.Exit(_problems(library))


def search(
    words: Words,
    thesis: Thesis = None,
    spec_dir: SpecDirs = None,
    config_dir: ConfigDirs = None,
    as_json: AsJson = False,
) -> None:
    """Search tables, claims, chapters, data sets and options for words.

    Every word must begin a word of the text; case and accents do not matter.
    The best hits come first: a word in an id or title counts more than one
    in a label, and that more than one in a text. Where nothing is found, the
    nearest words are shown, and the exit code is still 0.

    Example: thesisbench search border padding --thesis kayhan
    """
    from thesisbench.browse.documents import documents
    from thesisbench.browse.search import nothing_found, print_hits
    from thesisbench.browse.search import search as look_for

    library = _library(spec_dir, config_dir)
    found = documents(library, thesis)
    hits = look_for(found, words)
    if as_json:
        _put([hit.as_json() for hit in hits])
    elif hits:
        print_hits(hits, _console())
    else:
        print(nothing_found(found, words))


def show(
    name: Name,
    chapter: ClaimOf = None,
    spec_dir: SpecDirs = None,
    config_dir: ConfigDirs = None,
    as_json: AsJson = False,
) -> None:
    """Show a table, a claim or a run.

    For example:

      thesisbench show kayhan.t2.1

      thesisbench show kayhan/full_conv:C2     (or: show C2 --chapter kayhan/full_conv)

      thesisbench show 192be690                (the first digits of a run's id, at least 4)

    A run is looked for in the runs folder, then among accepted results.
    """
    from thesisbench.browse.show import show as find

    library = _library(spec_dir, config_dir)
    shown = find(library, name, chapter)
    if as_json:
        _put(shown.data)
    else:
        shown.print(_console())
    raise typer.Exit(_problems(library))


def _library(spec_dir: list[str] | None, config_dir: list[str] | None) -> Library:
    from thesisbench.browse.library import Library

    return Library.at(spec_dir or (), config_dir or ())


def _problems(library: Library) -> int:
    for problem in library.store.problems:
        print(problem, file=sys.stderr)
    return 1 if library.store.problems else 0


def _put(data: Any) -> None:
    from thesisbench.store.files import format_json

    sys.stdout.write(format_json(data))


def _console() -> Any:
    from rich.console import Console

    return Console()
