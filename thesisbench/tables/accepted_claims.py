"""What claims came to on accepted records, read from a chapter's claims.json; nothing is judged.

An entry holds the digest of the statement and of the records it was judged on. Where one of them
no longer fits, the entry is out of date, and says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from thesisbench.errors import CorruptFileError, SpecError
from thesisbench.store.files import canonical_json, plain_errors, read_json
from thesisbench.tables.accepted import CLAIMS_FILE
from thesisbench.tables.catalog import ChapterFolder
from thesisbench.tables.claims import Claim, statement_digest
from thesisbench.tables.model import SCALES, ClaimVerdict


@dataclass(frozen=True)
class AcceptedClaim:
    """What a claim came to at a scale when its tables were accepted.

    Attributes:
        verdict: as it was judged then.
        out_of_date: what has changed since, in words; empty while the verdict stands.
    """

    verdict: ClaimVerdict
    out_of_date: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """In short: "holds (paper)", "holds (paper; out of date: records changed)"."""
        verdict = self.verdict
        some = 0 < verdict.tested < len(verdict.atoms)
        tested = f", {verdict.tested} of {len(verdict.atoms)} atoms tested" if some else ""
        late = f"; out of date: {', '.join(self.out_of_date)}" if self.out_of_date else ""
        return f"{verdict.result} ({verdict.scale}{tested}{late})"


class _Run(msgspec.Struct):
    result: Any


class _Table(msgspec.Struct):
    runs: dict[str, _Run]


_decoder = msgspec.json.Decoder(_Table)


def accepted_claims(folder: ChapterFolder) -> dict[str, tuple[AcceptedClaim, ...]]:
    """Claim id -> what it came to, one entry a scale, for the claims that still have atoms.

    Raises:
        SpecError: a file of accepted results that cannot be read.
    """
    found: dict[str, tuple[AcceptedClaim, ...]] = {}
    stated = {claim.id: claim for claim in folder.claims if claim.atoms}
    for scale in SCALES:
        place = folder.results(scale)
        entries = read_entries(place / CLAIMS_FILE)
        digests = _table_digests(folder, place) if entries else {}
        for entry in entries:
            if (claim := stated.get(entry["claim"])) is not None:
                kept = AcceptedClaim(_verdict(entry, place), _changes(claim, entry, digests))
                found[claim.id] = (*found.get(claim.id, ()), kept)
    return found


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a claims.json as they are; none when there is no such file.

    Raises:
        SpecError: it is no list of judged claims.
    """
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


def results_digest(results: Mapping[str, Any]) -> str:
    """sha256 of run id -> result, for the runs behind a table."""
    return hashlib.sha256(canonical_json(dict(results)).encode()).hexdigest()


def _table_digests(folder: ChapterFolder, place: Path) -> dict[str, str]:
    """Table id -> digest of its accepted results, for the chapter's tables that have any."""
    paths = {table.id: place / f"{table.key}.json" for table in folder.tables.values()}
    return {table: _file_digest(path) for table, path in paths.items() if path.exists()}


def _file_digest(path: Path) -> str:
    """Digest of the results in a file of accepted records; the rest of it is skipped."""
    with plain_errors("read", path):
        text = path.read_bytes()
    try:
        runs = _decoder.decode(text).runs
    except msgspec.MsgspecError as error:
        problem = f"{path}: is no file of accepted records ({error})"
        raise SpecError(f"{problem}; restore it from version control") from None
    return results_digest({i: run.result for i, run in runs.items()})


def _changes(claim: Claim, entry: Mapping[str, Any], digests: Mapping[str, str]) -> tuple[str, ...]:
    """What an entry was judged on and is no longer so."""
    here = {table: digests[table] for table in claim.where if table in digests}
    statement = entry.get("stated") != statement_digest(claim)
    records = entry.get("digests") != here
    return (
        *(["statement changed"] if statement else []),
        *(["records changed"] if records else []),
    )


def _verdict(entry: Mapping[str, Any], place: Path) -> ClaimVerdict:
    try:
        return msgspec.convert(entry, ClaimVerdict)
    except msgspec.ValidationError as error:
        raise SpecError(
            f"{place / CLAIMS_FILE}: claim {entry['claim']}: {error}; accept its tables again"
        ) from None
