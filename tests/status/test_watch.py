"""A watch on fake time: what is shown when, how it ends, and a runs folder that comes and goes."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up import chapter, claim, fail, finish, fits, queue
from toy_specs import Toy

from thesisbench.errors import UserError
from thesisbench.status import watch as module
from thesisbench.status.gather import of_folder
from thesisbench.status.look import LookingStore
from thesisbench.status.model import Group, Overview, RunView
from thesisbench.status.watch import Lines, Watch

SOME = Overview("runs", (), None, (Group("a", {"queued": 1}),), {"queued": 1})


class FakeTime:
    """Time that passes while looking and waiting; what happens at the end of each wait."""

    def __init__(self, *events: Callable[[], object], look: float = 0.0) -> None:
        self.now, self.look, self.waits, self.events = 50.0, look, list[float](), list(events)

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        if not self.events:
            return True
        self.events.pop(0)()
        return False

    def looking(self, find: Callable[[], Overview]) -> Callable[[], Overview]:
        def look() -> Overview:
            self.now += self.look
            return find()

        return look


def watched(time: FakeTime, find: Callable[[], Overview], root: Path) -> list[tuple[Any, str]]:
    shown: list[tuple[Any, str]] = []
    watch = Watch(
        time.looking(find), root, lambda o, note: shown.append((o, note)), time.wait, time.clock
    )
    watch.run()
    return shown


def nothing() -> None:
    """An event of no consequence."""


def test_it_looks_about_once_a_second_and_ends_when_told(tmp_path: Path) -> None:
    time = FakeTime(nothing, nothing, look=0.25)
    assert watched(time, lambda: SOME, tmp_path) == [(SOME, "")] * 3
    assert time.waits == [0.75] * 3


def test_a_folder_that_is_slow_to_read_is_left_in_peace_as_long(tmp_path: Path) -> None:
    time = FakeTime(nothing, look=4.0)
    watched(time, lambda: SOME, tmp_path)
    assert time.waits == [4.0, 4.0]


def test_an_interrupt_is_how_a_watch_ends(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    assert len(watched(FakeTime(nothing, interrupt), lambda: SOME, tmp_path)) == 2


def test_a_folder_that_vanishes_is_waited_for_with_what_was_seen_last(tmp_path: Path) -> None:
    toy = chapter(tmp_path)
    session = toy.session()
    queue(session, fits(session)[0])
    root, away = session.store.root, tmp_path / "away"
    store = LookingStore(root)
    time = FakeTime(nothing, lambda: root.rename(away), nothing, lambda: away.rename(root), nothing)
    shown = watched(time, lambda: of_folder(store), root)
    gone = f"the runs folder {root} is not there any more; waiting for it"
    assert [note for _, note in shown] == ["", "", gone, gone, "", ""]
    assert all(overview.states == {"queued": 1} for overview, _ in shown)


def test_a_folder_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    store = LookingStore(root)
    shown = watched(FakeTime(nothing, root.mkdir), lambda: of_folder(store), root)
    note = f"there is no runs folder {root} yet; waiting for it"
    empty = Overview(str(root), (), None, (), {})
    assert shown == [(None, note), (None, note), (empty, "")]


def test_a_disk_that_fails_for_a_while_is_a_note_but_not_at_the_first_look(
    tmp_path: Path,
) -> None:
    answers: Iterator[Any] = iter([SOME, UserError("cannot read runs: I/O error"), SOME])

    def find() -> Overview:
        answer = next(answers)
        if isinstance(answer, UserError):
            raise answer
        return answer

    notes = [note for _, note in watched(FakeTime(nothing, nothing), find, tmp_path)]
    assert notes == ["", "cannot read runs: I/O error", ""]
    answers = iter([UserError("cannot read runs: permission denied")])
    with pytest.raises(UserError, match="permission denied"):
        watched(FakeTime(), find, tmp_path)


def test_lines_are_printed_when_something_changed_and_only_then() -> None:
    said: list[str] = []
    lines = Lines(said.append, lambda: "12:00:00")
    running = RunView("ab", "fit seed=1", "toy/one", "fit", "small", (), "runs/ab", "running")
    failed = replace(running, state="failed", message="ValueError: no", log_line="the end")
    for overview, note in [
        (SOME, ""),
        (SOME, ""),
        (replace(SOME, states={"running": 1}, runs=(running,)), ""),
        (replace(SOME, states={"running": 1}, runs=(replace(running, seconds=9.0),)), ""),
        (replace(SOME, states={"failed": 1}, runs=(failed,)), ""),
        (replace(SOME, states={"failed": 1}, runs=(failed,)), "gone"),
        (replace(SOME, states={"failed": 1}, runs=(failed,)), "gone"),
        (replace(SOME, states={"failed": 1}, runs=(failed,)), ""),
    ]:
        lines(overview, note)
    assert said == [
        f"12:00:00 {text}"
        for text in (
            "runs folder runs: 1 queued",
            "1 running",
            "1 failed",
            "failed: ab fit seed=1: ValueError: no; log: the end",
            "gone",
            "the runs folder is there again",
        )
    ]


# ---- the command, in a process of its own ----


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    toy = chapter(tmp_path)
    session = toy.session()
    first, second, third, _ = fits(session)
    finish(session, first)
    fail(session, second, "failed: boom\n")
    claim(session, third, progress={"epoch": 1, "epochs": 2})
    return toy


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "thesisbench", "status", *words]


def environment(toy: Toy) -> dict[str, str]:
    runs = {"THESISBENCH_RUNS": str(toy.root / "runs"), "COLUMNS": "100", "LINES": "40"}
    return {**os.environ, **runs, "TERM": "xterm", "PYTHONUNBUFFERED": "1"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_terminal_a_watch_speaks_at_once_and_ends_well(
    toy: Toy, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        command("--watch"), env=environment(toy), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    first, second = (process.stdout.readline().decode() for _ in range(2))
    process.send_signal(number)
    assert first.endswith("1 done, 1 running, 1 failed\n")
    assert second.endswith("ValueError: too small; log: failed: boom\n")
    assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == 0


def test_on_a_terminal_q_ends_a_watch_and_leaves_the_terminal_as_it_was(toy: Toy) -> None:
    import termios

    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLED, *command("--watch")],
        env=environment(toy),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    shown = b""
    while b"q ends the watch" not in shown:
        shown += os.read(ours, 65536)
    os.write(ours, b"xq")
    assert process.wait(30) == 0
    assert termios.tcgetattr(theirs) == before
    os.close(theirs)
    with contextlib.suppress(OSError):  # the other end is closed
        while more := os.read(ours, 65536):
            shown += more
    os.close(ours)
    text = shown.decode()
    assert "Running (1)" in text
    assert "epoch 1 of 2" in text
    assert text.rstrip().endswith("\x1b[?25h"), "the cursor is shown again"


CONTROLLED = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def test_keys_are_not_read_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        with module.keys() as wait:
            os.write(write, b"q")
            assert wait(0.0) is False
    os.close(write)
