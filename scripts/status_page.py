"""docs/status.md and the lists in chapter READMEs: what stands, from specs and accepted records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from thesisbench.browse.library import Library, values_of
from thesisbench.browse.spec_entries import claim_words, published
from thesisbench.compose import Composer
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import ChapterFolder
from thesisbench.tables.claims import Claim
from thesisbench.tables.grid import has_grid
from thesisbench.tables.model import SCALES
from thesisbench.tables.render.markdown import escape
from thesisbench.tables.session import Session
from thesisbench.tables.spec import Table

VERDICTS = ("reproduced", "better", "worse", "undecided")
RESULTS = ("holds", "fails", "undecided", "not tested")
HEAD = """# Status

Rendered by `make docs` from the specs and the accepted records; do not edit. A cell is compared
with its published value only where its runs are those of the published experiment (scale paper).
Claims are judged at any scale, on stand-ins at scale small.
"""


class StatusPage:
    """Counts and lists over a library.

    Args:
        library: specs, options and accepted results.
        empty: a runs folder without runs, so that accepted records alone count.
    """

    def __init__(self, library: Library, empty: Path) -> None:
        self.library, self.empty, self.composer = library, empty, Composer()

    def render(self) -> str:
        """The page."""
        folders = self.library.catalog.folders
        theses = list(dict.fromkeys(slug.split("/")[0] for slug in folders))
        counts = {thesis: self._counts(thesis) for thesis in theses}
        names = list(dict.fromkeys(name for count in counts.values() for name in count))
        numbers = {name: [counts[thesis][name] for thesis in theses] for name in names}
        rows = [[name, *map(str, row), str(sum(row))] for name, row in numbers.items()]
        parts = [HEAD, _table(["", *theses, "all"], rows)]
        for slug, folder in folders.items():
            parts.append(f"## {slug}: {escape(folder.chapter.title)}\n")
            parts.append(self.tables(folder))
            parts.append(self.claims(folder))
        return "\n".join(parts).rstrip() + "\n"

    def tables(self, folder: ChapterFolder) -> str:
        """The tables of a chapter: what there is, and how to make it."""
        rows = [
            [f"`{t.id}`", escape(t.title), self.library.state(t.id), self._command(t)]
            for t in folder.tables.values()
        ]
        return _table(["table", "title", "state", "command"], rows)

    def claims(self, folder: ChapterFolder) -> str:
        """The claims of a chapter and what they came to."""
        rows = [[c.id, escape(c.text), self._result(folder, c)] for c in folder.claims]
        return _table(["claim", "text", "result"], rows)

    def _result(self, folder: ChapterFolder, claim: Claim) -> str:
        return escape(claim_words(claim, self.library.claims(folder.slug).get(claim.id, ())))

    def _command(self, table: Table) -> str:
        if not has_grid(self.library.catalog, self.library.recipes, table.id):
            return f"`thesisbench show {table.id}`"
        return f"`thesisbench reproduce {table.id}`"

    def _counts(self, thesis: str) -> Counter[str]:
        mine = [f for slug, f in self.library.catalog.folders.items() if f"{thesis}/" in slug]
        tables = [table for folder in mine for table in published(folder)]
        built = [t for t in tables if has_grid(self.library.catalog, self.library.recipes, t.id)]
        found = Counter({"tables and figures": len(tables), "with a grid": len(built)})
        for scale in reversed(SCALES[1:]):
            accepted = [t for t in tables if scale in self.library.accepted(t.id)]
            found[f"accepted at scale {scale}"] = len(accepted)
        found["published values"] = sum(map(values_of, tables))
        verdicts = Counter(v for t in built for v in self._verdicts(t.id))
        found["compared with ours"] = sum(verdicts[v] for v in VERDICTS)
        found.update({f"of these {v}": verdicts[v] for v in VERDICTS})
        results = Counter(self._word(f, c) for f in mine for c in f.claims)
        found["claims"] = sum(results.values())
        found.update({f"claims: {word}": results[word] for word in (*RESULTS, "not judged yet")})
        return found

    def _verdicts(self, table: str) -> Iterable[str]:
        if "paper" not in self.library.accepted(table):
            return []
        catalog, store = self.library.catalog, RunStore(self.empty)
        session = Session(catalog, store, self.composer, (table,), "paper")
        return [session.verdicts[k].verdict for k, c in session.cells.items() if c.comparable]

    def _word(self, folder: ChapterFolder, claim: Claim) -> str:
        """One word on a claim: at the largest scale at which it was judged."""
        if claim.not_tested:
            return "not tested"
        kept = self.library.claims(folder.slug).get(claim.id, ())
        return kept[-1].verdict.result if kept else "not judged yet"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(heads), ["---"] * len(heads), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
