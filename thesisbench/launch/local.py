"""Local launcher: a child process a run, on the cores and GPUs of this machine.

Runs on the CPU are forked from a server that has imported torch already; those on GPUs, and those
of several processes, are fresh process trees. Thread count, allocator settings and the GPUs of a
run are in the environment before it starts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any

from thesisbench.launch.drive import drive
from thesisbench.launch.environment import changed_environment, child_environment, without_ranks
from thesisbench.launch.forked import Forked, stop_server
from thesisbench.launch.inventory import VISIBLE, gpus_here
from thesisbench.launch.jobs import Job, Launcher, OnEvent, OnTick
from thesisbench.launch.memory import KillerWatch, note_killed
from thesisbench.launch.options import available_cores, positive, target_modules
from thesisbench.launch.queue import Queue
from thesisbench.launch.room import Place, Room
from thesisbench.launch.tree import COMMAND, Tree
from thesisbench.store.runs import RunStore
from thesisbench.tables.model import PlannedRun

__all__ = ["LocalLauncher", "changed_environment", "child_environment", "make", "stop_server"]

IDLE_SECONDS = 0.1
PRELOAD = "thesisbench.launch.preload"
HUGE_PAGES = "thesisbench.launch.huge_pages"
MANY = 30  # runs, for which it is worth it


def make(config: Mapping[str, Any], runs: Sequence[PlannedRun]) -> Launcher:
    """The launcher that a `launcher` node describes.

    Without `workers`, runs on the CPU get one process per `threads` cores, and there is a run on
    each GPU beside them. With it, so many runs are executed at a time, whatever they compute on.

    Raises:
        UserError: a number that is none.
    """
    threads = positive(config.get("threads", 1), "launcher.threads")
    workers = config.get("workers")
    most = None if workers is None else positive(workers, "launcher.workers")
    return LocalLauncher(
        workers=most or max(1, available_cores() // threads),
        threads=threads,
        preload=(PRELOAD, *target_modules(runs), *([HUGE_PAGES] if len(runs) >= MANY else [])),
        gpus=gpus_here(),
        most=most,
    )


@dataclass
class LocalLauncher:
    """Runs jobs on this machine.

    Attributes:
        workers: processes at a time, of the runs on the CPU.
        threads: per process; they change the last bits of results.
        preload: modules the server imports before it forks.
        gpus: names of the GPUs, one run each. most: runs at a time on whatever; None: no limit.
        command: starts a run in fresh processes, before its folder.
    """

    workers: int = 1
    threads: int = 1
    preload: tuple[str, ...] = (PRELOAD,)
    gpus: tuple[str, ...] = ()
    most: int | None = None
    command: tuple[str, ...] = COMMAND
    _children: dict[str, Forked | Tree] = field(default_factory=dict)
    _leaving: list[Forked | Tree] = field(default_factory=list)
    _killer: KillerWatch = field(default_factory=KillerWatch)

    def room(self) -> Room:
        """What runs can have here, all of it free."""
        return Room(self.workers, self.gpus, self.most)

    def check(self, jobs: Sequence[Job]) -> None:
        """Refuses jobs that want more than this machine has."""
        self.room().check(jobs)

    def launch(
        self, store: RunStore, jobs: Sequence[Job], on_event: OnEvent, on_tick: OnTick
    ) -> dict[str, str]:
        """Executes jobs; an interrupt ends the children, resumable, and goes on."""
        self.check(jobs)
        hidden = {VISIBLE: ""} if self.gpus else {}  # from the runs on the CPU
        settings = {**child_environment(self.threads), **without_ranks(), **hidden}
        with changed_environment(settings):
            return drive(Queue.of(jobs, on_event, self.room()), store, self, on_tick)

    def start(self, job: Job, store: RunStore, place: Place) -> None:
        """Starts a child."""
        path = store.folder(job.id).path
        if job.resources.own_tree(len(self.gpus)):
            devices = {VISIBLE: ",".join(place.gpus)} if place.gpus else {}
            self._children[job.id] = Tree(path, devices, self.command)
        else:
            self._children[job.id] = Forked(path, self.preload)

    def ended(self, store: RunStore, seconds: float) -> Iterator[tuple[str, int]]:
        """Waits for the first child that ends."""
        if not self._children:
            time.sleep(IDLE_SECONDS)  # for what other processes execute
            return
        self._leaving = [child for child in self._leaving if not child.close(wait=False)]
        sentinels = [child.sentinels for child in self._children.values()]
        if not all(sentinels):
            seconds = min(seconds, IDLE_SECONDS)  # this system does not tell of the end of a tree
        connection.wait([one for each in sentinels for one in each], timeout=seconds)
        for run_id, child in list(self._children.items()):
            if (code := child.poll()) is not None:
                self._leaving.append(self._children.pop(run_id))
                if self._killer.explains(code):
                    note_killed(store.folder(run_id))
                yield run_id, code

    def end_all(self) -> None:
        """Ends all children and what they have started."""
        for child in self._children.values():
            with contextlib.suppress(OSError):
                child.kill()
        for child in (*self._children.values(), *self._leaving):
            child.close(wait=True)
        self._children.clear()
        self._leaving.clear()
