"""What an atom is judged from: lhs - rhs per seed, from the cells it names.

A cell without replicates, and a printed (published, external, human) number, is a constant.
`diverged(cell)` is 1 for a diverged seed and 0 for a finished one; everywhere else a diverged seed
has no value. A seed counts when every cell of the atom has a value for it; the others are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thesisbench.tables.claims import Atom, Claim, table_key
from thesisbench.tables.expr import ExpressionError, Reference
from thesisbench.tables.model import AtomResult, Cell

CellKey = tuple[str, str, str]
CONSTANT = -1  # the one key of a cell without replicates
PRINTED = ("published", "external", "human")


@dataclass(frozen=True)
class Sample:
    """The differences of an atom.

    Attributes:
        differences: seed -> lhs - rhs, in the units of the cells.
        dropped: planned seeds that are not done on both sides.
        constant: no cell of the atom has replicates; the one key is -1.
    """

    differences: Mapping[int, float]
    dropped: tuple[int, ...]
    constant: bool

    @property
    def mostly_dropped(self) -> bool:
        """More than half of the planned seeds are missing."""
        return len(self.dropped) > len(self.differences)


class Settled(Exception):  # noqa: N818 - not an error
    """The atom is settled before any statistics: not tested, or undecided, and why."""

    def __init__(self, result: AtomResult, why: str) -> None:
        super().__init__(why)
        self.result, self.why = result, why


def find_cells(atom: Atom, claim: Claim, cells: Mapping[CellKey, Cell]) -> dict[Reference, Cell]:
    """The cells an atom names; an atom with one that is not among `cells` is undecided."""
    tables = {table_key(table): table for table in claim.where}
    found = {}
    for ref in sorted(atom.expression.references(), key=str):
        cell = cells.get((tables.get(ref.table or "", ""), ref.row or "", ref.column or ""))
        if cell is None:
            raise Settled("undecided", f"there is no cell {ref}")
        found[ref] = cell
    return found


def check_testable(atom: Atom, found: Mapping[Reference, Cell], scale: str) -> None:
    """Stop where the atom cannot be tested at this scale, with the reason."""
    for ref, cell in found.items():
        if cell.state == "skipped":
            raise Settled("not tested", f"{ref} is skipped: {cell.why or 'no reason given'}")
    printed = [ref for ref, cell in found.items() if is_printed(cell)]
    if printed and scale != "paper":
        raise Settled("not tested", f"{printed[0]} is a printed number: judged at scale paper only")
    for ref, cell in found.items():
        if printed and not is_printed(cell) and not cell.comparable:
            reason = f" ({cell.why})" if cell.why else ""
            why = f"{ref} is not comparable with the printed number {printed[0]}{reason}"
            raise Settled("not tested", why)
    for a, b in atom.expression.opposed():
        if a != b and _same_run(found[a], found[b]):
            raise Settled("not tested", f"{a} and {b} are the same run at this scale")


def _same_run(a: Cell, b: Cell) -> bool:
    """One of two cells shows the other's run, so that comparing them says nothing."""
    seeds = a.runs.keys() & b.runs.keys()
    return (
        (a.same_as is not None or b.same_as is not None)
        and bool(seeds)
        and all(a.runs[seed] == b.runs[seed] for seed in seeds)
        and all(a.values.get(seed) == b.values.get(seed) for seed in seeds)
    )


def is_printed(cell: Cell) -> bool:
    """The cell shows a printed number; nothing is run for it."""
    return cell.source in PRINTED or cell.state == "printed"


def sample_atom(atom: Atom, found: Mapping[Reference, Cell]) -> Sample:
    """The atom's difference per seed; an atom with a cell that has no value is undecided."""
    constants = {ref: _constant(ref, cell) for ref, cell in found.items() if _is_constant(cell)}
    vectors = {r: finished_values(r, cell) for r, cell in found.items() if r not in constants}
    planned, done = set[int](), {CONSTANT} if not vectors else set[int]().union(*vectors.values())
    for ref, vector in vectors.items():
        if not vector:
            raise Settled("undecided", f"{ref} has no value{_because(found[ref])}")
        planned |= {*found[ref].expected, *found[ref].values, *found[ref].diverged}
        done &= vector.keys()
    values = {s: constants | {r: vector[s] for r, vector in vectors.items()} for s in sorted(done)}
    differences = {seed: _difference(atom, seed, at_seed) for seed, at_seed in values.items()}
    return Sample(differences, tuple(sorted(planned - done)), not vectors)


def _difference(atom: Atom, seed: int, values: Mapping[Reference, float]) -> float:
    left, right = atom.expression.sides()
    try:
        return left.evaluate(values.__getitem__) - right.evaluate(values.__getitem__)
    except ExpressionError as error:
        place = "" if seed == CONSTANT else f"seed {seed}: "
        raise Settled("undecided", f"{place}{error}") from None


def _is_constant(cell: Cell) -> bool:
    return cell.constant or is_printed(cell)


def _constant(ref: Reference, cell: Cell) -> float:
    """The one value of a printed cell or of a step without replicates."""
    if cell.source in PRINTED or (cell.state == "printed" and not cell.values):
        return printed_value(ref, cell)
    vector = finished_values(ref, cell)
    if CONSTANT not in vector:
        raise Settled("undecided", f"{ref} has no value{_because(cell)}")
    return vector[CONSTANT]


def printed_value(ref: Reference, cell: Cell) -> float:
    """The published value, or whether the published run diverged; without one, not tested."""
    if ref.diverged and (cell.target.value is not None or cell.target.reason == "diverged"):
        return float(cell.target.reason == "diverged")
    if ref.diverged or cell.target.value is None:
        raise Settled("not tested", f"{ref} has no printed number{_because(cell)}")
    return cell.target.value


def finished_values(ref: Reference, cell: Cell) -> dict[int, float]:
    """Seed -> value, or 1 and 0 for diverged or not; records of an older revision do not count."""
    if cell.state == "stale":
        return {}
    finished = {seed: v for seed, v in cell.values.items() if seed not in cell.diverged}
    if not ref.diverged:
        return finished
    return dict.fromkeys(finished, 0.0) | dict.fromkeys(cell.diverged, 1.0)


def _because(cell: Cell) -> str:
    if cell.diverged:
        return ": every run diverged"
    reason = cell.why or (cell.target.reason if is_printed(cell) else cell.state)
    return f": {reason}" if reason else ""
