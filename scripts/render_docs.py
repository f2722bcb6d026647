"""Renders accepted records into the chapter READMEs, between their markers, and docs/status.md.

    python scripts/render_docs.py [--check]

A README says `<!-- table kayhan.t2.1 paper -->`, `<!-- tables -->` (all of its chapter) or
`<!-- claims -->`, and `<!-- end -->`; what is between is replaced. With --check nothing is written,
and the exit code is 1 when a page is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from status_page import StatusPage

from thesisbench.browse.library import Library
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import ChapterFolder
from thesisbench.tables.render.markdown import render_markdown
from thesisbench.tables.session import Session

ROOT = Path(__file__).parents[1]
STATUS = ROOT / "docs" / "status.md"
BLOCK = re.compile(r"(<!-- (table \S+ \S+|tables|claims) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(text: str, page: StatusPage, folder: ChapterFolder) -> str:
    """A README with every block rendered from specs and accepted records alone."""

    def block(match: re.Match[str]) -> str:
        what, *named = match[2].split()
        if what == "table":
            body = re.sub(r"^(#+) ", r"##\1 ", _table(page, *named), flags=re.MULTILINE)
        else:
            body = page.tables(folder) if what == "tables" else page.claims(folder)
        return f"{match[1]}\n{body.strip()}\n\n{match[3]}"

    return BLOCK.sub(block, text)


def _table(page: StatusPage, table: str, scale: str) -> str:
    store = RunStore(page.empty)
    session = Session(page.library.catalog, store, page.composer, (table,), scale)
    return render_markdown(session, table)


def pages(empty: Path) -> dict[Path, str]:
    """Path -> what it should say, for every chapter README and the status page."""
    library = Library.at()
    page = StatusPage(library, empty)
    found = {STATUS: page.render()}
    for slug, folder in library.catalog.folders.items():
        path = ROOT / "experiments" / slug / "README.md"
        found[path] = rendered(path.read_text(encoding="utf-8"), page, folder)
    return found


def main() -> int:
    """Writes or checks all pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 when out of date"
    )
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as empty:
        wanted = pages(Path(empty))
    outdated = [p for p, text in wanted.items() if not p.exists() or p.read_text() != text]
    for path in outdated:
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
        said = "out of date; run `make docs`" if check else "rendered"
        print(f"{path.relative_to(ROOT)}: {said}")
    return 1 if check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
