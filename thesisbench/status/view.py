"""A look at runs on a terminal: groups with their bars, runs that go on, runs that need a hand."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from thesisbench.planning.spread import seconds_text
from thesisbench.status.model import FINISHED, Group, Overview, RunView, in_order
from thesisbench.tables.render.words import retried

WIDE = 72  # columns from which bars fit beside the words
BAR = 16
NAMED = 3  # tables in the first line
STYLES = {
    "done": "green", "diverged": "magenta", "running": "cyan", "failed": "red",
    "interrupted": "yellow", "stale": "yellow", "queued": "", "absent": "dim",
}  # fmt: skip
WORDS = {
    "failed": "Failed",
    "interrupted": "Interrupted: the same command goes on with them",
    "stale": "Stale: of an older revision only",
}


@dataclass(frozen=True)
class Limits:
    """How much is shown: of the groups, of the running runs, and of the others in each state."""

    groups: int = 40
    running: int = 20
    others: int = 5

    @classmethod
    def for_height(cls, height: int) -> Limits:
        """What fits on a screen of so many lines."""
        return cls(max(height // 4, 3), max(height // 4, 3), max(height // 12, 1))


@dataclass(frozen=True)
class View:
    """A look at runs, to be printed or drawn again and again.

    Attributes:
        overview: what was found. limits: how much of it is shown.
        note: what is to be said below, such as that the folder has vanished. hint: how to leave.
        cut: whether commands are broken at the edge of the screen, where they cannot be copied.
    """

    overview: Overview
    limits: Limits = Limits()
    note: str = ""
    hint: str = ""
    cut: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What is drawn."""
        wide = options.max_width >= WIDE
        yield Text(headline(self.overview), style="bold")
        yield from self._groups(wide)
        yield from self._running(wide)
        for state in WORDS:
            yield from self._others(state)
        if self.overview.commands:
            yield Text("Go on with", style="bold")
        for text in self.overview.commands:
            yield self._command(text)
        if text := retried(self.overview.retried):
            yield Text(text, style="dim", overflow="fold")
        for problem in self.overview.problems:
            yield Text(problem, style="red", overflow="fold")
        if self.note:
            yield Text(self.note, style="yellow", overflow="fold")
        if self.hint:
            yield Text(self.hint, style="dim")

    def _groups(self, wide: bool) -> Iterator[RenderableType]:
        if len(self.overview.groups) < 2:  # the headline has said it all
            yield from (_indented(_bar(*_far(group)), 2) for group in self.overview.groups)
            return
        grid = Table.grid(padding=(0, 2), pad_edge=False)
        grid.add_column(overflow="fold", max_width=None if wide else 16)
        if wide:
            grid.add_column(min_width=BAR)
        grid.add_column(overflow="fold")
        for group in self.overview.groups[: self.limits.groups]:
            bar = [_bar(*_far(group))] if wide else []
            grid.add_row(Text(group.name), *bar, _counts(group.states, group.cells))
        yield grid
        yield from _more(len(self.overview.groups) - self.limits.groups, "lines")

    def _running(self, wide: bool) -> Iterator[RenderableType]:
        runs = self.overview.of("running")
        if not runs:
            return
        yield Text(f"Running ({len(runs)})", style="bold")
        for run in runs[: self.limits.running]:
            yield _indented(Text(f"{run.id} {run.title}", overflow="fold"), 2)
            grid = Table.grid(padding=(0, 2), pad_edge=False)
            words = Text(", ".join(_progress(run)), style="dim", overflow="fold")
            bar = [_bar(*run.epochs)] if wide and run.epochs else []
            grid.add_row(*bar, words)
            yield _indented(grid, 4)
        yield from _more(len(runs) - self.limits.running, "running")

    def _others(self, state: str) -> Iterator[RenderableType]:
        runs = self.overview.of(state)
        if not runs:
            return
        yield Text(f"{WORDS[state]} ({len(runs)})", style=f"bold {STYLES[state]}".strip())
        for run in runs[: self.limits.others]:
            yield _indented(Text(f"{run.id} {run.title}", overflow="fold"), 2)
            for line in told(run):
                yield _indented(Text(line, style="dim", overflow="fold"), 4)
            if run.command not in self.overview.commands:
                yield self._command(run.command, indent=4)
        yield from _more(len(runs) - self.limits.others, state)

    def _command(self, text: str, indent: int = 2) -> RenderableType:
        if self.cut:
            return _indented(Text(text, overflow="fold"), indent)
        return Text(f"{' ' * indent}{text}", no_wrap=True, overflow="ignore")


def _indented(what: RenderableType, columns: int) -> Padding:
    return Padding(what, (0, 0, 0, columns), expand=False)


def headline(overview: Overview) -> str:
    """All of it in a line.

    Args:
        overview: what was found.
    """
    left = "" if overview.remaining is None else f"; about {seconds_text(overview.remaining)} left"
    return f"{subject(overview)}: {counts(overview)}{left}"


def subject(overview: Overview) -> str:
    """What is looked at: tables at a scale, or the runs folder."""
    if not overview.tables:
        at = "" if overview.scale is None else f", scale {overview.scale}"
        return f"runs folder {overview.root}{at}"
    more = len(overview.tables) - NAMED
    named = ", ".join(overview.tables[:NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{named} at scale {overview.scale}"


def counts(overview: Overview) -> str:
    """Cells that are done, and how many runs are in which state."""
    return _counts(overview.states, overview.cells).plain or "no runs"


def _counts(states: Mapping[str, int], cells: tuple[int, int] | None = None) -> Text:
    cell = "" if cells is None else f"{cells[0]} of {cells[1]} cells"
    runs = Text(", ").join(
        Text(f"{count} {name}", style=STYLES[name]) for name, count in in_order(states).items()
    )
    return Text("; ").join(part for part in (Text(cell), runs) if part)


def _far(group: Group) -> tuple[float, float]:
    if group.cells is not None:
        return group.cells
    return sum(group.states.get(name, 0) for name in FINISHED), sum(group.states.values())


def _bar(done: float, most: float) -> ProgressBar:
    return ProgressBar(total=max(most, 1), completed=min(done, most), width=BAR)


def _progress(run: RunView) -> Iterator[str]:
    """Words on how far a running run is."""
    if run.epochs is not None:
        done, most = run.epochs
        yield f"epoch {done:g} of {most:g}"
    if run.seconds is not None:
        yield f"{seconds_text(run.seconds)} so far"
    if run.remaining is not None:
        yield f"about {seconds_text(run.remaining)} left"
    if run.attempts > 1:
        yield f"attempt {run.attempts}"
    if run.host and run.host != socket.gethostname():
        yield f"on {run.host}"
    if run.silent is not None:
        yield f"silent for {seconds_text(run.silent)}"


def told(run: RunView) -> Iterator[str]:
    """Why a run failed or was lost, and the end of its log where that says something else."""
    if run.kind:
        yield run.kind
    if run.silent is not None:
        host = run.host or "another machine"
        yield f"its process on {host} is silent for {seconds_text(run.silent)}"
    if run.message:
        yield run.message
    if run.log_line and (not run.message or run.message not in run.log_line):
        yield f"log: {run.log_line}"


def _more(count: int, what: str) -> Iterator[Text]:
    if count > 0:
        yield Text(f"  and {count} more {what}; --json has all", style="dim")
