"""Cells in words."""

from __future__ import annotations

from typing import Any

import pytest

from thesisbench.tables.model import Cell, Interval, Target
from thesisbench.tables.render import words


def cell(values: dict[int, float] | None = None, **changes: Any) -> Cell:
    values = values or {}
    fields: dict[str, Any] = {"source": "run", "state": "done", "expected": tuple(values)}
    return Cell("x.t1", "r", "c", values=values, **{**fields, **changes})


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(89.66, 1, "89.7"), (100.0, 1, "100.0"), (-0.04, 1, "0.0"), (-0.06, 1, "-0.1"), (3.0, 0, "3")],
)
def test_numbers_have_the_digits_of_the_thesis_and_zero_no_sign(
    value: float, decimals: int, text: str
) -> None:
    assert words.number(value, decimals) == text


@pytest.mark.parametrize(
    ("sd", "text"), [(0.46, "0.5"), (0.04, "0.04"), (0.0, "0.0"), (0.00037, "0.0004")]
)
def test_a_spread_looks_like_zero_only_when_it_is(sd: float, text: str) -> None:
    assert words.spread(sd, 1) == text


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (Target(89.7, 0.5, 1), "89.7 ± 0.5"),
        (Target(89.7, None, 1), "89.7"),
        (Target(91, None, 1), "91.0"),
        (Target(reason="not_printed"), "not printed"),
        (Target(reason="diverged"), "diverged"),
        (Target(reason="not_applicable"), "n/a"),
        (Target(reason="not_measured"), "not measured"),
        (Target(), "no target"),
    ],
)
def test_published_values_are_printed_or_their_absence_is_explained(
    target: Target, text: str
) -> None:
    assert words.published_text(cell(target=target), 1) == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (cell({0: 1.0, 1: 2.0, 2: 3.0}), "2.0 ± 1.0 (n=3)"),
        (cell({0: 1.0}), "1.0 (n=1)"),
        (cell({-1: 4.0}, constant=True), "4.0"),
        (cell({0: 1.0, 1: 1.0}, same_as="net=plain"), "= 1.0 ± 0.0 (n=2)"),
        (
            cell({0: 1.0, 1: 3.0}, diverged=frozenset({2, 3, 4}), expected=(0, 1, 2, 3, 4)),
            "2.0 ± 1.4 (n=2), diverged (3 of 5)",
        ),
        (cell(diverged=frozenset({0, 1}), expected=(0, 1)), "diverged (2 of 2)"),
        (
            cell({0: 1.0, 2: 3.0}, state="partial", expected=(0, 1, 2, 3, 4)),
            "2.0 ± 1.4 (n=2), partial 2/5",
        ),
        (
            cell({0: 1.0}, state="partial", diverged=frozenset({1}), expected=(0, 1, 2)),
            "1.0 (n=1), diverged (1 of 3), partial 2/3",
        ),
        (cell(state="missing", expected=(0, 1)), "missing"),
        (cell(state="failed", expected=(0, 1), why="out of memory"), "failed"),
        (cell({0: 1.0}, state="failed", expected=(0, 1)), "1.0 (n=1), failed"),
        (cell({0: 1.0}, state="stale", expected=(0, 1)), "stale"),
        (cell(state="skipped", why="needs 40 GB"), "skipped: needs 40 GB"),
        (cell(state="printed", source="human"), "not run (human)"),
        (cell(state="printed", source="external"), "not run (external software)"),
        (cell(state="printed", source="published"), "not run (printed by others)"),
    ],
)
def test_our_side_of_a_cell(given: Cell, text: str) -> None:
    assert words.ours_text(given, 1) == text


def test_a_value_of_a_diverged_seed_is_not_averaged() -> None:
    given = cell({0: 1.0, 1: 900.0}, diverged=frozenset({1}), expected=(0, 1))
    assert words.ours_text(given, 1) == "1.0 (n=1), diverged (1 of 2)"


@pytest.mark.parametrize(
    ("difference", "text"),
    [(None, ""), (0.34, "+0.3"), (-0.36, "-0.4"), (0.01, "0.0"), (-0.01, "0.0")],
)
def test_differences_carry_their_sign(difference: float | None, text: str) -> None:
    assert words.difference_text(difference, 1) == text


def test_digits_are_the_declared_then_the_printed_then_four_in_all() -> None:
    ours, printed = cell({0: 73.2222}), cell({0: 99.0}, target=Target(81.4, None, 1))
    assert words.decimals_of([ours, printed], 3) == 3
    assert words.decimals_of([ours, printed], None) == 1
    assert words.decimals_of([ours], None) == 2
    assert words.decimals_of([ours, cell({0: 0.5})], None) == 2
    assert words.decimals_of([cell({0: 0.0123})], None) == 5
    assert words.decimals_of([cell({0: 1e-30})], None) == words.MAX_DECIMALS
    assert words.decimals_of([cell({0: 123456.5})], None) == 0
    assert words.decimals_of([cell({0: 3.0}), cell({0: 0.0, 1: 2.0})], None) == 0
    assert words.decimals_of([cell(state="missing")], None) == 0


def test_intervals_name_their_level() -> None:
    assert words.interval_text(Interval(-1.23456, 2.0, 0.95)) == "-1.235 to 2 (95%)"
    assert words.interval_text(None) == ""


def test_durations() -> None:
    spans = [words.duration(seconds) for seconds in (0.04, 8.24, 200, 7300)]
    assert spans == ["0.0 s", "8.2 s", "3.3 min", "2.0 h"]
