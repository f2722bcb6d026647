"""Children forked from a server that has imported torch already: one a run, on the CPU.

A crash costs one run, and nothing leaks from one run into the next. A child says when its run is
over: the system then takes its memory apart, which is as long as its fork took, and the next run
need not wait for that.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import forkserver, process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from thesisbench.errors import UserError
from thesisbench.instantiate import ALLOW_VARIABLE
from thesisbench.launch.environment import ALLOCATOR, RANKS, SLURM, THREADS
from thesisbench.launch.inventory import VISIBLE
from thesisbench.launch.jobs import FAILED
from thesisbench.store.files import plain_errors

_INHERITED = (
    *(*THREADS, *ALLOCATOR, *RANKS, *SLURM, VISIBLE),
    *(ALLOW_VARIABLE, "PYTHONPATH", "THESISBENCH_DATA"),
)
SERVER_MODULE = "thesisbench.launch.fork_server"  # what the server changes in itself
SERVERS = 5  # that may be killed, one after the other, before a run starts
_served: list[Any] = []  # what the running server was started with


class Forked:
    """A child that executes a run folder.

    Args:
        path: the run folder. preload: modules that the server imports before it forks.
    """

    def __init__(self, path: Path, preload: Sequence[str]) -> None:
        _serve(preload)
        self._process, self._word = _started(path)
        self._code: int | None = None

    @property
    def sentinels(self) -> list[Any]:
        """What can be read from once it has ended, or is about to."""
        return [self._word, self._process.sentinel]

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self._code is None:
            try:
                self._code = self._word.recv() if self._word.poll() else self._process.exitcode
            except (EOFError, OSError):  # it died
                self._code = self._process.exitcode
        return self._code

    def kill(self) -> None:
        """Ends it and what it has started."""
        pid = self._process.pid
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if pid is not None and self._process.is_alive() and os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
        self._process.kill()

    def close(self, *, wait: bool) -> bool:
        """Forgets it if its process is gone; returns whether that is so.

        Args:
            wait: for the process to be gone.
        """
        self._process.join(None if wait else 0)
        if self._process.exitcode is None:
            return False
        self._process.close()
        self._word.close()
        return True


def _started(path: Path) -> tuple[Any, Any]:
    """A child that executes a run folder, and what it says when that is over.

    Raises:
        UserError: the server was killed again and again.
    """
    for _ in range(SERVERS):
        try:
            return _forked(path)
        except (EOFError, ConnectionError):  # it was killed; another one takes its place
            stop_server()
    raise UserError(f"the server that forks runs was killed {SERVERS} times; is memory short?")


def _forked(path: Path) -> tuple[Any, Any]:
    context = multiprocessing.get_context("forkserver")
    word, said = context.Pipe(duplex=False)
    child = context.Process(target=child_main, args=(str(path), said), name=path.name)
    with _no_main_module(), said:
        child.start()
    return child, word


def child_main(path: str, said: Connection) -> None:
    """What a child does: print into the run's log, execute the folder, leave with its exit code.

    Args:
        path: the run folder.
        said: the way to say the exit code when all is done.
    """
    from thesisbench.run import run_folder

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher decides when a child ends
    os.setsid()  # what it starts is in a group of its own, so that all can be ended at once
    try:
        _print_into(Path(path) / "log.txt")
        code = run_folder(Path(path), orphaned=_orphaned)
    except UserError as error:  # the folder cannot be read or claimed
        print(f"not begun: {error}", file=sys.stderr)
        code = FAILED
    with contextlib.suppress(OSError):  # a full disk loses what was printed, and no more
        sys.stdout.flush()
        sys.stderr.flush()
    with contextlib.suppress(OSError):  # nobody listens any more
        said.send(code)
    os._exit(code)  # nothing is left to clean up, and torch's is slow


def _print_into(path: Path) -> None:
    with plain_errors("write", path):
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def _orphaned() -> bool:
    parent = process.parent_process()
    return parent is not None and not parent.is_alive()


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Keeps children from importing the program's main script again."""
    main = sys.modules["__main__"]
    file, spec = main.__dict__.pop("__file__", None), main.__dict__.get("__spec__")
    main.__spec__ = None
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file


def _serve(preload: Sequence[str]) -> None:
    """Ends a fork server that was started in another environment or with other modules."""
    settings = (tuple(preload), {name: os.environ.get(name) for name in _INHERITED})
    if _served != [settings]:
        stop_server()
        _served[:] = [settings]
        multiprocessing.set_forkserver_preload([SERVER_MODULE, *preload])


def stop_server() -> None:
    """Ends the fork server, so that the next launch starts one with other settings."""
    with contextlib.suppress(AttributeError, OSError):
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
