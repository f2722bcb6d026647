"""Text and small tables on a terminal, as they are: brackets are no markup."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

LABEL = 24  # letters of a row's label that must fit beside the numbers
INDENT = 2
GAP = "  "


def say(
    console: Console, text: str, style: str = "", *, indent: int = 0, above: bool = False
) -> None:
    """Prints text, wrapped and indented.

    Args:
        console: where to.
        text: what.
        style: of rich, such as "bold".
        indent: columns on the left.
        above: leave a line free before it.
    """
    if above:
        console.print()
    lines = textwrap.wrap(text, max(console.width - indent, LABEL), break_on_hyphens=False)
    for line in lines:
        put(console, f"{' ' * indent}{line}", style)


def put(console: Console, line: str, style: str = "") -> None:
    """Prints a line as it is, however long; a command stays one that can be copied."""
    from rich.text import Text

    console.print(Text(line.rstrip(), style=style), soft_wrap=True)


def print_grid(head: Sequence[str], lines: Sequence[Sequence[str]], console: Console) -> None:
    """A table with its first column to the left and the others to the right.

    Where it is too wide for the window, each cell gets a line of its own; what is not a terminal
    is as wide as it must be.
    """
    widths = [max(len(line[i]) for line in (head, *lines)) for i in range(len(head))]
    room = console.width - INDENT - sum(widths[1:]) - len(GAP) * (len(widths) - 1)
    if not console.is_terminal:
        room = widths[0]
    if room < min(widths[0], LABEL):
        _print_stacked(head, lines, console)
        return
    for number, line in enumerate((head, *lines)):
        label, *more = textwrap.wrap(line[0], room) or [""]
        cells = [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
        shown = GAP.join([label.ljust(min(widths[0], room)), *cells])
        for text in (shown, *more):
            put(console, f"{' ' * INDENT}{text}", "" if number else "bold")


def _print_stacked(head: Sequence[str], lines: Sequence[Sequence[str]], console: Console) -> None:
    for first, *rest in lines:
        say(console, first, indent=INDENT)
        for name, text in zip(head[1:], rest, strict=True):
            say(console, f"{name}: {text}", indent=3 * INDENT)
