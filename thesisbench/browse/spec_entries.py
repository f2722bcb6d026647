"""Listings made from specs and accepted results: theses, chapters, tables, claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from thesisbench.browse.entry import Entry, one_line, thesis_of
from thesisbench.browse.library import Library, values_of
from thesisbench.tables.accepted_claims import AcceptedClaim
from thesisbench.tables.catalog import ChapterFolder
from thesisbench.tables.claims import Claim
from thesisbench.tables.grid import has_grid
from thesisbench.tables.model import SCALES
from thesisbench.tables.spec import Table

TABLE_STATES = ("targets only", "not run", "accepted", *(f"accepted {s}" for s in SCALES))
CLAIM_STATES = ("holds", "fails", "undecided", "not tested", "not judged", "out of date")


def thesis_entries(library: Library) -> Iterator[Entry]:
    """Theses, with what they hold added up; supplements are not counted."""
    folders = library.catalog.folders
    for thesis in dict.fromkeys(map(thesis_of, folders)):
        mine = [f for slug, f in folders.items() if thesis_of(slug) == thesis]
        known = library.registry.theses.get(thesis)
        tables = [t for folder in mine for t in published(folder)]
        counts = {
            "chapters": len(mine),
            "tables": len(tables),
            "values": sum(map(values_of, tables)),
            "claims": sum(len(folder.claims) for folder in mine),
        }
        facts = {k: getattr(known, k, None) for k in ("title", "author", "school", "year", "note")}
        told = ", ".join(str(facts[k]) for k in ("author", "school", "year") if facts[k])
        last = f"{facts['title']} ({told})" if known else ""
        yield Entry(
            {"id": thesis, **counts, **facts},
            {"thesis": thesis, **{k: str(v) for k, v in counts.items()}, "title": last},
            {"thesis": [thesis], "task": {t.task for t in tables}},
        )


def chapter_entries(library: Library) -> Iterator[Entry]:
    """Chapters; supplements are not counted."""
    for slug, folder in library.catalog.folders.items():
        tables = published(folder)
        counts = {
            "tables": len(tables),
            "grids": sum(has_grid(library.catalog, library.recipes, t.id) for t in tables),
            "accepted": sum(bool(library.accepted(t.id)) for t in tables),
            "values": sum(map(values_of, tables)),
            "claims": len(folder.claims),
        }
        title = folder.chapter.title
        yield Entry(
            {"chapter": slug, "thesis": thesis_of(slug), **counts, "title": title},
            {"chapter": slug, **{k: str(v) for k, v in counts.items()}, "title": title},
            {"thesis": [thesis_of(slug)], "task": {t.task for t in tables}},
        )


def table_entries(library: Library) -> Iterator[Entry]:
    """Tables, supplements included."""
    for table in library.tables.values():
        slug, state = library.catalog.tables[table.id].slug, library.state(table.id)
        accepted = library.accepted(table.id)
        facts = {"id": table.id, "kind": table.kind, "chapter": slug, "task": table.task}
        counts = {
            "rows": len(table.rows),
            "columns": len(table.columns),
            "values": values_of(table),
        }
        short = "accepted" if accepted else state
        numbers = {k: str(v) for k, v in counts.items()}
        yield Entry(
            {**facts, **counts, "state": short, "accepted": accepted, "title": table.title},
            {**facts, **numbers, "state": state, "title": table.title},
            {
                "kind": [table.kind],
                "thesis": [table.thesis],
                "chapter": [slug],
                "task": [table.task],
                "state": [short, *(f"accepted {s}" for s in accepted)],
            },
        )


def claim_entries(library: Library) -> Iterator[Entry]:
    """Claims, with what they came to on accepted records."""
    for slug, folder in library.catalog.folders.items():
        for claim in folder.claims:
            yield _claim(library, slug, claim, library.claims(slug).get(claim.id, ()))


def claim_words(claim: Claim, kept: tuple[AcceptedClaim, ...]) -> str:
    """What a claim came to, in words: at each scale, or why nothing is known."""
    if claim.not_tested:
        return f"not tested: {one_line(claim.not_tested)}"
    return ", ".join(k.words for k in kept) or "not judged"


def claim_results(kept: tuple[AcceptedClaim, ...]) -> list[dict[str, object]]:
    """The same for machines, in short."""
    return [
        {
            "scale": k.verdict.scale,
            "result": k.verdict.result,
            "summary": k.verdict.summary,
            "out_of_date": list(k.out_of_date),
        }
        for k in kept
    ]


def published(folder: ChapterFolder) -> list[Table]:
    """The tables and figures of a chapter; supplements are ours."""
    return [table for table in folder.tables.values() if table.kind != "supplement"]


def _some(tables: Sequence[str]) -> str:
    """Two tables by name, the others as a number."""
    more = f" and {len(tables) - 2} more" if len(tables) > 2 else ""
    return f"{', '.join(tables[:2])}{more}"


def _claim(library: Library, slug: str, claim: Claim, kept: tuple[AcceptedClaim, ...]) -> Entry:
    states = {"not tested"} if claim.not_tested else {k.verdict.result for k in kept}
    states |= {"out of date"} if any(k.out_of_date for k in kept) else set()
    text, name = one_line(claim.text), f"{slug}:{claim.id}"
    reason = one_line(claim.not_tested).rstrip(".")
    tasks = {library.tables[t].task for t in claim.where if t in library.tables}
    return Entry(
        {
            "id": name,
            "chapter": slug,
            "claim": claim.id,
            "tables": list(claim.where),
            "atoms": len(claim.atoms),
            "results": claim_results(kept),
            "not_tested": one_line(claim.not_tested) or None,
            "text": text,
        },
        {
            "claim": name,
            "atoms": str(len(claim.atoms)),
            "result": "not tested" if claim.not_tested else claim_words(claim, kept),
            "tables": _some(claim.where),
            "text": f"{text} (Not tested: {reason}.)" if reason else text,
        },
        {
            "thesis": [thesis_of(slug)],
            "chapter": [slug],
            "task": tasks,
            "state": states or {"not judged"},
        },
    )
