"""Short answers of the command line, each in a fresh interpreter, beside one that imports torch."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial

from benchmarks.grid import TABLE
from benchmarks.harness import Comparison, alternate

BOUND = 2.0  # times as fast
BASELINE = 'python -c "import torch"'
COMMANDS = {
    "list tables": ["list", "tables"],
    "list claims": ["list", "claims"],
    f"show {TABLE}": ["show", TABLE],
    "search": ["search", "border", "padding"],
}


def measure(quick: bool) -> list[Comparison]:
    """Each command beside the import."""
    chosen = dict(list(COMMANDS.items())[:1]) if quick else COMMANDS
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, "THESISBENCH_RUNS": empty}
        actions = {BASELINE: partial(_run, ["-c", "import torch"], environment)}
        for name, words in chosen.items():
            actions[name] = partial(_run, ["-m", "thesisbench", *words], environment)
        times = alternate(actions, 1 if quick else 7)
    return [Comparison(name, times[name], times[BASELINE], "speedup", BOUND) for name in chosen]


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
    )
