"""Prints how long files and functions are, beside the bounds of the style.

    python scripts/style_figures.py [FOLDER]

The exit code is 1 when a hard bound is broken: a file above 400 lines or a function above 80.
"""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Length:
    """How many lines something has.

    Attributes:
        lines: first to last, docstring included. name: of the file or function.
    """

    lines: int
    name: str


@dataclass(frozen=True)
class Figures:
    """Lengths of one kind and what the style says of them.

    Attributes:
        kind: files or functions. lengths: of each. soft: (statistic, bound). hard: of the longest.
    """

    kind: str
    lengths: Sequence[Length]
    soft: tuple[str, int]
    hard: int

    @property
    def values(self) -> dict[str, float]:
        """Median and 90th percentile (the least length that 90% do not exceed)."""
        lines = sorted(length.lines for length in self.lengths)
        return {"median": median(lines), "p90": lines[math.ceil(0.9 * len(lines)) - 1]}

    @property
    def too_long(self) -> list[Length]:
        """What breaks the hard bound, longest first."""
        return sorted((x for x in self.lengths if x.lines > self.hard), key=lambda x: -x.lines)

    def __str__(self) -> str:
        statistic, bound = self.soft
        parts = []
        for name, value in self.values.items():
            aim = f" (aim <= {bound}{'' if value <= bound else ', MISSED'})"
            parts.append(f"{name} {value:g}{aim if name == statistic else ''}")
        longest = max(self.lengths, key=lambda x: x.lines)
        broken = ", BROKEN" if self.too_long else ""
        parts.append(f"max {longest.lines} (bound {self.hard}{broken}): {longest.name}")
        return f"{len(self.lengths)} {self.kind}: {'; '.join(parts)}"


def file_lengths(folder: Path) -> list[Length]:
    """Lines of each Python file."""
    return [Length(len(text.splitlines()), name) for name, text in _sources(folder)]


def function_lengths(folder: Path) -> list[Length]:
    """Lines of each function and method from its `def` on, inner ones too."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        Length((node.end_lineno or node.lineno) - node.lineno + 1, f"{name}:{node.name}")
        for name, text in _sources(folder)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, kinds)
    ]


def figures(folder: Path) -> list[Figures]:
    """Those of the files and of the functions under a folder."""
    return [
        Figures("files", file_lengths(folder), ("median", 150), 400),
        Figures("functions", function_lengths(folder), ("p90", 40), 80),
    ]


def _sources(folder: Path) -> list[tuple[str, str]]:
    paths = sorted(folder.rglob("*.py"))
    return [(p.relative_to(folder.parent).as_posix(), p.read_text("utf-8")) for p in paths]


def main(arguments: Sequence[str]) -> int:
    """Prints the figures and what is too long; returns the exit code."""
    folder = Path(arguments[0]).resolve() if arguments else ROOT / "thesisbench"
    if not any(folder.rglob("*.py")):
        print(f"style_figures: no Python files under {folder}", file=sys.stderr)
        return 2
    found = figures(folder)
    for each in found:
        print(each)
        for length in each.too_long:
            print(f"  too long: {length.name} has {length.lines} lines (at most {each.hard})")
    return 1 if any(each.too_long for each in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
