"""What claims came to on accepted records: the entries of a chapter's claims.json.

A claim may rest on several tables. It is judged here on accepted records alone, also where one of
its tables is not being accepted, so that an entry never rests on a record that is not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from thesisbench.tables.accepted_claims import results_digest
from thesisbench.tables.claims import Claim, statement_digest
from thesisbench.tables.collect import Key, Record, Sources, collect
from thesisbench.tables.judge import judge_claim
from thesisbench.tables.model import Cell
from thesisbench.tables.plan import Plan
from thesisbench.tables.render.as_json import claim_json
from thesisbench.tables.session import Session

Lookup = Callable[[str], Record | None]


def judged_entries(
    session: Session, slug: str, records: Lookup, accepted: Collection[str]
) -> list[dict[str, Any]]:
    """Entries for the claims of a chapter that rest on one of a session's tables.

    Args:
        session: tables at a scale.
        slug: of the chapter.
        records: run id -> its record if it is accepted, or just being accepted.
        accepted: the chapter's tables that are accepted at this scale, or just being accepted;
            an entry keeps the digests of their records.
    """
    claims = [c for c in session.catalog.folders[slug].claims if set(c.where) & set(session.tables)]
    cells: dict[Key, Cell] = {}
    digests: dict[str, str] = {}
    for owner in (session, *_others(session, claims)):
        cells |= collect(owner.plan, Sources(records), owner.paper_ids) | owner.unbuilt
        for table in owner.tables:
            digests |= _digest(table, owner.plan, records) if table in accepted else {}
    return [_entry(session, claim, cells, digests) for claim in claims]


def _entry(
    session: Session, claim: Claim, cells: Mapping[Key, Cell], digests: Mapping[str, str]
) -> dict[str, Any]:
    look = 2 if session.second_look and claim.looks == 2 else 1
    verdict = judge_claim(claim, cells, scale=session.scale, look=look)
    judged_on = {table: digests[table] for table in claim.where if table in digests}
    return {**claim_json(verdict), "digests": judged_on, "stated": statement_digest(claim)}


def _others(session: Session, claims: Sequence[Claim]) -> Iterator[Session]:
    """A session, with the declared seeds, for each further table the claims rest on."""
    named = dict.fromkeys(table for claim in claims for table in claim.where)
    for table in named:
        if table in session.tables or table not in session.catalog.tables:
            continue
        yield session.of((table,), seeds=None)


def _digest(table: str, plan: Plan, records: Lookup) -> dict[str, str]:
    """Table id -> digest of the results it was judged on; nothing where none is accepted."""
    behind = [run.id for run in plan.runs.values() if table in run.tables]
    found = {i: record for i in behind if (record := records(i)) is not None}
    results = {i: record["result"] for i, record in found.items()}
    return {table: results_digest(results)} if results else {}
