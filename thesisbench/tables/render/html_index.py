"""The page that leads to the pages of tables: by thesis and chapter, with what they came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thesisbench.tables.model import SCALES
from thesisbench.tables.render.facts import table_facts
from thesisbench.tables.render.html import count_words, page

if TYPE_CHECKING:
    from thesisbench.tables.session import Session

CLAIM_WORDS = ("holds", "fails", "undecided", "not tested")


@dataclass(frozen=True)
class TableEntry:
    """A table in the index.

    Attributes:
        id, title, kind: of the table. published: number of its published values.
        state: "targets only", or how many runs are done at which scale. records: how many.
        verdicts: word -> number of cells, of a table with records.
    """

    id: str
    title: str
    kind: str
    published: int
    state: str
    records: int
    verdicts: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class ChapterEntry:
    """A chapter in the index: its tables, and how many of its claims came to what."""

    slug: str
    title: str
    tables: Sequence[TableEntry]
    claims: Mapping[str, int]

    @property
    def anchor(self) -> str:
        """Id of its heading."""
        return self.slug.replace("/", "-")

    @property
    def published(self) -> int:
        """Number of published values."""
        return sum(table.published for table in self.tables)

    @property
    def reproduced(self) -> int:
        """Number of cells that agree with their published value."""
        return sum(dict(table.verdicts).get("reproduced", 0) for table in self.tables)


@dataclass(frozen=True)
class ThesisEntry:
    """A thesis in the index."""

    name: str
    chapters: Sequence[ChapterEntry]


def render_index(sessions: Mapping[str, Session]) -> str:
    """The index page.

    Args:
        sessions: table id -> the session it is shown from, in order.
    """
    chapters: dict[str, list[str]] = {}
    for table, session in sessions.items():
        chapters.setdefault(session.catalog.tables[table].slug, []).append(table)
    entries = [_chapter(slug, tables, sessions) for slug, tables in chapters.items()]
    names = dict.fromkeys(entry.slug.split("/")[0] for entry in entries)
    theses = [
        ThesisEntry(name, [e for e in entries if e.slug.split("/")[0] == name]) for name in names
    ]
    tables = [table for entry in entries for table in entry.tables]
    return page(
        "index.html",
        theses=theses,
        tables=len(tables),
        values=sum(table.published for table in tables),
        with_records=sum(table.records > 0 for table in tables),
        claim_words=CLAIM_WORDS,
    )


def _chapter(slug: str, tables: list[str], sessions: Mapping[str, Session]) -> ChapterEntry:
    catalog = sessions[tables[0]].catalog
    ordered = {id(sessions[t]): sessions[t] for t in tables}
    results = _claims(slug, ordered.values())
    for claim in catalog.folders[slug].claims:
        if not claim.where or set(claim.where) & set(tables):
            results.setdefault(claim.id, "not tested")
    return ChapterEntry(
        slug,
        f"{slug.split('/')[0]}, chapter {catalog.table(tables[0]).chapter}: "
        f"{catalog.folders[slug].chapter.title}",
        [_table(sessions[table], table) for table in tables],
        {word: list(results.values()).count(word) for word in CLAIM_WORDS},
    )


def _claims(slug: str, sessions: Iterable[Session]) -> dict[str, str]:
    """Claim -> what it came to, at the largest scale at which it could be tested."""
    results: dict[str, str] = {}
    for session in sorted(sessions, key=lambda s: SCALES.index(s.scale)):
        for verdict in session.claims.get(slug, []):
            if verdict.result != "not tested" or verdict.claim not in results:
                results[verdict.claim] = verdict.result
    return results


def _table(session: Session, table_id: str) -> TableEntry:
    table = session.catalog.table(table_id)
    keys = [key for key in session.cells if key[0] == table_id]
    published = sum(session.cells[key].target.value is not None for key in keys)
    if table_id not in session.built:
        return TableEntry(table_id, table.title, table.kind, published, "targets only", 0, ())
    facts = table_facts(session, table_id)
    state = f"scale {facts.scale}: {facts.done} of {facts.total} runs done"
    words = count_words([session.verdicts[key].verdict for key in keys]) if facts.done else []
    return TableEntry(table_id, table.title, table.kind, published, state, facts.done, words)
