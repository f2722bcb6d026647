"""What a launcher is given and what it tells: the small interface that all launchers share.

A launcher only starts `thesisbench.run.run_folder` on folders, in an order that respects what they
need. Leases decide who runs a folder and its files say how it went, so a launcher holds no truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from thesisbench.store.folder import RunFolder
from thesisbench.store.runs import RunStore

FINAL = ("done", "diverged", "failed", "interrupted", "blocked")
Event = Literal["started", "elsewhere", "done", "diverged", "failed", "interrupted", "blocked"]
OnEvent = Callable[[str, Event], None]
OnTick = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Job:
    """A run folder to be executed.

    Attributes:
        id: of the run. needs: ids that must be done before. exclusive: nothing runs beside it.
    """

    id: str
    needs: tuple[str, ...] = ()
    exclusive: bool = False


class Launcher(Protocol):
    """Starts run folders."""

    def launch(
        self, store: RunStore, jobs: Sequence[Job], on_event: OnEvent, on_tick: OnTick
    ) -> dict[str, str]:
        """Executes jobs; returns the final word on each (one of FINAL)."""


@dataclass
class Queue:
    """Which jobs are waiting, running and finished, and which may start.

    Attributes:
        waiting: id -> job, in the order given. running: ids now running here.
        elsewhere: ids that a process we did not start is executing. outcome: id -> final word.
    """

    waiting: dict[str, Job]
    on_event: OnEvent
    running: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    outcome: dict[str, str] = field(default_factory=dict)
    exclusive: bool = False

    @classmethod
    def of(cls, jobs: Sequence[Job], on_event: OnEvent) -> Queue:
        """A queue of jobs; those they need must be among them or done already."""
        return cls({job.id: job for job in jobs}, on_event)

    @property
    def busy(self) -> bool:
        """Whether anything is left to wait for."""
        return bool(self.waiting or self.running or self.elsewhere)

    def next(self) -> Job | None:
        """A job that may start now, taken out of the queue; blocked ones are finished as such."""
        for job in list(self.waiting.values()):
            verdict = self._ready(job)
            if verdict == "blocked":
                del self.waiting[job.id]
                self.finish(job.id, "blocked")
            elif verdict == "ready" and not self.exclusive and not (job.exclusive and self.running):
                del self.waiting[job.id]
                self.running.add(job.id)
                self.exclusive = job.exclusive
                return job
        return None

    def finish(self, run_id: str, word: Event) -> None:
        """Notes the final word on a job."""
        self.running.discard(run_id)
        self.elsewhere.discard(run_id)
        self.exclusive = self.exclusive and bool(self.running)
        self.outcome[run_id] = word
        self.on_event(run_id, word)

    def give_away(self, run_id: str) -> None:
        """Notes that another process has a job."""
        self.running.discard(run_id)
        self.exclusive = self.exclusive and bool(self.running)
        self.elsewhere.add(run_id)
        self.on_event(run_id, "elsewhere")

    def take_back(self, job: Job) -> None:
        """Puts a job back that another process has given up."""
        self.elsewhere.discard(job.id)
        self.waiting[job.id] = job

    def _ready(self, job: Job) -> Literal["ready", "wait", "blocked"]:
        ours = [n for n in job.needs if n in self.outcome or self._pending(n)]
        if any(self.outcome.get(n) in ("failed", "blocked", "interrupted") for n in ours):
            return "blocked"
        return "wait" if any(self._pending(n) for n in ours) else "ready"

    def _pending(self, run_id: str) -> bool:
        return run_id in self.waiting or run_id in self.running or run_id in self.elsewhere


def word_on(folder: RunFolder, store: RunStore) -> str:
    """What a folder says of its run after somebody executed it."""
    return store.state(folder.id).name


def progress_of(store: RunStore, ids: Sequence[str]) -> Mapping[str, Mapping[str, float]]:
    """Progress of running runs, as their folders say."""
    return {run_id: store.state(run_id).progress for run_id in ids}
