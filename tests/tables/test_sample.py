"""What an atom is judged from: seeds, divergence, constants, printed numbers, shared runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from thesisbench.tables.claims import parse_claims
from thesisbench.tables.model import Cell, Target
from thesisbench.tables.sample import (
    CellKey,
    Sample,
    Settled,
    check_testable,
    find_cells,
    sample_atom,
)

A = [83.0, 85.0, 84.0, 88.0]
B = [80.0, 81.0, 79.0, 80.0]  # A - B = 3, 4, 5, 8
GREATER = "t2_1[a].x > t2_1[b].x"
PRINTED: dict[str, Any] = {"source": "human", "state": "printed"}

Cells = dict[CellKey, Cell]


def at(
    row: str, column: str, values: Sequence[float] | Mapping[int, float] = (), **changes: Any
) -> Cells:
    """A cell of the table, its values by seed from 0, its runs named after the row."""
    values = values if isinstance(values, Mapping) else dict(enumerate(values))
    changes = {"expected": tuple(values), "source": "run", "state": "done", **changes}
    runs = changes.pop("runs", {seed: (f"{row}{seed}",) for seed in values})
    cell = Cell("kayhan.t2.1", row, column, values=values, runs=runs, **changes)
    return {cell.key: cell}


def sample(
    cells: Cells, text: str = GREATER, *, scale: str = "small", kind: str = "paired"
) -> Sample:
    """The sample of one atom, after all checks."""
    data = {"id": "C1", "text": "x", "where": ["kayhan.t2.1"], "atoms": [{kind: text}]}
    claim = parse_claims({"claims": [data]}, "x/y")[0]
    found = find_cells(claim.atoms[0], claim, cells)
    check_testable(claim.atoms[0], found, scale)
    return sample_atom(claim.atoms[0], found)


def settled(cells: Cells, text: str = GREATER, **options: Any) -> tuple[str, str]:
    """Result and reason of an atom that never gets to its statistics."""
    with pytest.raises(Settled) as stop:
        sample(cells, text, **options)
    return stop.value.result, stop.value.why


def test_differences_are_paired_by_seed() -> None:
    got = sample(at("a", "x", A) | at("b", "x", dict(reversed(list(enumerate(B))))))
    assert dict(got.differences) == {0: 3.0, 1: 4.0, 2: 5.0, 3: 8.0}
    assert (got.dropped, got.constant, got.mostly_dropped) == ((), False, False)


def test_seeds_count_when_they_are_done_on_both_sides() -> None:
    cells = at("a", "x", {0: 3.0, 1: 4.0, 2: 5.0, 3: 9.0}, expected=(0, 1, 2, 3, 4, 5))
    cells |= at("b", "x", {0: 0.0, 1: 0.0, 2: 0.0, 4: 70.0}, expected=(0, 1, 2, 3, 4))
    got = sample(cells)
    assert dict(got.differences) == {0: 3.0, 1: 4.0, 2: 5.0}
    assert (got.dropped, got.mostly_dropped) == ((3, 4, 5), False)
    assert sample(cells | at("a", "x", {0: 3.0, 3: 1.0})).mostly_dropped


def test_diverged_seeds_have_no_value() -> None:
    got = sample(at("a", "x", A, diverged=frozenset({3, 7})) | at("b", "x", B))
    assert (set(got.differences), got.dropped) == ({0, 1, 2}, (3, 7))


def test_share_of_diverged_seeds_is_one_or_zero_per_seed() -> None:
    partly = at("a", "x", {0: 1.0, 1: 2.0}, diverged=frozenset({2, 3}), expected=(0, 1, 2, 3, 4))
    got = sample(partly | at("b", "x", B), "diverged(t2_1[a].x) > diverged(t2_1[b].x)")
    assert dict(got.differences) == {0: 0.0, 1: 0.0, 2: 1.0, 3: 1.0}
    assert got.dropped == (4,)
    gone = at("a", "x", {}, diverged=frozenset({0, 1}), expected=(0, 1))
    assert dict(sample(gone, "diverged(t2_1[a].x) < 2").differences) == {0: -1.0, 1: -1.0}
    assert settled(gone | at("b", "x", B)) == (
        "undecided",
        "t2_1[a].x has no value: every run diverged",
    )


@pytest.mark.parametrize("state", ["missing", "failed", "stale"])
def test_a_cell_without_value_is_undecided_and_named(state: str) -> None:
    cells = at("a", "x", A if state == "stale" else [], state=state) | at("b", "x", B)
    assert settled(cells) == ("undecided", f"t2_1[a].x has no value: {state}")


def test_a_cell_that_is_not_there_is_undecided_and_named() -> None:
    assert settled(at("a", "x", A)) == ("undecided", "there is no cell t2_1[b].x")


def test_tables_of_other_theses_with_the_same_key_are_not_mixed_up() -> None:
    other = Cell("liu.t2.1", "a", "x", "run", "done", values={0: 0.0})
    assert len(sample({other.key: other} | at("a", "x", A) | at("b", "x", B)).differences) == 4


def test_arithmetic_is_per_seed_never_of_means() -> None:
    cells = at("a", "x", [1.0, 2.0]) | at("b", "x", [2.0, 1.0])
    assert dict(sample(cells, "t2_1[a].x / t2_1[b].x > 1").differences) == {0: -0.5, 1: 1.0}


@pytest.mark.parametrize(
    ("bad", "why"),
    [(0.0, "seed 1: division by zero"), (math.nan, "seed 1: t2_1[b].x is not finite")],
)
def test_an_expression_without_value_is_undecided(bad: float, why: str) -> None:
    cells = at("a", "x", [1.0, 2.0, 3.0]) | at("b", "x", [1.0, bad, 1.0])
    assert settled(cells, "t2_1[a].x / t2_1[b].x > 1") == ("undecided", why)


def test_skipped_cells_are_not_tested() -> None:
    skipped = at("b", "x", state="skipped", why="needs a GPU")
    why = "t2_1[b].x is skipped: needs a GPU"
    assert settled(at("a", "x", A) | skipped) == ("not tested", why)


def test_a_run_is_not_compared_with_itself() -> None:
    a = at("a", "x", A)
    cells = a | at("b", "x", A, runs=a["kayhan.t2.1", "a", "x"].runs, same_as="a")
    expected = ("not tested", "t2_1[a].x and t2_1[b].x are the same run at this scale")
    assert settled(cells) == expected
    assert settled(cells, "t2_1[a].x - t2_1[b].x > 0") == expected
    assert settled(cells, "t2_1[a].x == t2_1[b].x", kind="exact") == expected
    assert len(sample(cells, "mean(t2_1[a].x, t2_1[b].x) > 10").differences) == 4


def test_two_metrics_of_one_run_are_compared() -> None:
    runs = {seed: (f"r{seed}",) for seed in range(4)}
    alias = at("b", "x", B, runs=runs, same_as="a")  # another metric of the run it shows
    assert len(sample(at("a", "x", A, runs=runs) | alias).differences) == 4
    equal = at("a", "x", A, runs=runs) | at("b", "x", A, runs=runs)  # equal, but not declared
    assert set(sample(equal).differences.values()) == {0.0}


def test_a_step_without_replicates_is_a_constant() -> None:
    constant = at("b", "x", {-1: 80.0}, constant=True)
    got = sample(at("a", "x", A) | constant)
    assert dict(got.differences) == {0: 3.0, 1: 5.0, 2: 4.0, 3: 8.0}
    alone = sample(constant, "t2_1[b].x > 79")
    assert (dict(alone.differences), alone.constant) == ({-1: 1.0}, True)
    lost = at("b", "x", {}, constant=True, state="missing")
    assert settled(at("a", "x", A) | lost) == ("undecided", "t2_1[b].x has no value: missing")


@pytest.mark.parametrize("source", ["published", "external", "human"])
def test_printed_numbers_are_constants_at_paper_only(source: str) -> None:
    printed = at("b", "x", source=source, state="printed", target=Target(80.0))
    cells = at("a", "x", A, comparable=True) | printed
    assert dict(sample(cells, scale="paper").differences) == {0: 3.0, 1: 5.0, 2: 4.0, 3: 8.0}
    for scale in ("smoke", "small"):
        result, why = settled(cells, scale=scale)
        assert result == "not tested"
        assert why == "t2_1[b].x is a printed number: judged at scale paper only"


def test_printed_numbers_need_comparable_runs() -> None:
    printed = at("b", "x", **PRINTED, target=Target(80.0))
    overridden = at("a", "x", A, comparable=False, why="overridden: lr=1")
    result, why = settled(overridden | printed, scale="paper")
    assert result == "not tested"
    assert why == "t2_1[a].x is not comparable with the printed number t2_1[b].x (overridden: lr=1)"


def test_a_printed_cell_without_number_is_not_tested() -> None:
    ours = at("a", "x", A, comparable=True)
    blank = at("b", "x", **PRINTED, target=Target(reason="not_measured"))
    why = "t2_1[b].x has no printed number: not_measured"
    assert settled(ours | blank, scale="paper") == ("not tested", why)


@pytest.mark.parametrize(
    ("target", "value"), [(Target(reason="diverged"), 1.0), (Target(80.0), 0.0)]
)
def test_a_printed_divergence_is_a_constant(target: Target, value: float) -> None:
    cells = at("a", "x", A, comparable=True) | at("b", "x", **PRINTED, target=target)
    got = sample(cells, "diverged(t2_1[b].x) > diverged(t2_1[a].x)", scale="paper")
    assert set(got.differences.values()) == {value}
