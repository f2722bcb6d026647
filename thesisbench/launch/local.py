"""Local launcher: a child process a run, forked from a server that has imported torch already.

A crash costs one run, and nothing leaks from one run into the next. Thread count and allocator
settings are in the environment before the server starts.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver, process
from pathlib import Path
from typing import Any

from thesisbench.instantiate import ALLOW_VARIABLE
from thesisbench.launch.jobs import BUSY, Job, OnEvent, OnTick, Queue
from thesisbench.store.runs import RunStore

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# glibc gives large blocks back to the system at once; training on a CPU is 1.7x slower for it.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
}
POLL_SECONDS = 0.5
_INHERITED = (*THREADS, *ALLOCATOR, ALLOW_VARIABLE, "PYTHONPATH", "THESISBENCH_DATA")
_served: list[Any] = []  # what the running server was started with


def child_environment(threads: int) -> dict[str, str]:
    """Settings that must be there before a process starts."""
    return {**dict.fromkeys(THREADS, str(threads)), **ALLOCATOR}


@dataclass
class LocalLauncher:
    """Runs jobs on this machine.

    Attributes:
        workers: runs at a time. threads: per run; they change the last bits of results.
        preload: modules the server imports before it forks.
        start: "forkserver", "spawn" (needed with CUDA), or "fresh": one new interpreter a run.
    """

    workers: int = 1
    threads: int = 1
    preload: tuple[str, ...] = ("thesisbench.launch.preload",)
    start: str = "forkserver"
    _children: dict[str, Any] = field(default_factory=dict)

    def launch(
        self, store: RunStore, jobs: Sequence[Job], on_event: OnEvent, on_tick: OnTick
    ) -> dict[str, str]:
        """Executes jobs; an interrupt ends the children, resumable, and goes on."""
        queue = Queue.of(jobs, on_event)
        with changed_environment(child_environment(self.threads)):
            try:
                while queue.busy:
                    self._fill(queue, store)
                    self._wait(queue, store)
                    queue.look_elsewhere(store)
                    on_tick(sorted(queue.running))
            finally:
                self._end_all()
        return queue.outcome

    def _fill(self, queue: Queue, store: RunStore) -> None:
        while len(self._children) < self.workers and (job := queue.next_to_execute(store)):
            self._children[job.id] = self._start(store.folder(job.id).path)
            queue.on_event(job.id, "started")

    def _start(self, path: Path) -> Any:
        method = "spawn" if self.start == "fresh" else self.start
        context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            _serve(self.preload)
        child = context.Process(target=child_main, args=(str(path),), name=path.name)
        with _no_main_module():
            child.start()
        return child

    def _wait(self, queue: Queue, store: RunStore) -> None:
        sentinels = {child.sentinel: run_id for run_id, child in self._children.items()}
        if not sentinels:
            if queue.busy:
                time.sleep(POLL_SECONDS / 5)
            return
        for sentinel in connection.wait(list(sentinels), timeout=POLL_SECONDS):
            run_id = sentinels[sentinel]
            child = self._children.pop(run_id)
            child.join()
            busy = child.exitcode == BUSY  # another process has it, or had it a moment ago
            child.close()
            queue.conclude(run_id, "running" if busy else store.state(run_id).name)

    def _end_all(self) -> None:
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.join()
        self._children.clear()


def child_main(path: str) -> None:
    """What a child does: print into the run's log, execute the folder, leave with its exit code."""
    import signal

    from thesisbench.run import run_folder

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher decides when a child ends
    log = os.open(Path(path) / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    code = run_folder(Path(path), orphaned=_orphaned)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # nothing is left to clean up, and torch's is slow


def _orphaned() -> bool:
    parent = process.parent_process()
    return parent is not None and not parent.is_alive()


@contextlib.contextmanager
def changed_environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the time a server and its children are started."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


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
        multiprocessing.set_forkserver_preload(list(preload))


def stop_server() -> None:
    """Ends the fork server, so that the next launch starts one with other settings."""
    with contextlib.suppress(AttributeError, OSError):
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
