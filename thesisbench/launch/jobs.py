"""What a launcher is given and what it tells: the small interface that all launchers share.

A launcher only starts `thesisbench.run.run_folder` on folders, in an order that respects what they
need. Leases decide who runs a folder and its files say how it went, so a launcher holds no truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from thesisbench.store.runs import RunStore

DONE, FAILED, BUSY = 0, 1, 75  # exit codes of an executed run folder
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
        elsewhere: jobs that a process we did not start is executing. outcome: id -> final word.
    """

    waiting: dict[str, Job]
    on_event: OnEvent
    running: dict[str, Job] = field(default_factory=dict)
    elsewhere: dict[str, Job] = field(default_factory=dict)
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
            elif verdict == "ready" and self._room_for(job):
                del self.waiting[job.id]
                self.running[job.id] = job
                self.exclusive = job.exclusive
                return job
        return None

    def _room_for(self, job: Job) -> bool:
        """Whether nothing that is timed would be disturbed, as far as we know."""
        if job.exclusive and (self.running or self.elsewhere):
            return False
        return not self.exclusive and not any(other.exclusive for other in self.elsewhere.values())

    def next_to_execute(self, store: RunStore) -> Job | None:
        """Like `next`; jobs that somebody has done or is doing meanwhile are noted as such."""
        while (job := self.next()) is not None:
            state = store.state(job.id).name
            if state not in ("done", "diverged", "running"):
                return job
            self.conclude(job.id, state)
        return None

    def conclude(self, run_id: str, state: str) -> None:
        """Notes what a folder says of a run that is not executed here, or no longer."""
        words: dict[str, Event] = {"done": "done", "diverged": "diverged", "failed": "failed"}
        if state == "running":
            self.give_away(run_id)
        else:
            self.finish(run_id, words.get(state, "interrupted"))

    def look_elsewhere(self, store: RunStore) -> None:
        """Notes what has become of the jobs that other processes have."""
        for run_id, job in sorted(self.elsewhere.items()):
            state = store.state(run_id).name
            if state in ("interrupted", "queued"):
                del self.elsewhere[run_id]
                self.waiting[run_id] = job
            elif state != "running":
                self.conclude(run_id, state)

    def finish(self, run_id: str, word: Event) -> None:
        """Notes the final word on a job."""
        self.running.pop(run_id, None)
        self.elsewhere.pop(run_id, None)
        self.exclusive = self.exclusive and bool(self.running)
        self.outcome[run_id] = word
        self.on_event(run_id, word)

    def give_away(self, run_id: str) -> None:
        """Notes that another process has a job."""
        self.elsewhere[run_id] = self.running.pop(run_id)
        self.exclusive = self.exclusive and bool(self.running)
        self.on_event(run_id, "elsewhere")

    def _ready(self, job: Job) -> Literal["ready", "wait", "blocked"]:
        ours = [n for n in job.needs if n in self.outcome or self._pending(n)]
        if any(self.outcome.get(n) in ("failed", "blocked", "interrupted") for n in ours):
            return "blocked"
        return "wait" if any(self._pending(n) for n in ours) else "ready"

    def _pending(self, run_id: str) -> bool:
        return run_id in self.waiting or run_id in self.running or run_id in self.elsewhere
