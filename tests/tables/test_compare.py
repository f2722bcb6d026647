"""A cell against its published value, word by word."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from thesisbench.tables.judge import CellVerdictDetail, judge_cell
from thesisbench.tables.model import Cell, Target

OURS = [81.0, 80.0, 82.0, 80.0, 82.0]  # mean 81, sd 1


def cell(values: list[float] | dict[int, float] = OURS, **changes: Any) -> Cell:
    by_seed = values if isinstance(values, dict) else dict(enumerate(values))
    fields: dict[str, Any] = {
        "source": "run",
        "state": "done",
        "values": by_seed,
        "expected": tuple(by_seed),
        "target": Target(81.4, decimals=1),
        "comparable": True,
    }
    return Cell("x.t1", "r", "c", **{**fields, **changes})


def test_target_inside_the_prediction_interval_is_reproduced() -> None:
    detail = judge_cell(cell(), better="higher")
    half = 2.776445 * 1.0 * math.sqrt(1.2) + 0.05  # t(0.975, 4), one observation, half a unit
    assert detail.verdict == "reproduced"
    assert detail.why == ""
    assert detail.difference == pytest.approx(-0.4)
    assert detail.interval is not None
    assert detail.interval.low == pytest.approx(81 - half, abs=1e-5)
    assert detail.interval.high == pytest.approx(81 + half, abs=1e-5)


@pytest.mark.parametrize(
    ("target", "better", "verdict"),
    [
        (84.0, "higher", "reproduced"),
        (84.1, "higher", "worse"),
        (84.1, "lower", "better"),
        (84.1, "none", "worse"),
        (78.0, "higher", "reproduced"),
        (77.9, "higher", "better"),
        (77.9, "lower", "worse"),
    ],
)
def test_better_and_worse_are_named(target: float, better: Any, verdict: str) -> None:
    detail = judge_cell(cell(target=Target(target, decimals=1)), better=better)
    assert detail.verdict == verdict
    if better == "none":
        assert detail.why == "differs, and neither direction is better"


def test_printed_spread_and_n_narrow_the_interval() -> None:
    far = Target(82.5, std=0.3, decimals=1)
    assert judge_cell(cell(target=far), better="higher", target_n=5).verdict == "worse"
    assert (
        judge_cell(cell(target=Target(82.5, decimals=1)), better="higher").verdict == "reproduced"
    )


def test_half_a_printed_unit_counts() -> None:
    same = [80.0] * 3
    for target, verdict in [(80.4, "reproduced"), (80.6, "worse")]:
        detail = judge_cell(cell(same, target=Target(target, decimals=0)), better="higher")
        assert detail.verdict == verdict


@pytest.mark.parametrize(("n", "why"), [(1, "single run"), (2, "2 runs")])
def test_fewer_than_three_runs_are_undecided_with_the_difference(n: int, why: str) -> None:
    detail = judge_cell(cell(OURS[:n]), better="higher")
    assert (detail.verdict, detail.why, detail.interval) == ("undecided", why, None)
    assert detail.difference == pytest.approx(sum(OURS[:n]) / n - 81.4)


@pytest.mark.parametrize(
    ("changes", "verdict", "why"),
    [
        ({"state": "missing", "values": {}}, "missing", "no record"),
        ({"state": "stale"}, "missing", "records of an older revision only"),
        ({"state": "failed", "why": "out of memory"}, "failed", "out of memory"),
        ({"state": "skipped", "why": "no GPU"}, "not comparable", "skipped: no GPU"),
        (
            {"state": "printed", "source": "human"},
            "not comparable",
            "a printed number: nothing is run for it",
        ),
        ({"comparable": False}, "not comparable", "not made at scale paper"),
        ({"comparable": False, "why": "stand-in: digits"}, "not comparable", "stand-in: digits"),
        ({"target": Target()}, "not comparable", "there is no published number"),
        (
            {"target": Target(reason="not_measured")},
            "not comparable",
            "the thesis did not measure it",
        ),
        (
            {"target": Target(reason="not_printed")},
            "not comparable",
            "the thesis prints no number here",
        ),
        ({"values": {}, "state": "partial"}, "undecided", "no finished run"),
    ],
)
def test_what_cannot_be_compared_says_why(changes: Any, verdict: str, why: str) -> None:
    detail = judge_cell(cell(**changes), better="higher")
    assert detail == CellVerdictDetail(verdict, why)  # type: ignore[arg-type]


def test_lost_seeds_are_counted_and_more_than_half_are_too_many() -> None:
    some = judge_cell(cell(expected=tuple(range(7)), state="partial"), better="higher")
    assert (some.verdict, some.why) == ("reproduced", "2 of 7 seeds have no value")
    few = judge_cell(cell(expected=tuple(range(11)), state="partial"), better="higher")
    assert (few.verdict, few.why) == ("undecided", "6 of 11 seeds have no value")
    half = judge_cell(cell(expected=tuple(range(10)), state="partial"), better="higher")
    assert (half.verdict, half.why) == ("reproduced", "5 of 10 seeds have no value")
    diverged = cell(diverged=frozenset({4, 9}), expected=tuple(range(5)))
    detail = judge_cell(diverged, better="higher")
    assert (detail.verdict, detail.why) == ("reproduced", "2 of 6 seeds have no value")
    assert detail.difference == pytest.approx(80.75 - 81.4)


@pytest.mark.parametrize(
    ("values", "diverged", "target", "verdict", "why"),
    [
        ([], {0, 1, 2}, Target(reason="diverged"), "reproduced", "as in the thesis"),
        (OURS, set(), Target(reason="diverged"), "better", "finished here"),
        (OURS, {5}, Target(reason="diverged"), "undecided", "1 of 6 runs diverged"),
        ([], {0, 1, 2}, Target(81.4), "worse", "all 3 runs diverged"),
    ],
)
def test_divergence_is_an_outcome(
    values: list[float], diverged: set[int], target: Target, verdict: str, why: str
) -> None:
    detail = judge_cell(cell(values, diverged=frozenset(diverged), target=target), better="higher")
    assert detail.verdict == verdict
    assert why in detail.why


def test_a_constant_agrees_in_its_digits_or_is_undecided() -> None:
    same = judge_cell(cell({-1: 81.35}, constant=True, expected=()), better="higher")
    assert (same.verdict, same.why) == ("reproduced", "the printed digits agree")
    off = judge_cell(cell({-1: 81.3}, constant=True, expected=()), better="higher")
    assert (off.verdict, off.why) == ("undecided", "one value without replicates")
    assert off.difference == pytest.approx(-0.1)


@pytest.mark.parametrize("n", [3, 10])
def test_equal_processes_are_reproduced_as_often_as_the_level_says(n: int) -> None:
    rng = np.random.default_rng(n)
    rounds, hits = 1500, 0
    for _ in range(rounds):
        published = Target(float(rng.normal(50, 1)), decimals=9)
        ours = cell(rng.normal(50, 1, n).tolist(), target=published)
        hits += judge_cell(ours, better="higher").verdict == "reproduced"
    assert abs(hits / rounds - 0.95) < 4 * math.sqrt(0.95 * 0.05 / rounds)
