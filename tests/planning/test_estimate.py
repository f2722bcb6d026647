"""Which timings an estimate rests on, and what it comes to, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from toy_specs import Toy, toy_chapter
from toy_timings import HERE, accept_timed, fits, steps, took

from thesisbench.planning.estimate import Estimate, Estimator
from thesisbench.planning.machine import Machine
from thesisbench.planning.probe_file import Probe, Probes
from thesisbench.planning.timings import Timings
from thesisbench.tables.model import PlannedRun
from thesisbench.tables.session import Session

ELSEWHERE = Machine("Some CPU", 4)


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    toy = toy_chapter(tmp_path)
    rows = "a: {label: A}, m: {label: M, at: {size: m}}"
    return toy.table(rows, replicates="{seed: [0, 1, 2, 3]}")


def estimator(session: Session) -> Estimator:
    return Estimator(Timings.of(session), Probes(session.store.root), threads=1)


def estimate(toy: Toy, session: Session, run: PlannedRun) -> Estimate:
    """What a session that reads the folder anew expects of a run."""
    fresh = toy.session(scale=session.scale, overrides=session.overrides)
    return estimator(fresh).of(run)


def test_runs_that_differ_in_their_seed_only_are_the_best_basis(toy: Toy) -> None:
    session = toy.session()
    for run, seconds in zip(fits(session, size="s"), (10, 20, 40), strict=False):
        took(session, run, seconds)
    took(session, fits(session, size="m")[0], 1000)
    found = estimate(toy, session, fits(session, size="s")[3])
    assert (found.basis, found.why) == ("alike", "3 runs of the same step and levels")
    assert found.seconds is not None
    spread = (found.seconds.low, found.seconds.middle, found.seconds.high)
    assert spread == pytest.approx((12, 20, 36))


def test_runs_on_other_hardware_or_threads_are_named_and_give_way(toy: Toy) -> None:
    session = toy.session()
    first, second, *_, last = fits(session, size="s")
    took(session, first, 50, on=ELSEWHERE)
    found = estimate(toy, session, last)
    assert found.why == (
        f"1 run on Some CPU with 4 threads (here: {HERE.text}) of the same step and levels"
    )
    assert found.seconds is not None
    assert found.seconds.middle == 50
    took(session, second, 80)
    found = estimate(toy, session, last)
    assert found.why == "1 run of the same step and levels"
    assert found.seconds is not None
    assert found.seconds.middle == 80


def test_a_run_that_diverged_or_was_resumed_is_no_timing(toy: Toy) -> None:
    session = toy.session()
    first, second, *_, last = fits(session, size="s")
    took(session, first, 5, outcome="diverged")
    took(session, second, 5, attempts=2)
    found = estimate(toy, session, last)
    assert (found.seconds, found.basis) == (None, "none")
    assert "--probe" in found.why


def test_an_evaluation_is_like_those_of_like_fits_only(toy: Toy) -> None:
    session = toy.session()
    for run in (*fits(session), *steps(session, "test")[:3]):
        took(session, run, 7 if run.kind == "fit" else 2)
    known, other = steps(session, "test")[3], steps(session, "test")[4]
    found = estimate(toy, session, known)
    assert (found.basis, found.why) == ("alike", "3 runs of the same step and levels")
    assert estimate(toy, session, other).basis == "other levels"


def test_another_scale_is_scaled_by_the_epochs(toy: Toy) -> None:
    small, paper = toy.session(), toy.session(scale="paper")
    for run, seconds in zip(fits(small, size="s"), (10, 12), strict=False):
        took(small, run, seconds)
    found = estimate(toy, paper, fits(paper, size="s")[0])
    assert found.basis == "scaled"  # 9 epochs instead of 3
    assert found.why == "2 runs of the same recipe at scale small (11 s, times 3 for epochs)"
    assert found.seconds is not None
    assert found.seconds.middle == pytest.approx(33)


def test_runs_changed_on_the_command_line_are_scaled_too(toy: Toy) -> None:
    usual, longer = toy.session(), toy.session(overrides=("schedule.epochs=6",))
    took(usual, fits(usual, size="s")[0], 10)
    found = estimate(toy, longer, fits(longer, size="s")[0])
    assert found.seconds is not None
    assert found.seconds.middle == pytest.approx(20)
    assert "with other levels or settings (10 s, times 2 for epochs)" in found.why
    took(longer, fits(longer, size="s")[0], 21, overridden=True)
    assert estimate(toy, longer, fits(longer, size="s")[1]).basis == "alike"
    assert estimate(toy, usual, fits(usual, size="s")[1]).basis == "alike"


def test_flops_scale_to_another_network(toy: Toy) -> None:
    session = toy.session()
    took(session, fits(session, size="s")[0], 10, facts={"flops_per_sample": 100})
    took(session, fits(session, size="m")[0], 1, facts={"flops_per_sample": 400}, attempts=2)
    found = estimate(toy, session, fits(session, size="m")[1])
    assert found.why.endswith("with other levels or settings (10 s, times 4 for FLOPs)")
    assert found.seconds is not None
    assert found.seconds.middle == pytest.approx(40)


def test_other_levels_that_cannot_be_scaled_are_taken_as_they_are(toy: Toy) -> None:
    session = toy.session()
    took(session, fits(session, size="s")[0], 10)
    found = estimate(toy, session, fits(session, size="m")[0])
    assert (found.basis, found.why) == (
        "other levels",
        "1 run of the same step at other levels, not scaled",
    )
    assert found.seconds is not None
    assert found.seconds.middle == 10


def test_nothing_is_made_up(toy: Toy) -> None:
    session = toy.session()
    took(session, fits(session, size="s")[0], 10)
    found = estimate(toy, session, steps(session, "test")[0])
    assert (found.seconds, found.basis, found.size) == (None, "none", None)


PROBE = Probe(20, (2.0, 2.0, 2.0), 0.5, 1.0, 7.0, batches=10, validation_batches=4)


def test_a_probe_is_used_where_it_was_made(toy: Toy) -> None:
    session = toy.session()
    took(session, fits(session, size="m")[0], 1000)
    took(session, fits(session, size="s")[0], 1000, on=ELSEWHERE)
    run = fits(session, size="s")[1]
    settings = estimator(session).settings(run)
    Probes(session.store.root).keep([(settings, ELSEWHERE, PROBE)])
    assert estimate(toy, session, run).basis == "alike"
    Probes(session.store.root).keep([(settings, HERE, PROBE)])
    found = estimate(toy, session, run)
    assert (found.basis, found.why) == ("probe", "a probe of 20 training steps")
    assert found.seconds is not None
    assert found.seconds.middle == 7 + 3 * (10 * 2 + 1) + 3 * 4 * 0.5
    took(session, run, 55)
    assert estimate(toy, session, fits(session, size="s")[2]).basis == "alike"


def test_a_damaged_file_of_probes_is_as_if_there_were_none(tmp_path: Path) -> None:
    probes = Probes(tmp_path)
    probes.keep([("a", HERE, PROBE)])
    assert Probes(tmp_path).get("a", HERE) == PROBE
    probes.path.write_text('{"format": 1, "probes": [')
    assert Probes(tmp_path).get("a", HERE) is None


def test_accepted_records_count_as_well(toy: Toy) -> None:
    session = toy.session()
    accept_timed(toy, fits(session, size="s")[0], 30, facts={"weights_bytes": 500})
    found = estimate(toy, session, fits(session, size="s")[1])
    assert found.why == "1 run of the same step and levels"
    assert (found.size, found.size_is_least) == (500, True)


def test_the_size_is_that_of_the_folders_of_like_runs(toy: Toy) -> None:
    session = toy.session()
    run, other = fits(session, size="s")[:2]
    took(session, run, 10)
    folder = session.store.folder(run.id)
    folder.attempt_dir(1).mkdir(parents=True)
    before = sum(p.stat().st_size for p in folder.path.rglob("*") if p.is_file())
    (folder.attempt_dir(1) / "weights-0.pt").write_bytes(b"x" * 1000)
    found = estimate(toy, session, other)
    assert (found.size, found.size_is_least) == (before + 1000, False)


def test_a_fit_on_gpus_is_not_timed_by_one_on_a_cpu_unnamed(toy: Toy) -> None:
    session = toy.session()
    run = fits(session, size="s")[1]
    took(session, fits(session, size="s")[0], 10, on=replace(HERE, gpus=("H100",)))
    assert "on H100 (here:" in estimate(toy, session, run).why
