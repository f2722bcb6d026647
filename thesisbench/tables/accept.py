"""Accepting: the records behind tables, and what their claims came to, are kept beside the specs.

Only what can be made again is kept: from a clean tree, without overrides that change a run, with
every replicate the spec declares. All is checked before anything is written.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from thesisbench.errors import CorruptFileError, SpecError, UserError
from thesisbench.store.files import plain_errors, read_json, write_text
from thesisbench.store.provenance import code_version
from thesisbench.tables.accepted import CLAIMS_FILE, FORMAT, AcceptedRecords, Packed
from thesisbench.tables.catalog import ChapterFolder
from thesisbench.tables.claim_ledger import judged_entries
from thesisbench.tables.collect import Record
from thesisbench.tables.plan import at_scale
from thesisbench.tables.session import Session

_COMPLETE = ("done", "skipped", "printed")
_AGAIN = {"failed": " --rerun failed", "stale": " --rerun stale"}


def accept(session: Session, *, out: Path | None = None) -> list[Path]:
    """Writes the records and claims of a session's tables into results/<scale>/ of their chapters.

    Args:
        session: the tables at a scale, with their records.
        out: folder that takes <thesis>/<chapter>/results/<scale>/ instead of the specs' own.

    Returns:
        The files written; one whose records or verdicts are there already is left as it is.

    Raises:
        UserError: one line on the first thing that stands in the way; nothing is written then.
        SpecError: a file of accepted results that cannot be read; nothing is written either.
    """
    _check_overrides(session)
    folders = {t: _target(session.catalog.tables[t], out) for t in session.tables}
    for table in session.tables:
        _check_seeds(session, table)
        _check_cells(session, table)
    records = {table: _records(session, table) for table in session.tables}
    texts: dict[Path, str] = {}
    for folder in dict.fromkeys(folders.values()):
        here = {t: found for t, found in records.items() if folders[t] == folder}
        texts |= _texts(session, folder, here)
    for path in texts:
        with plain_errors("make", path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def _check_overrides(session: Session) -> None:
    if session.overrides:
        raise UserError(
            f"made with overrides ({' '.join(session.overrides)}): only the runs a spec describes "
            "can be accepted; leave them out, or write them into the spec"
        )


def _target(folder: ChapterFolder, out: Path | None) -> ChapterFolder:
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


def _check_seeds(session: Session, table: str) -> None:
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


def _check_cells(session: Session, table: str) -> None:
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


def _records(session: Session, table: str) -> dict[str, Record]:
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


def _texts(
    session: Session, folder: ChapterFolder, records: Mapping[str, Mapping[str, Record]]
) -> dict[Path, str]:
    """Path -> content of the files of a chapter that change: its tables', then claims.json."""
    place, accepted = folder.results(session.scale), AcceptedRecords([folder])
    kept, texts = accepted.tables(session.scale), dict[Path, str]()
    for table, found in records.items():
        same = table in kept and list(kept[table].runs.items()) == list(found.items())
        if not same:
            path = place / f"{session.catalog.table(table).key}.json"
            texts[path] = _dump(_table_content(session, table, found))
    new = {i: record for found in records.values() for i, record in found.items()}
    judged = judged_entries(session, folder.slug, lambda i: new.get(i) or accepted.get(i))
    path = place / CLAIMS_FILE
    before = _read_entries(path)
    after = _updated(session, folder, before, judged)
    return texts if after == before else {**texts, path: _dump(after)}


def _table_content(session: Session, table: str, records: Mapping[str, Record]) -> dict[str, Any]:
    packed = Packed.of(records.items())
    return {
        "format": FORMAT,
        "table": table,
        "scale": session.scale,
        "accepted": {
            "commit": code_version()["git_commit"],
            "date": datetime.now(UTC).date().isoformat(),
        },
        "environments": {name: _ordered(v) for name, v in packed.environments.items()},
        "configs": {name: _ordered(v) for name, v in packed.configs.items()},
        "runs": {i: _ordered(record) for i, record in packed.runs.items()},
    }


def _updated(
    session: Session,
    folder: ChapterFolder,
    before: list[dict[str, Any]],
    judged: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """The entries of claims.json: new ones, and those of claims on other tables as they were."""
    entries = {e["claim"]: e for e in before} | {e["claim"]: e for e in judged}
    stated = [claim.id for claim in session.catalog.folders[folder.slug].claims]
    return [_ordered(entries[claim]) for claim in stated if claim in entries]


def _read_entries(path: Path) -> list[dict[str, Any]]:
    try:
        entries = read_json(path)
    except FileNotFoundError:
        return []
    except CorruptFileError as error:
        raise SpecError(f"{error}; restore it from version control or remove it") from None
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and "claim" in e for e in entries
    ):
        raise SpecError(f"{path}: is no list of judged claims; restore it or remove it")
    return entries


def _ordered(value: Any) -> Any:
    """The value with sorted keys, so that a file changes only where its content does."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list | tuple) else value


_dump_json = partial(json.dumps, indent=1, allow_nan=False, ensure_ascii=False)


def _dump(content: Any) -> str:
    return _dump_json(content) + "\n"


def _code(record: Record) -> Mapping[str, Any]:
    return (record.get("provenance") or {}).get("code") or {}


def _command(session: Session, table: str) -> str:
    return f"thesisbench reproduce {table} --scale {session.scale}"


def _listed(seeds: set[int]) -> str:
    return ", ".join(map(str, sorted(seeds))) or "none"
