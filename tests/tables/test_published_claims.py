"""All claims and all derived cells against the printed numbers themselves.

A claim may be false in the thesis's own tables; then its `standing` says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from slow_reference import FUNCTIONS

from thesisbench.tables.catalog import Catalog
from thesisbench.tables.claims import Atom, Claim, table_key
from thesisbench.tables.expr import Reference
from thesisbench.tables.spec import Table

CATALOG = Catalog.at()
# chapter -> number of claims its specification states
CLAIMS = {
    "cross/shift": 0,
    "ilic/appearance_free": 9,
    "ilic/architectures": 7,
    "ilic/foundations": 7,
    "ilic/privacy_obfuscation": 11,
    "ilic/space_time_volumes": 8,
    "kayhan/detector_context": 7,
    "kayhan/full_conv": 7,
    "kayhan/keyframe_proposals": 7,
    "kayhan/part_verification": 4,
    "kayhan/pose_occlusion": 6,
    "kayhan/tsne_annotation": 6,
    "liu/location_anticipation": 11,
    "liu/outlier_matching": 7,
    "liu/temporal_clusters": 12,
    "liu/weight_align": 13,
    "singh/msb_rnn": 8,
    "singh/rfcn3000": 9,
    "singh/snip": 10,
    "singh/sniper": 10,
    "zhao/aligned_conv3d": 9,
    "zhao/lift_pool": 9,
    "zhao/semantic_colorization": 7,
    "zhao/tuber": 9,
    "zhao/two_in_one": 10,
}
OURS = {("zhao/semantic_colorization", "F2.16")}  # stated by a figure alone
# printed without rounding, or from numbers that are not printed
CUT_OFF = {("zhao.t6.1f", "w2", "duration"): 10.6}  # 10.67 s
# some of the inputs are drawn only, or cannot be read
UNREADABLE = {("zhao.tB.2", "map"), ("singh.f4.7", "n194")}
COMPARE: dict[str, Callable[[float], bool]] = {
    ">": lambda d: d > 1e-9,
    "<": lambda d: d < -1e-9,
    ">=": lambda d: d >= -1e-9,
    "<=": lambda d: d <= 1e-9,
    "==": lambda d: abs(d) < 1e-9,
}
STATED = [
    pytest.param(slug, claim, id=f"{slug}:{claim.id}")
    for slug, folder in CATALOG.folders.items()
    for claim in folder.claims
]


def test_every_claim_of_every_chapter_is_stated() -> None:
    for slug, count in CLAIMS.items():
        ids = [c.id for c in CATALOG.folders[slug].claims if (slug, c.id) not in OURS]
        assert ids == [f"C{i + 1}" for i in range(count)], slug
    assert set(CATALOG.folders) == set(CLAIMS)
    assert sum(CLAIMS.values()) == 203


def printed(slug: str, reference: Reference) -> float | None:
    """What is printed in the cell an atom names; None where nothing is."""
    tables = {table.key: table for table in CATALOG.folders[slug].tables.values()}
    row = tables[str(reference.table)].rows[str(reference.row)]
    assert reference.column in tables[str(reference.table)].columns, reference
    reason = row.reasons.get(reference.column)
    if reference.diverged:
        return float(reason == "diverged")
    return row.values.get(reference.column)


def holds(slug: str, atom: Atom) -> bool | None:
    """Whether an atom is true of the printed numbers; None where one of them is not printed."""
    found = {r: printed(slug, r) for r in atom.expression.references()}
    if None in found.values():
        return None
    left, right = atom.expression.sides()
    lookup: Callable[[Reference], Any] = found.__getitem__
    difference = left.evaluate(lookup) - right.evaluate(lookup)
    if atom.tolerance is not None:
        return abs(difference) <= atom.tolerance + 1e-9
    return COMPARE[str(atom.expression.comparison)](difference)


@pytest.mark.parametrize(("slug", "claim"), STATED)
def test_a_claim_holds_in_the_printed_numbers_or_says_how_it_stands(
    slug: str, claim: Claim
) -> None:
    false = [atom.text for atom in claim.atoms if holds(slug, atom) is False]
    assert not false or claim.standing, false


@pytest.mark.parametrize(("slug", "claim"), STATED)
def test_a_claim_rests_on_the_tables_it_names(slug: str, claim: Claim) -> None:
    folder = CATALOG.folders[slug]
    assert set(claim.where) <= set(folder.tables)
    named = {str(r.table) for atom in claim.atoms for r in atom.expression.references()}
    assert named <= {table_key(table) for table in claim.where}


class Printed(float):
    """A printed number that knows those of the other rows, as `ap[full]` names them."""

    rows: Mapping[str, float]

    def __getitem__(self, row: str) -> float:
        return self.rows[row]


Values = dict[tuple[str, str], float]


def recomputed(table: Table, r: str, c: str, values: Values) -> float:
    """A derived cell from the printed others; not a number where one is not printed."""
    by_row = table.rows[r].cell is not None
    names: dict[str, Any] = {}
    for key in table.rows if by_row else table.columns:
        row, column = (key, c) if by_row else (r, key)
        names[key] = Printed(values.get((row, column), math.nan))
        names[key].rows = {o: values.get((o, column), math.nan) for o in table.rows}
    text = re.sub(r"\[(\w+)\]", r'["\1"]', table.rows[r].cell or table.columns[c].cell or "")
    return float(eval(text, {**FUNCTIONS, "min": min, "max": max}, names))


DERIVED = [
    (table.id, r, c)
    for folder in CATALOG.folders.values()
    for table in folder.tables.values()
    for r, row in table.rows.items()
    for c, column in table.columns.items()
    if (row.cell or column.cell) and row.values.get(c) is not None
]


@pytest.mark.parametrize(("table_id", "r", "c"), DERIVED)
def test_a_derived_cell_agrees_with_the_printed_ones(table_id: str, r: str, c: str) -> None:
    """Within half a unit of its last digit, and what half a unit of each input makes of it."""
    table = CATALOG.table(table_id)
    units = {name: 10.0 ** -max(digits(table, name)) for name in table.columns}
    values = {
        (o, name): float(v)
        for o, row in table.rows.items()
        for name, v in row.values.items()
        if v is not None
    }
    target = values.pop((r, c))
    if (table_id, r, c) in CUT_OFF:
        assert target == CUT_OFF[table_id, r, c]
        return
    value = recomputed(table, r, c, values)
    slack = 0.5 * units[c]
    for place in values:
        nudged = {**values, place: values[place] + 0.5 * units[place[1]]}
        slack += abs(recomputed(table, r, c, nudged) - value)
    if math.isnan(value):
        assert (table_id, r) in UNREADABLE
    else:
        assert abs(value - target) <= slack + 1e-9, (value, target, slack)


def digits(table: Table, column: str) -> list[int]:
    """How many digits the numbers of a column are printed with."""
    found = [row.values.get(column) for row in table.rows.values()]
    return [len(str(v).partition(".")[2]) if isinstance(v, float) else 0 for v in found]


def test_derived_cells_are_recognised() -> None:
    assert len(DERIVED) == 137
