"""How long jobs take together, by hand."""

import pytest

from thesisbench.launch.jobs import Job
from thesisbench.launch.room import Room
from thesisbench.planning.schedule import bound_seconds, wall_seconds

CHAIN = [Job("a"), Job("b", needs=("a",)), Job("c", needs=("b",))]
LENGTHS = {"a": 3.0, "b": 2.0, "c": 1.0}


def test_a_chain_takes_its_sum_however_many_workers():
    assert wall_seconds(CHAIN, LENGTHS, Room(1)) == 6
    assert wall_seconds(CHAIN, LENGTHS, Room(8)) == 6
    assert bound_seconds(CHAIN, LENGTHS, 8) == 6


def test_independent_jobs_are_shared():
    jobs, lengths = [Job(n) for n in "abc"], {"a": 4.0, "b": 3.0, "c": 2.0}
    assert wall_seconds(jobs, lengths, Room(1)) == 9
    assert wall_seconds(jobs, lengths, Room(2)) == 5  # a until 4; b until 3, then c until 5
    assert wall_seconds(jobs, lengths, Room(3)) == 4
    assert bound_seconds(jobs, lengths, 2) == 4.5


def test_a_job_waits_for_all_it_needs_and_others_overtake_it():
    jobs = [Job("end", needs=("a", "b")), Job("a"), Job("b"), Job("c")]
    lengths = {"a": 1.0, "b": 5.0, "c": 3.0, "end": 1.0}
    assert wall_seconds(jobs, lengths, Room(2)) == 6  # a, then c until 4, beside b until 5


def test_an_exclusive_job_has_the_machine_for_itself():
    jobs = [Job("a"), Job("b"), Job("timed", exclusive=True)]
    lengths = {"a": 2.0, "b": 5.0, "timed": 1.0}
    assert wall_seconds(jobs, lengths, Room(2)) == 6
    assert bound_seconds(jobs, lengths, 2) == 5


def test_needs_that_are_done_already_hold_nothing_up():
    assert wall_seconds([Job("test", needs=("done before",))], {"test": 2.0}, Room(1)) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_takes_no_time(workers):
    assert wall_seconds([], {}, Room(workers)) == 0
    assert bound_seconds([], {}, workers) == 0
    assert wall_seconds([Job("a")], {}, Room(workers)) == 0
