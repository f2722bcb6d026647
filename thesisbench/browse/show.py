"""`thesisbench show NAME`: finds out what a name stands for, and shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from thesisbench.browse.entry import counted, thesis_of
from thesisbench.browse.find_run import LEAST, find_run
from thesisbench.browse.library import Library
from thesisbench.browse.print_table import print_table
from thesisbench.browse.show_claim import claim_data, print_claim
from thesisbench.browse.show_run import print_run, run_data
from thesisbench.browse.show_table import table_data
from thesisbench.errors import UserError, unknown

if TYPE_CHECKING:
    from rich.console import Console

_FEW_HEX = re.compile(rf"[0-9a-f]{{1,{LEAST - 1}}}")


@dataclass(frozen=True)
class Shown:
    """Something to show: for machines, and how it is printed for people."""

    data: dict[str, Any]
    print: Callable[[Console], None]


def show(library: Library, name: str, chapter: str | None = None) -> Shown:
    """What a name stands for: a table, a claim or a run.

    Args:
        library: where they are.
        name: table id, claim (`kayhan/full_conv:C2`), run id, the beginning of one, or a folder.
        chapter: slug; the name is then one of its claims.

    Raises:
        UserError: it stands for nothing, or for several things.
    """
    if chapter is not None:
        return _claim(library, chapter, name)
    if name in library.tables:
        data = table_data(library, name)
        return Shown(data, lambda console: print_table(library, name, data, console))
    slug, colon, claim = name.rpartition(":")
    if colon and slug in library.catalog.folders:
        return _claim(library, slug, claim)
    if found := find_run(library, name):
        run = run_data(library, found)
        return Shown(run, partial(print_run, run))
    raise UserError(_nothing(library, name))


def _claim(library: Library, slug: str, name: str) -> Shown:
    if slug not in library.catalog.folders:
        raise UserError(unknown("chapter", slug, library.catalog.folders))
    names = [claim.id for claim in library.catalog.folders[slug].claims]
    if name not in names:
        raise UserError(unknown(f"claim of {slug}", name, names))
    data = claim_data(library, slug, name)
    return Shown(data, lambda console: print_claim(library, slug, name, data, console))


def _nothing(library: Library, name: str) -> str:
    """One line on a name that stands for nothing."""
    folders = library.catalog.folders
    claims = [f"{slug}:{c.id}" for slug, folder in folders.items() for c in folder.claims]
    alike = [claim for claim in claims if claim.endswith(f":{name}")]
    if alike:
        return f"{name} is a claim of {counted(len(alike), 'chapter')}: say which, as in {alike[0]}"
    if name in folders:
        return f"{name} is a chapter; see `thesisbench list tables --chapter {name}`"
    if name in map(thesis_of, folders):
        return f"{name} is a thesis; see `thesisbench list tables --thesis {name}`"
    if _FEW_HEX.fullmatch(name):
        return f"{name!r} is too short for a run: give {LEAST} hex digits or more"
    return unknown(
        "table, claim or run", name, [*library.tables, *claims], "see `thesisbench list`"
    )
