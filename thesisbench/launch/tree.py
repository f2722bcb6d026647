"""Runs in fresh processes, `python -m thesisbench run FOLDER`: those that use CUDA or have ranks.

Each is a process group of its own, with all that it starts, and is ended as a whole: by the
launcher, or by itself when the launcher is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thesisbench.launch.jobs import BUSY
from thesisbench.store.files import plain_errors

LAUNCHER = "THESISBENCH_LAUNCHER"  # id of the process that waits for the run
LOOK_SECONDS = 0.25
COMMAND = (sys.executable, "-m", "thesisbench", "run")


class Tree:
    """A process that executes a run folder, and all that it starts.

    Args:
        path: the run folder. changes: to the environment; None takes a variable away.
        command: what is started, before the folder.
    """

    def __init__(
        self, path: Path, changes: Mapping[str, str | None], command: Sequence[str] = COMMAND
    ) -> None:
        modules = os.pathsep.join(part or str(Path.cwd()) for part in sys.path)
        changes = {"PYTHONPATH": modules, **changes, LAUNCHER: str(os.getpid())}
        environment = {k: v for k, v in {**os.environ, **changes}.items() if v is not None}
        log_file = path / "log.txt"
        with plain_errors("write", log_file), log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, str(path)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._end = _descriptor(self._process.pid)

    @property
    def sentinels(self) -> list[Any]:
        """What can be read from once its root has ended; nothing where the system has no such."""
        return [] if self._end is None else [self._end]

    def poll(self) -> int | None:
        """Exit code of its root, negative for a signal; None while that runs.

        Once the root has ended, so has the rest.
        """
        if self._process.returncode is None and self._has_ended():
            self._kill_group()  # before the id of the root may be given to another process
            self._process.wait()
        return self._process.returncode

    def kill(self) -> None:
        """Ends all of it."""
        if self._process.returncode is None:
            self._kill_group()

    def close(self, *, wait: bool) -> bool:
        """Forgets it if its root is gone; returns whether that is so.

        Args:
            wait: for the root to be gone.
        """
        if wait:
            self._process.wait()
        if self._process.returncode is None:
            return False
        if self._end is not None:
            os.close(self._end)
            self._end = None
        return True

    def _has_ended(self) -> bool:
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT  # it stays a zombie, which keeps its id
        return os.waitid(os.P_PID, self._process.pid, flags) is not None

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def end_with_launcher() -> None:
    """Lets this process end, with all that it has started, soon after its launcher is gone.

    Nothing happens in a process that no launcher has started as a tree: the ranks of a run are
    ended by its root.
    """
    launcher = os.environ.pop(LAUNCHER, "")
    if launcher.isdigit():
        threading.Thread(target=_watch, args=(int(launcher),), daemon=True).start()


def _watch(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(LOOK_SECONDS)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(BUSY)


def _descriptor(pid: int) -> int | None:
    """A file that can be read once a process has ended; None where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
