"""Which jobs are waiting, running and finished, and which may start: the same for all launchers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from thesisbench.launch.jobs import Event, Job, OnEvent
from thesisbench.launch.room import Claims, Place, Room
from thesisbench.store.runs import RunStore

_LOST = ("failed", "blocked", "interrupted")


@dataclass
class Queue:
    """Which jobs are waiting, running and finished, and which may start.

    Attributes:
        waiting: id -> job, in the order given. room: what they compute on.
        running: ids now running here. elsewhere: jobs that a process we did not start is executing.
        outcome: id -> final word. exclusive: whether the one that runs wants to be alone.
    """

    waiting: dict[str, Job]
    on_event: OnEvent
    room: Room
    running: dict[str, Job] = field(default_factory=dict)
    elsewhere: dict[str, Job] = field(default_factory=dict)
    outcome: dict[str, str] = field(default_factory=dict)
    exclusive: bool = False

    @classmethod
    def of(cls, jobs: Sequence[Job], on_event: OnEvent, room: Room) -> Queue:
        """A queue of jobs; those they need must be among them or done already."""
        return cls({job.id: job for job in jobs}, on_event, room)

    @property
    def busy(self) -> bool:
        """Whether anything is left to wait for."""
        return bool(self.waiting or self.running or self.elsewhere)

    def next(self) -> Job | None:
        """A job that may start now, taken out of the queue; blocked ones are finished as such."""
        claims = Claims()
        if self.room.full:
            return None
        for job in list(self.waiting.values()):
            verdict = self._ready(job)
            if verdict == "blocked":
                del self.waiting[job.id]
                self.finish(job.id, "blocked")
            elif verdict == "ready" and (place := self._place_for(job, claims)):
                return self._start(job, place)
        return None

    def _place_for(self, job: Job, claims: Claims) -> Place | None:
        """A place in which nothing that is timed would be disturbed, as far as we know."""
        if job.exclusive and (self.running or self.elsewhere):
            return None
        if self.exclusive or any(other.exclusive for other in self.elsewhere.values()):
            return None
        return self.room.place(job, claims)

    def _start(self, job: Job, place: Place) -> Job:
        del self.waiting[job.id]
        self.running[job.id] = job
        self.room.taken[job.id] = place
        self.exclusive = job.exclusive
        return job

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
        self._leave(run_id)
        self.elsewhere.pop(run_id, None)
        self.outcome[run_id] = word
        self.on_event(run_id, word)

    def give_away(self, run_id: str) -> None:
        """Notes that another process has a job."""
        self.elsewhere[run_id] = self.running[run_id]
        self._leave(run_id)
        self.on_event(run_id, "elsewhere")

    def _leave(self, run_id: str) -> None:
        self.running.pop(run_id, None)
        self.room.taken.pop(run_id, None)
        self.exclusive = self.exclusive and bool(self.running)

    def _ready(self, job: Job) -> Literal["ready", "wait", "blocked"]:
        words = [self.outcome.get(n) for n in job.needs]
        if any(word in _LOST for word in words):
            return "blocked"
        waits = any(
            word is None and self._pending(need)
            for word, need in zip(words, job.needs, strict=True)
        )
        return "wait" if waits else "ready"

    def _pending(self, run_id: str) -> bool:
        return run_id in self.waiting or run_id in self.running or run_id in self.elsewhere
