"""Finds a run by its id, the beginning of it, or its folder: in the runs folder, else accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from thesisbench.browse.library import Library
from thesisbench.errors import SpecError, UserError
from thesisbench.store.files import plain_errors
from thesisbench.store.folder import RunFolder
from thesisbench.store.runs import RunStore
from thesisbench.tables.accepted import CLAIMS_FILE, AcceptedTable, read_accepted
from thesisbench.tables.model import SCALES

LEAST = 4  # hex digits that name a run
LISTED = 6
_HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True)
class FoundRun:
    """A run and where it is.

    Attributes:
        id: of the run. store: the runs folder that holds it, None where only a record is kept.
        accepted: the tables, with scale, whose accepted records it is among.
    """

    id: str
    store: RunStore | None
    accepted: tuple[AcceptedTable, ...] = ()


class _Ids(msgspec.Struct):
    runs: dict[str, msgspec.Raw]


_decoder = msgspec.json.Decoder(_Ids)


def find_run(library: Library, name: str) -> FoundRun | None:
    """The run a name stands for; None when it stands for none.

    Raises:
        UserError: it stands for several.
    """
    if folder := _folder(name):
        return FoundRun(folder.id, RunStore(folder.path.parent), tuple(_tables(library, folder.id)))
    if len(name) < LEAST or not _HEX.fullmatch(name):
        return None
    stored = _beginning(library.store, name)
    kept = {i for _, ids in _files(library) for i in ids if i.startswith(name)}
    found = sorted({*stored, *kept})
    if len(found) > 1:
        more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
        raise UserError(
            f"{len(found)} runs begin with {name!r}: {', '.join(found[:LISTED])}{more}; "
            "give more digits"
        )
    if not found:
        return None
    (run_id,) = found
    store = library.store if stored else None
    return FoundRun(run_id, store, tuple(_tables(library, run_id)))


def _folder(name: str) -> RunFolder | None:
    """The run folder at a path, or around it; a bare word is no path."""
    path = Path(name)
    if len(path.parts) < 2 or not path.exists():
        return None
    places = (path, *path.resolve().parents)
    return next((RunFolder(p.resolve()) for p in places if RunFolder(p).exists()), None)


def _beginning(store: RunStore, name: str) -> list[str]:
    with plain_errors("read", store.root):
        paths = list(store.root.glob(f"{name}*"))
    return [path.name for path in paths if RunFolder(path).exists()]


def _tables(library: Library, run_id: str) -> Iterator[AcceptedTable]:
    for path, ids in _files(library):
        if run_id in ids:
            yield read_accepted(path)


def _files(library: Library) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each file of accepted records, and the ids of its runs."""
    for folder in library.catalog.folders.values():
        for scale in SCALES:
            for path in sorted(folder.results(scale).glob("*.json")):
                if path.name != CLAIMS_FILE:
                    yield path, _ids(path)


def _ids(path: Path) -> dict[str, Any]:
    with plain_errors("read", path):
        text = path.read_bytes()
    try:
        return dict(_decoder.decode(text).runs)
    except msgspec.MsgspecError as error:
        raise SpecError(f"{path}: is no file of accepted records ({error})") from None
