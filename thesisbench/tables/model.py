"""The values that pass from one module of the engine to the next: plain data, no logic.

specs -> plan -> runs -> records -> cells -> verdicts -> report
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SCALES = ("smoke", "small", "paper")
Scale = Literal["smoke", "small", "paper"]
Kind = Literal["fit", "eval", "prepare", "analytic"]
Source = Literal["run", "published", "external", "human", "derived"]
CellState = Literal["done", "partial", "missing", "skipped", "failed", "stale", "printed"]
AtomResult = Literal["holds", "fails", "undecided", "not tested"]
CellVerdict = Literal[
    "reproduced", "better", "worse", "undecided", "not comparable", "missing", "failed"
]


@dataclass(frozen=True)
class Target:
    """The published value of a cell.

    Attributes:
        value: printed number, None where the thesis prints none.
        std: printed spread, None where not printed.
        decimals: digits printed after the point (half a unit of the last one is rounding).
        reason: why there is no value: not_printed, diverged, not_applicable or not_measured.
    """

    value: float | None = None
    std: float | None = None
    decimals: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Cell:
    """One cell of a table at one scale, as measured.

    Attributes:
        table: table id; row, column: keys.
        source: where its number comes from.
        state: done (all replicates), partial, missing (planned, no record), skipped (see `why`),
            failed, stale (records of an older revision only), printed (nothing to run).
        values: seed -> value (the mean over other replicate keys); a constant has the one key -1.
        diverged: seeds whose run left the finite range.
        expected: the seeds that were planned.
        runs: seed -> ids of the runs whose metrics the value was read from.
        target: the published value.
        comparable: every run behind it is a run of scale paper, unchanged by overrides.
        constant: the step has no replicates; `values` holds the key -1 only.
        same_as: "row.column" or level whose run this cell shows ("=" in reports).
        why: reason of a skip, of "not comparable", or the last log line of a failure.
    """

    table: str
    row: str
    column: str
    source: Source
    state: CellState
    values: Mapping[int, float] = field(default_factory=dict)
    diverged: frozenset[int] = frozenset()
    expected: tuple[int, ...] = ()
    runs: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    target: Target = field(default_factory=Target)
    comparable: bool = False
    constant: bool = False
    same_as: str | None = None
    why: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Table id, row key, column key."""
        return (self.table, self.row, self.column)


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a mean difference.

    Attributes:
        low, high: ends, in the units of the cells.
        level: confidence level, for example 0.95.
    """

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class AtomVerdict:
    """What one atom of a claim came to.

    Attributes:
        text: the atom as written, placeholders filled in.
        kind: paired, exact or equal_within.
        result: holds, fails, undecided or not tested.
        margin: mean of lhs - rhs over seeds.
        interval: the interval the verdict rests on.
        n: number of seeds used; dropped: seeds left out (not done on both sides).
        sd: spread of the paired differences.
        effect: the difference worth seeing; power: probability of "holds" if it is real.
        why: reason when undecided or not tested.
        looks: how many looks were declared.
    """

    text: str
    kind: str
    result: AtomResult
    margin: float | None = None
    interval: Interval | None = None
    n: int = 0
    dropped: tuple[int, ...] = ()
    sd: float | None = None
    effect: float | None = None
    power: float | None = None
    why: str | None = None


@dataclass(frozen=True)
class ClaimVerdict:
    """What a claim came to at one scale: its atoms, and one word over them."""

    claim: str
    text: str
    scale: str
    result: AtomResult
    atoms: tuple[AtomVerdict, ...] = ()
    tables: tuple[str, ...] = ()
    why: str | None = None

    @property
    def tested(self) -> int:
        """Number of atoms that could be tested."""
        return sum(atom.result != "not tested" for atom in self.atoms)

    @property
    def summary(self) -> str:
        """The verdict in words: "holds", or "holds (5 of 8 atoms tested)"."""
        if self.result == "not tested" or self.tested == len(self.atoms):
            return self.result
        return f"{self.result} ({self.tested} of {len(self.atoms)} atoms tested)"


@dataclass(frozen=True)
class PlannedRun:
    """One run to be executed: a step with all its factors, scale and replicate fixed.

    Attributes:
        id: sha256 of the science subtree, the needed runs and the revision (hex, shortened to 16).
        lineage: the same without revisions; equal lineage and another id means stale.
        chapter: slug, for example "kayhan/full_conv"; step: name there; kind: fit, eval, ...
        recipe: "<thesis>/<chapter>/<name>".
        levels: factor -> level, those the step takes.
        replicate: for example {"seed": 0}.
        config: the resolved Hydra configuration as plain data.
        needs: input name -> ids of the needed runs, in order.
        exclusive: it is timed, so nothing runs beside it.
        tables: ids of the tables whose cells rest on it.
    """

    id: str
    lineage: str
    chapter: str
    step: str
    kind: Kind
    recipe: str
    scale: str
    levels: Mapping[str, str]
    replicate: Mapping[str, int]
    config: Mapping[str, Any]
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclusive: bool = False
    tables: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """A short name for people: step, levels and replicate."""
        parts = [self.step, *(f"{k}={v}" for k, v in self.levels.items())]
        parts += [f"{k}={v}" for k, v in self.replicate.items()]
        return " ".join(parts)
