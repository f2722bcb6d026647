"""Renders accepted records into the chapter READMEs, between their markers.

    python scripts/render_docs.py [--check]

A README says `<!-- table kayhan.t2.1 paper -->` ... `<!-- end -->`; what is between is replaced.
With --check nothing is written, and the exit code is 1 when a README is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from thesisbench.compose import Composer
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.render.markdown import render_markdown
from thesisbench.tables.session import Session

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(<!-- table (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(text: str, catalog: Catalog, composer: Composer, empty: Path) -> str:
    """The text with every block rendered from accepted records alone."""

    def block(match: re.Match[str]) -> str:
        table, scale = match[2], match[3]
        session = Session(catalog, RunStore(empty), composer, (table,), scale)
        body = render_markdown(session, table)
        body = re.sub(r"^(#+) ", r"##\1 ", body, flags=re.MULTILINE)
        return f"{match[1]}\n{body.strip()}\n\n{match[4]}"

    return BLOCK.sub(block, text)


def main() -> int:
    """Writes or checks all chapter READMEs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 when out of date"
    )
    check = parser.parse_args().check
    catalog, composer, outdated = Catalog.at(), Composer(), []
    with tempfile.TemporaryDirectory() as empty:
        for path in sorted((ROOT / "experiments").glob("*/*/README.md")):
            before = path.read_text(encoding="utf-8")
            after = rendered(before, catalog, composer, Path(empty))
            if before != after:
                outdated.append(path)
                if not check:
                    path.write_text(after, encoding="utf-8")
    for path in outdated:
        print(
            f"{path.relative_to(ROOT)}: {'out of date; run `make docs`' if check else 'rendered'}"
        )
    return 1 if check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
