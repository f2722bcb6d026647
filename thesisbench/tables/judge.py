"""The judge of claims: from cells to holds, fails, undecided or not tested.

- *paired*: t interval of D = lhs - rhs over the seeds done on both sides; holds when the 1 - alpha
  interval lies on the claimed side of 0, fails when the 1 - alpha/m interval (m atoms) lies on the
  other.
- *equal_within d*: holds when the 1 - 2 alpha interval lies inside [-d, d] (two one-sided tests),
  fails when the 1 - alpha/m interval is disjoint from it.
- *exact*: true for every seed.

Fewer than 3 seeds, or more than half of them dropped, is undecided for the first two; an exact atom
is undecided when a planned seed has no value. Nothing here reads a file.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from thesisbench.errors import UserError
from thesisbench.tables import stats
from thesisbench.tables.claims import Atom, Claim
from thesisbench.tables.compare import CellVerdictDetail, judge_cell
from thesisbench.tables.expr import ExpressionError, Reference
from thesisbench.tables.model import AtomResult, AtomVerdict, Cell, ClaimVerdict, Interval
from thesisbench.tables.sample import (
    CellKey,
    Sample,
    Settled,
    check_testable,
    find_cells,
    is_printed,
    printed_value,
    sample_atom,
)

__all__ = ["CellKey", "CellVerdictDetail", "judge_cell", "judge_claim", "power_note"]

MIN_SEEDS = 3
GOOD_POWER = 0.8

_EXACT: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def judge_claim(
    claim: Claim, cells: Mapping[CellKey, Cell], *, scale: str, look: int = 1
) -> ClaimVerdict:
    """Judge a claim from the cells of one scale.

    Args:
        claim: with its atoms.
        cells: (table id, row, column) -> cell; those the claim names are looked up.
        scale: smoke, small or paper; printed constants are judged at paper only.
        look: 1, or 2 for the declared second look.

    Raises:
        UserError: a look that the claim does not declare.
    """
    if look not in range(1, claim.looks + 1):
        raise UserError(
            f"claim {claim.id}: look {look} was not declared (looks: {claim.looks}); "
            "a second look must stand in claims.yaml before the first"
        )
    atoms = tuple(_judge_atom(atom, claim, cells, scale) for atom in claim.atoms)
    result, why = _combine([atom.result for atom in atoms]), claim.not_tested
    if result == "not tested" and why is None:
        why = "; ".join(dict.fromkeys(atom.why for atom in atoms if atom.why))
    return ClaimVerdict(claim.id, claim.text, scale, result, atoms, claim.where, why)


def _combine(results: list[AtomResult]) -> AtomResult:
    tested = [result for result in results if result != "not tested"]
    if not tested:
        return "not tested"
    if "fails" in tested:
        return "fails"
    return "undecided" if "undecided" in tested else "holds"


def _judge_atom(atom: Atom, claim: Claim, cells: Mapping[CellKey, Cell], scale: str) -> AtomVerdict:
    try:
        found = find_cells(atom, claim, cells)
        check_testable(atom, found, scale)
        sample = sample_atom(atom, found)
    except Settled as settled:
        return AtomVerdict(atom.text, atom.kind, settled.result, why=settled.why)
    if atom.kind == "exact":
        return _judge_exact(atom, sample)
    return _judge_interval(atom, sample, claim, _effect(atom, found))


def _effect(atom: Atom, found: Mapping[Reference, Cell]) -> float | None:
    """The effect stated, or half the printed difference where our cells compare with the thesis."""
    if atom.effect is not None or atom.kind != "paired":
        return atom.tolerance if atom.effect is None else atom.effect
    if not all(cell.comparable or is_printed(cell) for cell in found.values()):
        return None
    left, right = atom.expression.sides()
    try:
        printed = {ref: printed_value(ref, cell) for ref, cell in found.items()}
        difference = left.evaluate(printed.__getitem__) - right.evaluate(printed.__getitem__)
    except (Settled, ExpressionError):
        return None
    return abs(difference) / 2 or None


def _judge_exact(atom: Atom, sample: Sample) -> AtomVerdict:
    compare = _EXACT[atom.expression.comparison or "=="]
    false = [seed for seed, d in sample.differences.items() if not compare(d, 0.0)]
    base = _verdict(atom, sample, None)
    if false:
        why = None if sample.constant else f"false for seed {_listed(false)}"
        return replace(base, result="fails", why=why)
    if sample.dropped or not sample.differences:
        return replace(base, why=f"no value for seed {_listed(sample.dropped) or '(none planned)'}")
    return replace(base, result="holds")


def _judge_interval(atom: Atom, sample: Sample, claim: Claim, effect: float | None) -> AtomVerdict:
    base, n = _verdict(atom, sample, effect), len(sample.differences)
    if sample.constant:
        return replace(base, why="no replicates: compare constants with an exact atom")
    if n < MIN_SEEDS:
        return replace(base, why=f"n = {n}: at least {MIN_SEEDS} seeds are needed")
    mean, sd = stats.mean_and_sd(list(sample.differences.values()))
    result, interval = _decide(atom, mean, sd, n, claim)
    why = "the interval does not settle it" if result == "undecided" else None
    if sample.mostly_dropped:
        lost = len(sample.dropped)
        result, why = "undecided", f"{lost} of {n + lost} seeds dropped"
    power = None
    if effect is not None:
        of = stats.paired_power if atom.tolerance is None else stats.equivalence_power
        power = of(sd, n, effect, claim.alpha_per_look)
    return replace(base, result=result, interval=interval, sd=sd, power=power, why=why)


def _verdict(atom: Atom, sample: Sample, effect: float | None) -> AtomVerdict:
    """What is known before the decision."""
    values = list(sample.differences.values())
    return AtomVerdict(
        atom.text,
        atom.kind,
        "undecided",
        margin=stats.mean_and_sd(values)[0] if values else None,
        n=len(values),
        dropped=sample.dropped,
        effect=effect,
    )


def _decide(
    atom: Atom, mean: float, sd: float, n: int, claim: Claim
) -> tuple[AtomResult, Interval]:
    """The result and the interval it rests on (undecided: the one that might have held)."""
    alpha, d = claim.alpha_per_look, atom.tolerance
    wide = stats.t_interval(mean, sd, n, 1 - alpha / len(claim.atoms))
    if d is not None:
        narrow = stats.t_interval(mean, sd, n, 1 - 2 * alpha)
        holds, fails = -d <= narrow.low and narrow.high <= d, wide.low > d or wide.high < -d
    else:
        narrow = stats.t_interval(mean, sd, n, 1 - alpha)
        holds, fails = narrow.low > 0, wide.high < 0
        if atom.expression.comparison == "<":
            holds, fails = narrow.high < 0, wide.low > 0
    if fails:
        return "fails", wide
    return ("holds" if holds else "undecided"), narrow


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def power_note(verdict: AtomVerdict, *, alpha: float | None = None) -> str:
    """The power of an atom in words, such as "power 0.93 for an effect of 8 at n = 10".

    Args:
        verdict: of a paired or equal_within atom; others give an empty text.
        alpha: error level of the look (`Claim.alpha_per_look`); if given and the power is below
            0.8, the note says how many seeds would reach that.
    """
    if verdict.kind == "exact" or verdict.n == 0:
        return ""
    equivalence = verdict.kind == "equal_within"
    if verdict.effect is None:
        return "no effect stated"
    if verdict.power is None or verdict.sd is None:
        return f"no power at n = {verdict.n}"
    sight = "to show equality within" if equivalence else "for an effect of"
    note = f"power {verdict.power:.2f} {sight} {verdict.effect:g} at n = {verdict.n}"
    if alpha is None or verdict.power >= GOOD_POWER:
        return note
    needed = stats.n_for_power(
        verdict.sd, verdict.effect, alpha, equivalence=equivalence, target=GOOD_POWER
    )
    return f"{note}; {GOOD_POWER:.2f} needs n = {needed or 'over 10000'}"
