"""Inline launcher: one run after another in this process, for debuggers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from thesisbench.errors import UserError
from thesisbench.launch.drive import drive
from thesisbench.launch.jobs import Job, Launcher, OnEvent, OnTick
from thesisbench.launch.local import IDLE_SECONDS
from thesisbench.launch.options import positive
from thesisbench.launch.queue import Queue
from thesisbench.launch.room import Place, Room
from thesisbench.store.runs import RunStore
from thesisbench.tables.model import PlannedRun


def make(config: Mapping[str, Any], runs: Sequence[PlannedRun]) -> Launcher:
    """The launcher that a `launcher` node describes.

    Raises:
        UserError: a number that is none.
    """
    del runs
    return InlineLauncher(positive(config.get("threads", 1), "launcher.threads"))


@dataclass
class InlineLauncher:
    """Runs jobs here, in order; what they print appears on the terminal.

    Attributes:
        threads: that torch computes with meanwhile; they change the last bits of results.
    """

    threads: int = 1
    _codes: dict[str, int] = field(default_factory=dict)

    def room(self) -> Room:
        """One run at a time."""
        return Room()

    def check(self, jobs: Sequence[Job]) -> None:
        """Refuses jobs of several processes: their ranks would start this whole program again."""
        for job in jobs:
            if (number := job.resources.devices * job.resources.nodes) != 1:
                devices = "all" if number < 0 else number
                text = f"run {job.id} wants {devices} devices, and launcher=inline has one process"
                raise UserError(f"{text}; use launcher=local or trainer.devices=1")

    def launch(
        self, store: RunStore, jobs: Sequence[Job], on_event: OnEvent, on_tick: OnTick
    ) -> dict[str, str]:
        """Executes jobs."""
        self.check(jobs)
        alone = [Job(job.id, job.needs, job.exclusive) for job in jobs]  # on what, it sees itself
        return drive(Queue.of(alone, on_event, self.room()), store, self, on_tick)

    def start(self, job: Job, store: RunStore, place: Place) -> None:
        """Executes a job."""
        from thesisbench.run import run_folder

        del place
        with torch_threads(self.threads):
            self._codes[job.id] = run_folder(store.folder(job.id).path)

    def ended(self, store: RunStore, seconds: float) -> Iterator[tuple[str, int]]:
        """What has been executed."""
        del store
        if not self._codes:
            time.sleep(min(seconds, IDLE_SECONDS))  # for what other processes execute
        while self._codes:
            yield self._codes.popitem()

    def end_all(self) -> None:
        """There is nothing left to end."""
        self._codes.clear()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Lets torch compute with so many threads for a while; with 0, as many as it does now."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
