"""Looks again and again, until q is pressed or the watch is interrupted.

On a terminal what is found is drawn anew about once a second; elsewhere a line is printed whenever
something changed. A runs folder that vanishes is said once, and waited for.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from thesisbench.errors import UserError
from thesisbench.status.model import Overview
from thesisbench.status.view import Limits, View, counts, subject, told

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

PERIOD = 1.0  # seconds from one look to the next
QUIT = ("q", "Q")

Show = Callable[[Overview | None, str], None]
Wait = Callable[[float], bool]


@dataclass
class Watch:
    """A watch over a runs folder.

    Attributes:
        look: finds out how far the runs are. root: the folder it looks at.
        show: is given what was found last (None: nothing yet) and a note when looking failed.
        wait: waits so many seconds; True when the watch is to end. clock: in seconds.
    """

    look: Callable[[], Overview]
    root: Path
    show: Show
    wait: Wait
    clock: Callable[[], float] = time.monotonic
    _last: Overview | None = None

    def run(self) -> None:
        """Goes on until `wait` says so, or until an interrupt, which is how a watch ends."""
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                began = self.clock()
                note = self._look()
                self.show(self._last, note)
                took = self.clock() - began
                if self.wait(max(PERIOD - took, took)):  # a slow disk is left in peace
                    return

    def _look(self) -> str:
        """Looks once; what is wrong with the folder, if anything."""
        try:
            found = self.look()
        except UserError as error:
            if self._last is None and self.root.is_dir():
                raise
            return str(error)
        if self._last is not None and not self.root.is_dir():
            return f"the runs folder {self.root} is not there any more; waiting for it"
        if self.root.is_dir() or found.tables:
            self._last = found
            return ""
        return f"there is no runs folder {self.root} yet; waiting for it"


@dataclass
class Lines:
    """Shows changes as lines, for where there is no terminal.

    Attributes:
        say: takes a line. now: the time of day, in words.
    """

    say: Callable[[str], None]
    now: Callable[[], str] = lambda: datetime.now().astimezone().strftime("%H:%M:%S")
    _counts: str = ""
    _note: str = ""
    _known: set[str] = field(default_factory=set)

    def __call__(self, overview: Overview | None, note: str) -> None:
        """Prints what is new."""
        if note != self._note:
            self._tell(note or "the runs folder is there again")
            self._note = note
        if overview is None or note:
            return
        if (text := counts(overview)) != self._counts:
            self._tell(text if self._counts else f"{subject(overview)}: {text}")
            self._counts = text
        now = {f"{run.id} {run.title}: {'; '.join(told(run))}" for run in overview.of("failed")}
        for failure in sorted(now - self._known):
            self._tell(f"failed: {failure}")
        self._known = now

    def _tell(self, text: str) -> None:
        self.say(f"{self.now()} {text}")


def watch(look: Callable[[], Overview], root: Path, console: Console) -> None:
    """Watches until q or Ctrl-C; by lines where the console is no terminal.

    Args:
        look: finds out how far the runs are.
        root: the folder it looks at.
        console: to draw on.

    Raises:
        UserError: the folder is there but cannot be read at the first look.
    """
    if not console.is_terminal:

        def say(line: str) -> None:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
            console.file.flush()

        Watch(look, root, Lines(say), _sleep).run()
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False) as live, keys() as wait:
        Watch(look, root, _drawn_on(live), wait).run()


def _drawn_on(live: Live) -> Show:
    def show(overview: Overview | None, note: str) -> None:
        if overview is None:
            live.update(Text(note), refresh=True)
            return
        limits = Limits.for_height(live.console.height)
        live.update(View(overview, limits, note, "q ends the watch", cut=True), refresh=True)

    return show


@contextlib.contextmanager
def keys() -> Iterator[Wait]:
    """Waits in which the key q ends the watch, where there is a keyboard that is ours to read."""
    descriptor = _keyboard()
    if descriptor is None:
        yield _sleep
        return
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield lambda seconds: _pressed(descriptor, seconds)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _keyboard() -> int | None:
    """The terminal that keys come from; None for a pipe, or for a program in the background."""
    try:
        import termios  # noqa: F401

        descriptor = sys.stdin.fileno()
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (ImportError, OSError, ValueError, AttributeError):
        return None


def _pressed(descriptor: int, seconds: float) -> bool:
    """Whether q was pressed within so many seconds; other keys only end the wait."""
    ready, _, _ = select.select([descriptor], [], [], seconds)
    if not ready:
        return False
    return any(key in os.read(descriptor, 64).decode(errors="replace") for key in QUIT)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
