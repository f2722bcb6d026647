"""Files of DelftBikes, which its authors share through a research data repository; none is fetched.

No address and no checksum is known to this project: `prepare` says what belongs where, `verify`
counts, checks annotations and decodes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from thesisbench.data.delftbikes import read_split
from thesisbench.data.files.boxes import check_split
from thesisbench.data.files.sources import Checked, Say

SITE = "the page of its authors (repository oskyhn/DelftBikes; data at 4TU)"
COUNTS = {"train": 8000, "test": 2000}


def prepare(name: str, folder: Path, say: Say) -> list[str]:
    """Says what is not there."""
    del name, say
    parts = [part for split in COUNTS for part in (split, f"{split}_annotations.json")]
    missing = [part for part in parts if not (folder / part).exists()]
    return [f"fetch DelftBikes from {SITE}; {part} belongs in {folder}" for part in missing]


def verify(name: str, folder: Path, *, decode: bool) -> Checked:
    """Counts and checks both splits; with `decode`, reads all images."""
    del name
    checked = Checked()
    for split, wanted in COUNTS.items():
        check_split(checked, split, partial(read_split, folder, split), wanted, decode=decode)
    return checked
