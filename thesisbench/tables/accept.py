"""Accepting: the records behind tables, and what their claims came to, are kept beside the specs.

Only what can be made again is kept: from a clean tree, without overrides that change a run, with
every replicate the spec declares. All is checked before anything is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from thesisbench.store.files import plain_errors, write_text
from thesisbench.store.provenance import code_version
from thesisbench.tables.acceptable import (
    check_cells,
    check_overrides,
    check_seeds,
    place_of,
    sound_records,
)
from thesisbench.tables.accepted import CLAIMS_FILE, FORMAT, AcceptedRecords, Packed
from thesisbench.tables.accepted_claims import read_entries
from thesisbench.tables.catalog import ChapterFolder
from thesisbench.tables.claim_ledger import judged_entries
from thesisbench.tables.collect import Record
from thesisbench.tables.session import Session


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
    check_overrides(session)
    folders = {t: place_of(session.catalog.tables[t], out) for t in session.tables}
    for table in session.tables:
        check_seeds(session, table)
        check_cells(session, table)
    records = {table: sound_records(session, table) for table in session.tables}
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
    judged = judged_entries(
        session, folder.slug, lambda i: new.get(i) or accepted.get(i), {*kept, *records}
    )
    path = place / CLAIMS_FILE
    before = read_entries(path)
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


def _ordered(value: Any) -> Any:
    """The value with sorted keys, so that a file changes only where its content does."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list | tuple) else value


_dump_json = partial(json.dumps, indent=1, allow_nan=False, ensure_ascii=False)


def _dump(content: Any) -> str:
    return _dump_json(content) + "\n"
