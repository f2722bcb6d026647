"""Inline launcher: one run after another in this process, for debuggers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thesisbench.launch.jobs import Event, Job, OnEvent, OnTick, Queue
from thesisbench.store.runs import RunStore


@dataclass
class InlineLauncher:
    """Runs jobs here, in order; what they print appears on the terminal."""

    def launch(
        self, store: RunStore, jobs: Sequence[Job], on_event: OnEvent, on_tick: OnTick
    ) -> dict[str, str]:
        """Executes jobs."""
        from thesisbench.run import run_folder

        queue = Queue.of(jobs, on_event)
        words: dict[str, Event] = {"done": "done", "diverged": "diverged", "failed": "failed"}
        while (job := queue.next()) is not None:
            on_event(job.id, "started")
            run_folder(store.folder(job.id).path)
            queue.finish(job.id, words.get(store.state(job.id).name, "interrupted"))
            on_tick([])
        return queue.outcome
