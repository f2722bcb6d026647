"""Inline launcher: one run after another in this process, for debuggers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from thesisbench.launch.jobs import BUSY, Job, OnEvent, OnTick, Queue
from thesisbench.store.runs import RunStore

POLL_SECONDS = 0.1


@dataclass
class InlineLauncher:
    """Runs jobs here, in order; what they print appears on the terminal.

    Attributes:
        threads: that torch computes with meanwhile; they change the last bits of results.
    """

    threads: int = 1

    def launch(
        self, store: RunStore, jobs: Sequence[Job], on_event: OnEvent, on_tick: OnTick
    ) -> dict[str, str]:
        """Executes jobs."""
        from thesisbench.run import run_folder

        queue = Queue.of(jobs, on_event)
        while queue.busy:
            if job := queue.next_to_execute(store):
                on_event(job.id, "started")
                with torch_threads(self.threads):
                    code = run_folder(store.folder(job.id).path)
                busy = code == BUSY  # another process has it, or had it a moment ago
                queue.conclude(job.id, "running" if busy else store.state(job.id).name)
            elif queue.busy:
                time.sleep(POLL_SECONDS)
            queue.look_elsewhere(store)
            on_tick([])
        return queue.outcome


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
