"""What a person sees while runs are executed: one bar for all, a line for each that is running."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from thesisbench.store.runs import RunStore
from thesisbench.tables.model import PlannedRun

PLAIN_SECONDS = 10.0


class Display:
    """A progress display on a terminal; plain lines where there is none.

    Args:
        console: written to. store: progress of running runs is read from it.
        runs: id -> run, for names. total: runs to be done.
    """

    def __init__(
        self, console: Console, store: RunStore, runs: Mapping[str, PlannedRun], total: int
    ) -> None:
        self.console, self.store, self.runs, self.total = console, store, runs, total
        self.finished = 0
        self.started = self.spoken = time.monotonic()
        self.lines: dict[str, TaskID] = {}
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[eta]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.all = self.progress.add_task("runs", total=total, eta="")

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def on_event(self, run_id: str, event: str) -> None:
        """A run was started, finished, or is being executed elsewhere."""
        title = self.runs[run_id].title
        if event == "started":
            self.lines[run_id] = self.progress.add_task(f"  {title}", total=None, eta="")
            return
        if run_id in self.lines:
            self.progress.remove_task(self.lines.pop(run_id))
        if event == "elsewhere":
            self._say(f"{title}: another process is executing it; waiting")
            return
        self.finished += 1
        self.progress.update(self.all, completed=self.finished, eta=self._eta())
        if event not in ("done",):
            told = event in ("failed", "interrupted")
            message = self.store.state(run_id).message if told else ""
            self._say(f"{title} ({run_id}) {event}{f': {message}' if message else ''}")

    def on_tick(self, running: Sequence[str]) -> None:
        """Called about twice a second."""
        if self.progress.disable:
            self._speak(running)
            return
        for run_id in running:
            said = self.store.state(run_id).progress
            if run_id in self.lines and "epoch" in said:
                self.progress.update(
                    self.lines[run_id],
                    completed=said["epoch"],
                    total=said.get("epochs"),
                    eta="epochs",
                )

    def _speak(self, running: Sequence[str]) -> None:
        if time.monotonic() - self.spoken >= PLAIN_SECONDS:
            self.spoken = time.monotonic()
            names = ", ".join(self.runs[r].title for r in running)
            self._say(
                f"{self.finished} of {self.total} runs done {self._eta()}; running: {names or '-'}"
            )

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    def _eta(self) -> str:
        if not self.finished:
            return ""
        left = (time.monotonic() - self.started) / self.finished * (self.total - self.finished)
        return f"about {left / 60:.0f} min left" if left > 90 else f"about {left:.0f} s left"
