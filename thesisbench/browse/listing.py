"""`thesisbench list`: what can be listed, by which filters, and how it is shown."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thesisbench.browse import part_entries, spec_entries
from thesisbench.browse.entry import Entry, thesis_of
from thesisbench.browse.library import Library
from thesisbench.errors import UserError, unknown

if TYPE_CHECKING:
    from rich.console import Console

GAP = "  "
LAST = 36  # columns of text that the last column must have, else it goes on a line of its own


@dataclass(frozen=True)
class Listing:
    """Something that can be listed.

    Attributes:
        entries: makes all of them. filters: those it can be narrowed by. states: valid ones.
    """

    entries: Callable[[Library], Iterable[Entry]]
    filters: tuple[str, ...] = ()
    states: tuple[str, ...] = ()


LISTINGS = {
    "theses": Listing(spec_entries.thesis_entries, ("thesis", "task")),
    "chapters": Listing(spec_entries.chapter_entries, ("thesis", "task")),
    "tables": Listing(
        spec_entries.table_entries,
        ("thesis", "chapter", "task", "state"),
        spec_entries.TABLE_STATES,
    ),
    "claims": Listing(
        spec_entries.claim_entries,
        ("thesis", "chapter", "task", "state"),
        spec_entries.CLAIM_STATES,
    ),
    "variants": Listing(part_entries.variant_entries),
    "backbones": Listing(part_entries.backbone_entries),
    "datasets": Listing(
        part_entries.dataset_entries, ("thesis", "task", "state"), part_entries.DATASET_STATES
    ),
    "runs": Listing(
        part_entries.run_entries,
        ("thesis", "chapter", "task", "state"),
        part_entries.RUN_STATES,
    ),
}


def list_entries(
    library: Library, what: str, chosen: Mapping[str, str | None], *, supplements: bool = False
) -> list[Entry]:
    """The entries of a listing.

    Args:
        library: where they are.
        what: a key of `LISTINGS`.
        chosen: filter -> value, None for no filter.
        supplements: tables of ours too.

    Raises:
        UserError: an unknown listing or value, or a filter the listing cannot be narrowed by.
    """
    if what not in LISTINGS:
        raise UserError(unknown("list", what, LISTINGS))
    listing = LISTINGS[what]
    wanted = {
        name: _checked(library, what, name, value)
        for name, value in chosen.items()
        if value is not None
    }
    return [
        entry
        for entry in listing.entries(library)
        if all(value in entry.facets.get(name, ()) for name, value in wanted.items())
        and (supplements or "supplement" not in entry.facets.get("kind", ()))
    ]


def nothing(what: str, chosen: Mapping[str, str | None], library: Library) -> str:
    """One line for an empty listing."""
    filters = " ".join(f"--{name} {value!r}" for name, value in chosen.items() if value)
    if filters:
        return f"no {what} with {filters}"
    return f"no runs in {library.store.root}" if what == "runs" else f"no {what} here"


def print_entries(entries: Sequence[Entry], console: Console) -> None:
    """Entries in columns; where the last one has no room, it goes on a line of its own.

    What is not a terminal gets one line an entry, however long.
    """
    from rich.text import Text

    names = list(entries[0].shown)
    rows = [dict(zip(names, names, strict=True)), *(entry.shown for entry in entries)]
    widths = {name: max(len(row[name]) for row in rows) for name in names[:-1]}
    used = sum(widths.values()) + len(GAP) * len(widths)
    for number, row in enumerate(rows):
        head = GAP.join(row[name].ljust(widths[name]) for name in names[:-1])
        lines = [f"{head}{GAP}{row[names[-1]]}".rstrip()]
        if console.is_terminal:
            lines = _fitted(head, row[names[-1]], console.width, used)
        for line in lines:
            console.print(Text(line, style="bold" if number == 0 else ""), soft_wrap=True)


def _fitted(head: str, last: str, width: int, used: int) -> list[str]:
    """The lines of an entry in a window of some width, of which the first columns use a part."""
    beside = width - used >= LAST
    indent = used if beside else 4
    wrapped = textwrap.wrap(last, max(width - indent, 20)) or [""]
    if beside:
        first = f"{head}{GAP}{wrapped[0]}".rstrip()
        return [first, *(" " * indent + line for line in wrapped[1:])]
    return [head.rstrip(), *(" " * indent + line for line in wrapped if line)]


def _checked(library: Library, what: str, name: str, value: str) -> str:
    """A filter's value as entries say it.

    Raises:
        UserError: the listing has no such filter, or no entry can have the value.
    """
    listing = LISTINGS[what]
    if name not in listing.filters:
        taken = ", ".join(f"--{f}" for f in listing.filters) or "no filter"
        raise UserError(f"--{name}: `list {what}` takes {taken}")
    slugs = library.catalog.folders
    valid: Mapping[str, Callable[[], Iterable[str]]] = {
        "thesis": lambda: {thesis_of(slug) for slug in slugs},
        "chapter": lambda: slugs,
        "task": lambda: {table.task for table in library.tables.values()},
        "state": lambda: listing.states,
    }
    word = value.replace("-", " ").lower() if name == "state" else value
    choices = set(valid[name]())
    if word not in choices:
        raise UserError(unknown(name, value, choices))
    return word
