"""What may be accepted: results that a clean checkout and the specs as they stand would make again.

Each check raises a UserError of one line on the first thing that stands in the way.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from thesisbench.errors import UserError
from thesisbench.tables.catalog import ChapterFolder
from thesisbench.tables.chapter import at_scale
from thesisbench.tables.collect import Record
from thesisbench.tables.session import Session

_COMPLETE = ("done", "skipped", "printed")
_AGAIN = {"failed": " --rerun failed", "stale": " --rerun stale"}


def check_overrides(session: Session) -> None:
    """No override of the user changes a run."""
    if session.overrides:
        raise UserError(
            f"made with overrides ({' '.join(session.overrides)}): only the runs a spec describes "
            "can be accepted; leave them out, or write them into the spec"
        )


def place_of(folder: ChapterFolder, out: Path | None) -> ChapterFolder:
    """The folder that is written to; refuses one that belongs to an installed package."""
    if out is not None:
        return ChapterFolder(out / folder.slug, folder.slug, shipped=False)
    path = folder.path.resolve()
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    checkout = any((parent / ".git").exists() for parent in path.parents)
    if folder.shipped and (installed or not checkout or not os.access(path, os.W_OK)):
        raise UserError(
            f"{path} belongs to an installed package: results are accepted in a checkout of the "
            "repository; clone it, install it with pip install -e, and run this there"
        )
    return folder


def check_seeds(session: Session, table: str) -> None:
    """The seeds are those of the spec, or twice as many when a second look was declared."""
    spec = session.catalog.table(table)
    declared = set(at_scale(spec.replicates.get("seed", {}), session.scale) or ())
    used = set(session.plan.seeds[table])
    if "seed" not in spec.replicates or used == declared:
        return
    claims = [c for c in session.catalog.tables[table].claims if table in c.where]
    doubled = session.seeds is None and len(used) == 2 * len(declared)
    if session.second_look and doubled and any(claim.looks == 2 for claim in claims):
        return
    raise UserError(
        f"{table}: the seeds {_listed(used)} are not those its spec declares for scale "
        f"{session.scale} ({_listed(declared)}); run and accept it without --seeds or --second-look"
    )


def check_cells(session: Session, table: str) -> None:
    """Every cell has all its replicates."""
    states = [cell.state for cell in session.cells.values() if cell.table == table]
    open_ = Counter(state for state in states if state not in _COMPLETE)
    if not open_:
        return
    counts = ", ".join(f"{n} {state}" for state, n in sorted(open_.items()))
    again = "".join(option for state, option in _AGAIN.items() if state in open_)
    raise UserError(
        f"{table}: {open_.total()} of {len(states)} cells are not complete ({counts}); complete "
        f"them with `{_command(session, table)}{again}`"
    )


def sound_records(session: Session, table: str) -> dict[str, Record]:
    """The records of all runs behind a table, in plan order, each fit to be kept."""
    ids = [run.id for run in session.plan.runs.values() if table in run.tables]
    found = {i: record for i in ids if (record := session.record(i)) is not None}
    if lost := [i for i in ids if i not in found]:
        raise UserError(
            f"{table}: {len(lost)} of {len(ids)} runs behind it have no record (first: {lost[0]}); "
            f"complete them with `{_command(session, table)}`"
        )
    problems: dict[str, Callable[[Record], bool]] = {
        "with overrides": lambda record: bool(record.get("overridden")),
        "from a dirty tree (uncommitted changes)": lambda record: bool(_code(record).get("dirty")),
        "outside a git checkout (no commit)": lambda record: not _code(record).get("git_commit"),
    }
    for how, is_so in problems.items():
        if bad := [i for i, record in found.items() if is_so(record)]:
            again = f"{_command(session, table)} {' '.join(f'--rerun {i}' for i in bad[:3])}"
            raise UserError(
                f"{table}: {len(bad)} of {len(ids)} records were made {how}, the first by run "
                f"{bad[0]}; make them again from a clean checkout: "
                f"`{again}{' ...' if len(bad) > 3 else ''}`"
            )
    return found


def _code(record: Record) -> Mapping[str, Any]:
    return (record.get("provenance") or {}).get("code") or {}


def _command(session: Session, table: str) -> str:
    look = " --second-look" if session.second_look else ""
    return f"thesisbench reproduce {table} --scale {session.scale}{look}"


def _listed(seeds: set[int]) -> str:
    return ", ".join(map(str, sorted(seeds))) or "none"
