"""Pictures on the page of a table: those kept beside accepted results, and those that runs left.

A run leaves `pictures/*.png` in its folder (`thesisbench.pictures`). Of each row the first seed is
shown, and pictures of one name stand side by side, so that rows can be compared; one that is the
same in several rows is shown once. The file holds them whole, hence few and small ones.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thesisbench.tables.session import Session

MOST = 40  # pictures of runs on a page
MOST_BYTES = 400_000  # of one of them; larger files are left out
RUN_PICTURES = "pictures"
_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Picture:
    """A picture: its caption, and the file as a data URI."""

    caption: str
    uri: str


def pictures_of(session: Session, table_id: str) -> list[Picture]:
    """Pictures beside the accepted results of a table at the session's scale, then those of runs.

    Args:
        session: that has the table.
        table_id: of the table.
    """
    folder = session.catalog.tables[table_id]
    place = folder.results(session.scale) / session.catalog.table(table_id).key
    kept = [_picture(p, p.stem) for p in sorted(place.glob("*")) if p.suffix.lower() in _TYPES]
    return [*kept, *islice(_of_runs(session, table_id), MOST)]


def _of_runs(session: Session, table_id: str) -> Iterator[Picture]:
    """Pictures of the first seed's run of each row, by name and then in the order of the rows."""
    rows = session.catalog.table(table_id).rows
    found: dict[str, dict[bytes, list[tuple[str, Path]]]] = defaultdict(dict)
    for row, path in _paths(session, table_id):
        found[path.stem].setdefault(path.read_bytes(), []).append((row, path))
    for name in sorted(found):
        for same in found[name].values():
            row, path = same[0]
            shared = len({r for r, _ in same}) > 1
            yield _picture(path, name if shared else f"{rows[row].label}: {name}")


def _paths(session: Session, table_id: str) -> Iterator[tuple[str, Path]]:
    """Row and picture, each picture once."""
    table = session.catalog.table(table_id)
    seen: set[Path] = set()
    for row, column in ((r, c) for r in table.rows for c in table.columns):
        cell = session.plan.cells.get((table_id, row, column))
        for run_id in next(iter(cell.runs.values()), ()) if cell is not None else ():
            for path in _files(session.store.root / run_id / RUN_PICTURES):
                if path not in seen:
                    seen.add(path)
                    yield row, path


def _files(folder: Path) -> list[Path]:
    """PNG files of a run, by name; what is no small plain file is left out."""
    found = (p for p in sorted(folder.glob("*.png")) if p.is_file() and not p.is_symlink())
    return [p for p in found if p.stat().st_size <= MOST_BYTES]


def _picture(path: Path, caption: str) -> Picture:
    data = base64.b64encode(path.read_bytes()).decode()
    uri = f"data:{_TYPES[path.suffix.lower()]};base64,{data}"
    return Picture(caption.replace("_", " "), uri)
