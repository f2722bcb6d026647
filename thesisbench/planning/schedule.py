"""How long runs take together: what needs what, on so many workers."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from thesisbench.launch.jobs import Job
from thesisbench.launch.queue import Queue
from thesisbench.launch.room import Room

MOST_SIMULATED = 2000  # jobs; a simulation of more would take longer than anybody likes to wait


def wall_seconds(jobs: Sequence[Job], seconds: Mapping[str, float], room: Room) -> float:
    """The time that jobs take, started in this order by the rules of the launcher.

    Args:
        jobs: in the order in which they are looked at.
        seconds: id -> how long; one that is not there takes no time.
        room: what they share, all of it free.

    >>> lengths = {"a": 3, "b": 1, "c": 2}
    >>> wall_seconds([Job("a"), Job("b"), Job("c", needs=("a",))], lengths, Room(2))
    5.0
    """
    queue = Queue.of(jobs, lambda *_: None, room)
    running: list[tuple[float, str]] = []
    now = 0.0
    while queue.busy:
        while (job := queue.next()) is not None:
            heapq.heappush(running, (now + seconds.get(job.id, 0.0), job.id))
        if not running:
            break  # what is left needs a run that is not among them, or more than there is
        now, finished = heapq.heappop(running)
        queue.finish(finished, "done")
    return now


def bound_seconds(jobs: Sequence[Job], seconds: Mapping[str, float], workers: int) -> float:
    """The least time that jobs can take: the longest chain of needs, or all work shared evenly.

    Args:
        jobs: each after those it needs.
        seconds: id -> how long; one that is not there takes no time.
        workers: jobs at a time.
    """
    ends: dict[str, float] = {}
    for job in jobs:
        ready = max((ends.get(n, 0.0) for n in job.needs), default=0.0)
        ends[job.id] = ready + seconds.get(job.id, 0.0)
    alone = sum(seconds.get(job.id, 0.0) for job in jobs if job.exclusive)
    total = sum(seconds.get(job.id, 0.0) for job in jobs)
    return max([0.0, *ends.values(), alone + (total - alone) / workers])
