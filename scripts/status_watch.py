"""Draws docs/status-watch.svg anew: what `thesisbench status --watch` shows of a real sweep.

    python scripts/status_watch.py [--seconds 60] [--scale small]

Table 2.1 of kayhan is run on two workers in a folder of its own, looked at from this process, and
interrupted after a while. The looks are drawn below each other as they were on the screen.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from thesisbench.compose import Composer
from thesisbench.status.gather import of_tables
from thesisbench.status.look import LookingStore
from thesisbench.status.model import Overview
from thesisbench.status.view import Limits, View
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.session import Session

PICTURE = Path(__file__).parents[1] / "docs" / "status-watch.svg"
TABLE = "kayhan.t2.1"
WIDTH = 96
FONT = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)  # fetched from elsewhere; others will do
FRAMES = 2  # while it runs; one more shows it interrupted


def main() -> int:
    """Records a watch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="until it is interrupted")
    parser.add_argument("--scale", default="small")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        frames = _record(Path(folder), options.scale, options.seconds)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for seconds, overview in frames:
        console.print(Text(f"after {seconds:.0f} s", style="dim italic"))
        console.print(View(overview, Limits(running=4, others=2)))
        console.print()
    title = f"thesisbench status {TABLE} --watch"
    picture = FONT.sub("", console.export_svg(title=title, unique_id="watch"))
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"wrote {PICTURE}")
    return 0


def _record(folder: Path, scale: str, seconds: float) -> list[tuple[float, Overview]]:
    """Looks at a sweep while it runs, and at what its interruption leaves."""
    os.chdir(folder)
    os.environ["THESISBENCH_RUNS"] = "runs"
    store = LookingStore()
    session = Session(Catalog.at(), store, Composer(), (TABLE,), scale)
    words = ["reproduce", TABLE, "--scale", scale, "--workers", "2", "logger=none"]
    sweep = subprocess.Popen(
        [sys.executable, "-m", "thesisbench", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    start, frames = time.monotonic(), list[tuple[float, Overview]]()
    for number in range(1, FRAMES + 1):
        time.sleep(max(start + seconds * number / FRAMES - time.monotonic(), 0))
        frames.append((time.monotonic() - start, of_tables(session, store)))
    sweep.terminate()
    sweep.wait()
    frames.append((time.monotonic() - start, of_tables(session, store)))
    return frames


if __name__ == "__main__":
    sys.exit(main())
