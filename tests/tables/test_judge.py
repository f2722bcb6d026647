"""Verdicts of claims: hand-computed cases, each rule of the specification, and error rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from thesisbench.errors import UserError
from thesisbench.tables.claims import Claim, parse_claims
from thesisbench.tables.judge import judge_claim, power_note
from thesisbench.tables.model import AtomVerdict, Cell, ClaimVerdict, Target
from thesisbench.tables.stats import equivalence_power, paired_power

TABLE = "kayhan.t2.1"
A = [83.0, 85.0, 84.0, 88.0]
B = [80.0, 81.0, 79.0, 80.0]  # A - B = 3, 4, 5, 8


def make(
    name: str, values: Sequence[float] | Mapping[int, float] = (), **changes: Any
) -> dict[tuple[str, str, str], Cell]:
    """The cell `row.column` of the table, values by seed from 0."""
    row, column = name.split(".")
    by_seed = dict(values) if isinstance(values, Mapping) else dict(enumerate(values))
    fields: dict[str, Any] = {
        "source": "run",
        "state": "done",
        "values": by_seed,
        "expected": tuple(by_seed),
        "runs": {seed: (f"{row}-{seed}",) for seed in by_seed},
    }
    cell = Cell(TABLE, row, column, **{**fields, **changes})
    return {cell.key: cell}


def claim(*atoms: dict[str, Any] | str, **changes: Any) -> Claim:
    """A claim on the table; an atom given as text is paired with effect 1."""
    full = [{"paired": a, "effect": 1.0} if isinstance(a, str) else a for a in atoms]
    data = {"id": "C1", "text": "x", "where": [TABLE], "atoms": full, **changes}
    return parse_claims({"claims": [data]}, "x/y")[0]


def judge(cells: Mapping[Any, Cell], *atoms: dict[str, Any] | str, **changes: Any) -> ClaimVerdict:
    return judge_claim(claim(*atoms, **changes), cells, scale="small")


def one(cells: Mapping[Any, Cell], atom: dict[str, Any] | str, **changes: Any) -> AtomVerdict:
    return judge(cells, atom, **changes).atoms[0]


GREATER = "t2_1[a].x > t2_1[b].x"
LESS = "t2_1[a].x < t2_1[b].x"


def test_paired_case_computed_by_hand() -> None:
    verdict = one(make("a.x", A) | make("b.x", B), GREATER)
    sd = math.sqrt((4 + 1 + 0 + 9) / 3)  # differences 3, 4, 5, 8 around their mean 5
    half = 3.182446 * sd / 2  # t(0.975, 3)
    assert (verdict.result, verdict.margin, verdict.n, verdict.dropped) == ("holds", 5.0, 4, ())
    assert verdict.sd == pytest.approx(sd)
    assert verdict.interval is not None
    assert verdict.interval.low == pytest.approx(5 - half, abs=1e-5)
    assert verdict.interval.high == pytest.approx(5 + half, abs=1e-5)
    assert verdict.interval.level == 0.95
    assert verdict.power == pytest.approx(paired_power(sd, 4, 1.0, 0.05))
    assert verdict.why is None


def test_less_than_mirrors_greater_than() -> None:
    cells = make("a.x", A) | make("b.x", B)
    assert one(cells, LESS).result == "fails"
    assert one(cells, LESS).margin == 5.0
    swapped = make("a.x", B) | make("b.x", A)
    assert one(swapped, LESS).result == "holds"
    assert one(swapped, GREATER).result == "fails"


def test_interval_that_holds_zero_is_undecided() -> None:
    verdict = one(make("a.x", [1.0, 5.0, -3.0]) | make("b.x", [0.0, 0.0, 0.0]), GREATER)
    assert verdict.result == "undecided"
    assert verdict.why == "the interval does not settle it"


@pytest.mark.parametrize("seed", range(6))
def test_paired_equals_scipys_paired_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0.5, 1, 7), rng.normal(0, 1, 7)
    test = scipy_stats.ttest_rel(x, y)
    verdict = one(make("a.x", x.tolist()) | make("b.x", y.tolist()), GREATER)
    significant = test.pvalue < 0.05
    expected = "undecided" if not significant else "holds" if test.statistic > 0 else "fails"
    assert verdict.result == expected


def test_the_fails_side_is_shared_among_the_atoms() -> None:
    """With m atoms an opposite difference must clear 1 - alpha/m, a wanted one 1 - alpha."""
    cells = make("a.x", [1.0, 2.0, 3.0, 4.0]) | make("b.x", [0.0] * 4)
    assert scipy_stats.ttest_1samp([1, 2, 3, 4], 0).pvalue == pytest.approx(0.0305, abs=1e-3)
    other = "t2_1[a].x > 100 * t2_1[b].x"
    assert one(cells, LESS).result == "fails"
    both = judge(cells, LESS, other)
    assert [atom.result for atom in both.atoms] == ["undecided", "holds"]
    assert judge(cells, GREATER, other).result == "holds"


def test_the_interval_of_a_failed_atom_is_the_wider_one() -> None:
    cells = make("a.x", A) | make("b.x", B)
    verdict = judge(cells, LESS, "t2_1[a].x > 0").atoms[0]
    assert verdict.result == "fails"
    assert verdict.interval is not None
    assert verdict.interval.level == pytest.approx(1 - 0.05 / 2)


def test_zero_spread_counts_as_its_point() -> None:
    level = make("b.x", [1.0] * 3)
    assert one(make("a.x", [2.0] * 3) | level, GREATER).result == "holds"
    assert one(make("a.x", [2.0] * 3) | level, LESS).result == "fails"
    same = one(make("a.x", [1.0] * 3) | level, GREATER)
    assert (same.result, same.power) == ("undecided", 1.0)
    near = {"equal_within": 1.0, "expr": "t2_1[a].x - t2_1[b].x"}
    assert one(make("a.x", [2.0] * 3) | level, near).result == "holds"
    assert one(make("a.x", [2.1] * 3) | level, near).result == "fails"


def test_two_looks_use_half_of_alpha_at_both() -> None:
    cells = make("a.x", [1.0, 2.0, 3.0, 4.0]) | make("b.x", [0.0] * 4)  # p = 0.03
    twice = claim(GREATER, looks=2)
    assert one(cells, GREATER).result == "holds"
    for look in (1, 2):
        verdict = judge_claim(twice, cells, scale="small", look=look).atoms[0]
        assert verdict.result == "undecided"
        assert verdict.interval is not None
        assert verdict.interval.level == 0.975


@pytest.mark.parametrize(("looks", "look"), [(1, 2), (2, 3), (1, 0)])
def test_an_undeclared_look_is_refused(looks: int, look: int) -> None:
    with pytest.raises(UserError, match=f"claim C1: look {look} was not declared"):
        judge_claim(claim(GREATER, looks=looks), {}, scale="small", look=look)


def test_equal_within_computed_by_hand() -> None:
    cells = make("a.x", [1.0, 0.0, -1.0]) | make("b.x", [0.0] * 3)
    half = 2.919986 / math.sqrt(3)  # t(0.95, 2), sd 1: 1.686
    atom = {"equal_within": 1.69, "expr": "t2_1[a].x - t2_1[b].x"}
    verdict = one(cells, atom)
    assert verdict.result == "holds"
    assert verdict.interval is not None
    assert verdict.interval.level == 0.9
    assert verdict.interval.high == pytest.approx(half, abs=1e-5)
    assert verdict.effect == 1.69
    assert verdict.power == pytest.approx(equivalence_power(1.0, 3, 1.69, 0.05))
    assert one(cells, {**atom, "equal_within": 1.68}).result == "undecided"


def test_equal_within_fails_when_the_interval_is_disjoint() -> None:
    cells = make("a.x", A) | make("b.x", B)  # 5 -+ 3.44 at 95%
    for expr in ("t2_1[a].x - t2_1[b].x", "t2_1[b].x - t2_1[a].x"):
        assert one(cells, {"equal_within": 1.5, "expr": expr}).result == "fails"
        assert one(cells, {"equal_within": 1.6, "expr": expr}).result == "undecided"
        assert one(cells, {"equal_within": 9.0, "expr": expr}).result == "holds"


@pytest.mark.parametrize(
    ("sign", "values", "result"),
    [
        ("==", [1.0, 1.0, 1.0], "holds"),
        ("==", [1.0, 1.0, 1.0 + 1e-15], "fails"),
        ("<=", [1.0, 0.5, 1.0], "holds"),
        ("<=", [1.0, 1.5, 1.0], "fails"),
        (">=", [1.0, 1.5, 1.0], "holds"),
        (">=", [1.0, 0.5, 1.0], "fails"),
        ("<", [0.5, 0.6, 0.7], "holds"),
        ("<", [0.5, 1.0, 0.7], "fails"),
        (">", [2.0, 2.0, 2.0], "holds"),
        (">", [2.0, 1.0, 2.0], "fails"),
    ],
)
def test_exact_must_be_true_for_every_seed(sign: str, values: list[float], result: str) -> None:
    cells = make("a.x", values) | make("b.x", [1.0] * 3)
    verdict = one(cells, {"exact": f"t2_1[a].x {sign} t2_1[b].x"})
    assert (verdict.result, verdict.n, verdict.power) == (result, 3, None)


def test_exact_names_the_seeds_that_break_it() -> None:
    verdict = one(make("a.x", [1.0, 2.0, 3.0]), {"exact": "t2_1[a].x == 1"})
    assert verdict.why == "false for seed 1, 2"


def test_exact_takes_one_seed_but_not_a_hole() -> None:
    assert one(make("a.x", [1.0]), {"exact": "t2_1[a].x == 1"}).result == "holds"
    holed = make("a.x", [1.0, 1.0], expected=(0, 1, 2), state="partial")
    verdict = one(holed, {"exact": "t2_1[a].x == 1"})
    assert (verdict.result, verdict.dropped) == ("undecided", (2,))
    assert one(holed, {"exact": "t2_1[a].x == 2"}).result == "fails"


def test_fewer_than_three_pairs_are_undecided() -> None:
    verdict = one(make("a.x", [5.0, 5.0]) | make("b.x", [0.0, 0.0]), GREATER)
    assert (verdict.result, verdict.n, verdict.margin) == ("undecided", 2, 5.0)
    assert verdict.interval is None
    assert "n = 2" in (verdict.why or "")


def test_more_than_half_dropped_is_undecided() -> None:
    b = make("b.x", [0.0] * 7)
    half = make("a.x", [5.0, 6.0, 7.0], expected=tuple(range(6)))
    assert one(half | make("b.x", [0.0] * 6), GREATER).result == "holds"
    less = one(make("a.x", [5.0, 6.0, 7.0], expected=tuple(range(7))) | b, GREATER)
    assert (less.result, less.n, less.dropped) == ("undecided", 3, (3, 4, 5, 6))
    assert less.why == "4 of 7 seeds dropped"


def test_an_atom_settled_before_its_statistics_says_why() -> None:
    verdict = one(make("a.x", A), GREATER)
    assert (verdict.result, verdict.why) == ("undecided", "there is no cell t2_1[b].x")
    assert (verdict.margin, verdict.n) == (None, 0)


def test_skipped_cells_are_not_tested_and_counted() -> None:
    cells = make("a.x", A) | make("b.x", B) | make("c.x", state="skipped", why="needs a GPU")
    verdict = judge(cells, GREATER, "t2_1[a].x > t2_1[c].x")
    assert verdict.result == "holds"
    assert verdict.summary == "holds (1 of 2 atoms tested)"
    assert verdict.atoms[1].why == "t2_1[c].x is skipped: needs a GPU"
    alone = judge(cells, "t2_1[a].x > t2_1[c].x")
    assert (alone.result, alone.summary) == ("not tested", "not tested")
    assert alone.why == "t2_1[c].x is skipped: needs a GPU"


def test_claim_without_atoms_is_not_tested() -> None:
    data = {"id": "C1", "text": "x", "not_tested": "needs people"}
    verdict = judge_claim(parse_claims({"claims": [data]}, "x/y")[0], {}, scale="paper")
    assert (verdict.result, verdict.why, verdict.atoms) == ("not tested", "needs people", ())


@pytest.mark.parametrize(
    ("second", "result"),
    [
        ("t2_1[a].x > 10", "holds"),
        (LESS, "fails"),
        ("t2_1[a].x > t2_1[c].x", "undecided"),
    ],
)
def test_a_claim_is_its_atoms_together(second: str, result: str) -> None:
    cells = make("a.x", A) | make("b.x", B) | make("c.x", [79.0, 90.0, 70.0, 95.0])
    verdict = judge(cells, GREATER, second)
    assert [atom.result for atom in verdict.atoms] == ["holds", result]
    assert (verdict.result, verdict.summary) == (result, result)


def test_one_failing_atom_outweighs_an_undecided_one() -> None:
    cells = make("a.x", A) | make("b.x", B) | make("c.x", [79.0, 90.0, 70.0, 95.0])
    assert judge(cells, "t2_1[a].x > t2_1[c].x", LESS).result == "fails"


def test_constants_alone_are_judged_exactly_only() -> None:
    cells = make("a.x", {-1: 9.0}, constant=True) | make("b.x", {-1: 8.0}, constant=True)
    assert one(cells, {"exact": "t2_1[a].x == t2_1[b].x + 1"}).result == "holds"
    assert one(cells, {"exact": "t2_1[a].x == t2_1[b].x"}).result == "fails"
    verdict = one(cells, GREATER)
    assert (verdict.result, verdict.margin) == ("undecided", 1.0)
    assert "exact" in (verdict.why or "")


def test_default_effect_is_half_the_printed_difference() -> None:
    a = make("a.x", A, comparable=True, target=Target(90.0, decimals=1))
    b = make("b.x", B, comparable=True, target=Target(84.0, decimals=1))
    atom = {"paired": GREATER}
    verdict = one(a | b, atom)
    assert verdict.effect == 3.0
    assert verdict.power == pytest.approx(paired_power(verdict.sd or 0, 4, 3.0, 0.05))
    assert one(a | b, {**atom, "effect": 1.5}).effect == 1.5
    for other in (
        make("b.x", B, comparable=False, target=Target(84.0)),  # a stand-in: it must be given
        make("b.x", B, comparable=True, target=Target(reason="not_printed")),
        make("b.x", B, comparable=True, target=Target(90.0)),
    ):
        verdict = one(a | other, atom)
        assert (verdict.effect, verdict.power, verdict.result) == (None, None, "holds")
        assert power_note(verdict) == "no effect stated"


def test_power_note_says_power_effect_and_n() -> None:
    verdict = AtomVerdict("a > b", "paired", "holds", n=10, sd=7.0, effect=8.0, power=0.934)
    assert power_note(verdict) == "power 0.93 for an effect of 8 at n = 10"
    weak = AtomVerdict("a > b", "paired", "undecided", n=5, sd=1.0, effect=1.0, power=0.4)
    assert power_note(weak, alpha=0.05).endswith("at n = 5; 0.80 needs n = 10")
    hopeless = AtomVerdict("a > b", "paired", "undecided", n=5, sd=1.0, effect=1e-4, power=0.03)
    assert power_note(hopeless, alpha=0.05).endswith("needs n = over 10000")
    equal = AtomVerdict("|a| <= 2", "equal_within", "holds", n=5, sd=1.0, effect=2.0, power=0.9)
    assert power_note(equal) == "power 0.90 to show equality within 2 at n = 5"
    single = AtomVerdict("a > b", "paired", "undecided", n=1, effect=2.0)
    assert power_note(single) == "no power at n = 1"
    assert power_note(AtomVerdict("a == b", "exact", "holds", n=3)) == ""
    assert power_note(AtomVerdict("a > b", "paired", "not tested", effect=2.0)) == ""


def share(atom: dict[str, Any] | str, shift: float, word: str, *, n: int, rounds: int) -> float:
    """How often a claim comes out as `word` on normal differences around `shift`, spread 1."""
    rng = np.random.default_rng(11)
    judged = claim(atom)
    hits = 0
    for _ in range(rounds):
        base = rng.normal(50, 5, n)
        cells = make("a.x", (base + rng.normal(shift, 1, n)).tolist()) | make("b.x", base.tolist())
        hits += judge_claim(judged, cells, scale="small").result == word
    return hits / rounds


@pytest.mark.parametrize("n", [3, 8])
def test_false_verdicts_are_as_rare_as_promised(n: int) -> None:
    rounds = 1500

    def bound(p: float) -> float:
        return p + 4 * math.sqrt(p * (1 - p) / rounds)

    near = {"equal_within": 2.0, "expr": "t2_1[a].x - t2_1[b].x"}
    assert share(GREATER, 0.0, "holds", n=n, rounds=rounds) <= bound(0.025)
    assert share(GREATER, 0.0, "fails", n=n, rounds=rounds) <= bound(0.025)
    assert share(LESS, 0.0, "holds", n=n, rounds=rounds) <= bound(0.025)
    assert share(near, 2.0, "holds", n=n, rounds=rounds) <= bound(0.05)
    assert share(near, 2.0, "fails", n=n, rounds=rounds) <= bound(0.025)


def test_true_claims_hold_as_often_as_the_power_says() -> None:
    rounds = 800
    power = paired_power(1.0, 6, 1.2, 0.05)
    simulated = share(GREATER, 1.2, "holds", n=6, rounds=rounds)
    assert abs(simulated - power) < 4 * math.sqrt(power * (1 - power) / rounds)
