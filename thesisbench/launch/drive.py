"""The loop of a launcher: start what may start, notice what has ended, tell, until all is over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from thesisbench.launch.jobs import BUSY, Job, OnTick
from thesisbench.launch.queue import Queue
from thesisbench.launch.room import Place
from thesisbench.store.runs import RunStore

POLL_SECONDS = 0.5


class Starter(Protocol):
    """How jobs are started and ended somewhere; what a launcher is made of."""

    def start(self, job: Job, store: RunStore, place: Place) -> None:
        """Starts `run FOLDER` on a folder; returns at once."""

    def ended(self, store: RunStore, seconds: float) -> Iterable[tuple[str, int]]:
        """Ids of jobs that have ended, and their exit codes, negative for a signal.

        Args:
            store: the runs folder.
            seconds: to wait for the first one at most.
        """

    def end_all(self) -> None:
        """Ends all that it has started, whole process trees, and waits for that."""


def drive(queue: Queue, store: RunStore, starter: Starter, on_tick: OnTick) -> dict[str, str]:
    """Executes the jobs of a queue; an interrupt ends those that run, resumable, and goes on.

    Returns:
        The final word on each.
    """
    try:
        while queue.busy:
            while (job := queue.next_to_execute(store)) is not None:
                queue.on_event(job.id, "started")
                starter.start(job, store, queue.room.taken[job.id])
            for run_id, code in starter.ended(store, POLL_SECONDS):
                busy = code == BUSY  # another process has it, or had it a moment ago
                queue.conclude(run_id, "running" if busy else store.state(run_id).name)
            queue.look_elsewhere(store)
            on_tick(sorted(queue.running))
    finally:
        starter.end_all()
    return queue.outcome
