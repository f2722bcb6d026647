"""Which runs share a machine: by hand, and as a property of any queue."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesisbench.errors import UserError
from thesisbench.launch.inline import InlineLauncher
from thesisbench.launch.jobs import Job
from thesisbench.launch.queue import Queue
from thesisbench.launch.resources import Resources
from thesisbench.launch.room import Place, Room


def on_gpus(name: str, count: int = 1, *needs: str) -> Job:
    return Job(name, needs, resources=Resources("gpu", count))


def on_cpus(name: str, count: int = 1, *needs: str, exclusive: bool = False) -> Job:
    return Job(name, needs, exclusive, Resources("cpu", count))


@dataclass
class Machine:
    """A machine on which each job takes a known time; nothing is executed."""

    queue: Queue
    seconds: dict[str, float]
    now: float = 0.0
    ends: list[tuple[float, str]] = field(default_factory=list)
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    @classmethod
    def run(cls, jobs: list[Job], room: Room, **seconds: float) -> Machine:
        machine = cls(Queue.of(jobs, lambda *_: None, room), seconds)
        while machine.queue.busy:
            machine.fill()
            assert machine.ends, "jobs wait for ever"
            machine.now, name = heapq.heappop(machine.ends)
            machine.ended[name] = machine.now
            machine.queue.finish(name, "done")
        return machine

    def fill(self) -> None:
        while (job := self.queue.next()) is not None:
            self.began[job.id] = self.now
            self.places[job.id] = self.queue.room.taken[job.id]
            heapq.heappush(self.ends, (self.now + self.seconds.get(job.id, 1.0), job.id))


def gpus(count: int) -> tuple[str, ...]:
    return tuple(f"g{i}" for i in range(count))


def test_one_run_a_gpu_each_with_its_own() -> None:
    jobs = [on_gpus(n) for n in "abcd"]
    done = Machine.run(jobs, Room(1, gpus(2)), a=3, b=1, c=1, d=1)
    assert done.began == {"a": 0, "b": 0, "c": 1, "d": 2}
    assert {n: p.gpus for n, p in done.places.items()} == {
        "a": ("g0",), "b": ("g1",), "c": ("g1",), "d": ("g1",)
    }  # fmt: skip


def test_one_two_and_four_gpus_are_packed_on_eight() -> None:
    jobs = [on_gpus("four", 4), on_gpus("two", 2), on_gpus("one"), on_gpus("other")]
    done = Machine.run(jobs, Room(1, gpus(8)))
    assert set(done.began.values()) == {0}
    used = [name for place in done.places.values() for name in place.gpus]
    assert sorted(used) == list(gpus(8))


def test_runs_on_one_gpu_do_not_overtake_one_on_four_for_ever() -> None:
    small = [on_gpus(f"s{i}") for i in range(20)]
    jobs = [*small[:4], on_gpus("large", 4), *small[4:]]
    done = Machine.run(jobs, Room(1, gpus(4)), s0=1, s1=2, s2=3, s3=4)
    assert done.began["large"] == 4
    assert all(done.began[job.id] >= 5 for job in small[4:])


def test_a_run_that_waits_for_gpus_holds_up_none_on_the_cpu() -> None:
    jobs = [on_gpus("a"), on_gpus("both", 2), on_cpus("c"), on_cpus("d")]
    done = Machine.run(jobs, Room(1, gpus(2)), a=5)
    assert done.began == {"a": 0, "both": 5, "c": 0, "d": 1}


def test_a_run_that_still_needs_another_claims_nothing() -> None:
    jobs = [on_gpus("large", 2, "first"), on_gpus("first"), on_gpus("small")]
    done = Machine.run(jobs, Room(1, gpus(2)), first=2, small=9)
    assert done.began == {"first": 0, "small": 0, "large": 9}


def test_a_cpu_run_of_two_processes_takes_two_workers_or_all_there_are() -> None:
    jobs = [on_cpus("a"), on_cpus("pair", 2), on_cpus("b")]
    done = Machine.run(jobs, Room(2), a=3)
    assert done.began == {"a": 0, "pair": 3, "b": 4}
    assert Machine.run([on_cpus("pair", 2)], Room(1)).ended == {"pair": 1}


def test_workers_limit_the_runs_on_whatever_when_they_are_given() -> None:
    jobs = [on_gpus("a"), on_gpus("b"), on_cpus("c")]
    assert set(Machine.run(jobs, Room(1, gpus(2))).began.values()) == {0}
    assert sorted(Machine.run(jobs, Room(1, gpus(2), most=1)).began.values()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("job", "there", "words"),
    [
        (on_gpus("a", 4), 2, "wants 4 GPUs and this machine has 2 GPUs.*devices=2"),
        (on_gpus("a", 2), 1, "wants 2 GPUs and this machine has 1 GPU that"),
        (on_gpus("a"), 0, "wants 1 GPU and this machine has no GPU.*trainer=cpu"),
        (Job("a", resources=Resources("cpu", 1, nodes=2)), 0, "wants 2 machines"),
    ],
)
def test_what_never_fits_is_refused_in_one_line(job: Job, there: int, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        Room(2, gpus(there)).check([on_cpus("fine"), job])
    assert "\n" not in str(caught.value)


def test_inline_has_one_process() -> None:
    InlineLauncher().check([on_gpus("a"), on_cpus("b")])
    with pytest.raises(UserError, match="2 devices, and launcher=inline has one process"):
        InlineLauncher().check([on_cpus("a", 2)])


@st.composite
def queues(draw: st.DrawFn) -> tuple[list[Job], Room, dict[str, float]]:
    room = Room(draw(st.integers(1, 3)), gpus(draw(st.integers(0, 4))))
    jobs: list[Job] = []
    for i in range(draw(st.integers(1, 12))):
        needs = tuple({f"j{draw(st.integers(0, i - 1))}" for _ in range(draw(st.integers(0, 2)))}
                      if i else ())  # fmt: skip
        if room.gpus and draw(st.booleans()):
            wanted = Resources("gpu", draw(st.integers(1, len(room.gpus))))
        else:
            wanted = Resources("cpu", draw(st.integers(1, 4)))
        jobs.append(Job(f"j{i}", needs, draw(st.integers(0, 5)) == 0, wanted))
    seconds = {job.id: float(draw(st.integers(1, 5))) for job in jobs}
    return draw(st.permutations(jobs)), room, seconds


class Watched(Machine):
    """Looks, whenever all that may start has started, at who waits and why."""

    def fill(self) -> None:
        super().fill()
        room, claimed = self.queue.room, False
        used = [name for place in room.taken.values() for name in place.gpus]
        assert len(set(used)) == len(used), "a GPU is used twice"
        assert sum(place.processes for place in room.taken.values()) <= room.cpus
        alone = any(job.exclusive for job in self.queue.running.values())
        assert not alone or len(self.queue.running) == 1
        for job in self.queue.waiting.values():
            ready = all(need in self.ended for need in job.needs)
            wanted = job.resources.gpus(len(room.gpus))
            if not ready or job.exclusive or alone or not wanted:
                continue
            free = len(room.gpus) - len(used)
            assert claimed or wanted > free, "it waits while its GPUs are free"
            claimed = True


@settings(max_examples=300, deadline=None)
@given(queues())
def test_any_queue_ends_and_shares_the_machine_as_it_should(
    case: tuple[list[Job], Room, dict[str, float]],
) -> None:
    jobs, room, seconds = case
    done = Watched.run(jobs, room, **seconds)
    assert set(done.ended) == {job.id for job in jobs}
    assert not room.taken
    for job in jobs:
        assert all(done.ended[need] <= done.began[job.id] for need in job.needs)
        assert len(done.places[job.id].gpus) == job.resources.gpus(len(room.gpus))
