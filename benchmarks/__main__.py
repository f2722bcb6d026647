"""Runs benchmarks and prints their tables.

Exit code 0 whether bounds are met or not, 1 when a benchmark crashed, 2 for bad input. The
interpreter starts itself anew with the thread count and allocator settings that runs get, so that
both sides of every comparison have them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.harness import Comparison
from benchmarks.registry import SUMMARIES, chosen, load
from benchmarks.show import summary, table
from thesisbench.errors import UserError
from thesisbench.launch.environment import child_environment

THREADS = 1
QUICK = "--quick only proves that the benchmarks run: its figures mean nothing"


def main(arguments: Sequence[str]) -> int:
    """Runs the benchmarks named in the arguments; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        names = chosen(options.names)
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    _ensure_environment(arguments)
    print(_machine() + (f"\n{QUICK}" if options.quick else ""), flush=True)
    results: dict[str, list[Comparison] | None] = {n: _run(n, options.quick) for n in names}
    print(f"\n{summary(c for found in results.values() for c in found or [])}")
    if options.json is not None:
        options.json.write_text(json.dumps(_as_json(results, options.quick), indent=2) + "\n")
    return 1 if None in results.values() else 0


def _parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:16} {text}" for name, text in SUMMARIES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"What the program costs, side by side with plain ways:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks; all when none given")
    parser.add_argument("--quick", action="store_true", help="smallest sizes: does it run at all?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all times there as well")
    return parser


def _ensure_environment(arguments: Sequence[str]) -> None:
    """Starts this program anew with a run's settings, which count from a process's first moment."""
    wanted = child_environment(THREADS)
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        command = [sys.executable, "-m", "benchmarks", *arguments]
        os.execve(sys.executable, command, {**os.environ, **wanted})


def _run(name: str, quick: bool) -> list[Comparison] | None:
    """Measures and prints one benchmark; None when it crashed."""
    print(f"\n{name}: {SUMMARIES[name]}", flush=True)
    start = time.perf_counter()
    try:
        found = load(name)(quick)
    except Exception:
        traceback.print_exc()
        return None
    print(f"{table(found)}\n  measured in {time.perf_counter() - start:.0f} s", flush=True)
    return found


def _machine() -> str:
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{os.cpu_count()} cores{load}, {THREADS} thread a run, "
        f"Python {platform.python_version()}, torch {version('torch')}; median (least..most)"
    )


def _as_json(results: dict[str, list[Comparison] | None], quick: bool) -> dict[str, Any]:
    crashed = [name for name, found in results.items() if found is None]
    found = {n: [c.as_json() for c in comparisons or []] for n, comparisons in results.items()}
    return {"machine": _machine(), "quick": quick, "crashed": crashed, "benchmarks": found}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
