"""The specs of all published tables against what was printed, without running anything."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from thesisbench.tables.assign import cell_specs
from thesisbench.tables.catalog import Catalog, ChapterFolder
from thesisbench.tables.model import Target
from thesisbench.tables.spec import Table

# table -> number of printed values, their sum, a checksum over title, source line, task, data sets,
# columns (key, name, metric, unit, direction) and rows (label, value and spread by column), and the
# rows that the thesis has from others
PUBLISHED = json.loads(Path(__file__).with_name("published.json").read_text())
CLOSELY = (
    "kayhan.t2.2a", "kayhan.t2.2b", "liu.t5.4", "liu.t5.6", "liu.t2.3", "singh.t3.2",
    "ilic.t4.1", "zhao.t2.3", "zhao.f2.16", "zhao.t5.3", "zhao.t6.1f",
)  # fmt: skip
# table -> digits after the point, by column where columns differ
DECIMALS: dict[str, int | dict[str, int]] = {
    "kayhan.t2.2a": 2,
    "kayhan.t2.2b": 2,
    "liu.t5.4": 2,
    "liu.t5.6": 2,
    "liu.t2.3": 2,
    "singh.t3.2": 1,
    "ilic.t4.1": 1,
    "zhao.t2.3": {"miou": 1, "psnr": 2, "rmse": 2},
    "zhao.f2.16": 0,
    "zhao.t5.3": 2,
    "zhao.t6.1f": {"n_clips": 0, "duration": 1, "ava": 1},
}
# cells without a printed value, and why
EMPTY = {
    "liu.t5.4": {("none", "vgg16"): "diverged", ("scaled_variance", "vgg16"): "diverged"},
    "ilic.t4.1": {("human", c): "not_measured" for c in ("ucf101", "afd101", "delta101")},
    "zhao.t2.3": {("ground_truth", c): "not_applicable" for c in ("psnr", "rmse")},
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.at()


def targets(catalog: Catalog, table_id: str) -> dict[tuple[str, str], Target]:
    folder = catalog.tables[table_id]
    specs = cell_specs(catalog.table(table_id), folder.chapter)
    return {(spec.row, spec.column): spec.target for spec in specs}


def content(table: Table) -> list[object]:
    columns = [[k, c.name, c.metric, c.unit, c.better] for k, c in table.columns.items()]
    rows = [
        [row.label, [[c, row.values.get(c), row.std.get(c)] for c in table.columns]]
        for row in table.rows.values()
        if not row.extra
    ]
    return [table.title, table.source, table.task, table.datasets, columns, rows]


def test_all_tables_and_figures_are_here(catalog: Catalog) -> None:
    ours = {t for t in catalog.tables if catalog.table(t).kind == "supplement"}
    assert set(catalog.tables) - ours == set(PUBLISHED)
    assert len(PUBLISHED) == 165
    assert sum(count for count, *_ in PUBLISHED.values()) == 2397


@pytest.mark.parametrize("table_id", PUBLISHED)
def test_every_printed_value_is_a_target(catalog: Catalog, table_id: str) -> None:
    count, total, checksum, by_others = PUBLISHED[table_id]
    values = [t.value for t in targets(catalog, table_id).values() if t.value is not None]
    assert len(values) == count
    assert sum(values) == pytest.approx(total, abs=1e-6)
    text = json.dumps(content(catalog.table(table_id)))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == checksum
    rows = [row for row in catalog.table(table_id).rows.values() if not row.extra]
    assert not {rows[i].source for i in by_others} & {"run", "derived"}


@pytest.mark.parametrize("table_id", CLOSELY)
def test_targets_have_the_printed_digits(catalog: Catalog, table_id: str) -> None:
    declared = DECIMALS[table_id]
    for (row, column), target in targets(catalog, table_id).items():
        expected = declared if isinstance(declared, int) else declared[column]
        assert target.decimals == expected, (row, column)


@pytest.mark.parametrize("table_id", CLOSELY)
def test_cells_without_a_value_say_why(catalog: Catalog, table_id: str) -> None:
    found = targets(catalog, table_id)
    empty = {cell: target.reason for cell, target in found.items() if target.value is None}
    assert empty == EMPTY.get(table_id, {})


def test_spreads_of_the_sparse_annotation_table_are_kept(catalog: Catalog) -> None:
    found = targets(catalog, "liu.t2.3")
    assert {cell: target.std for cell, target in found.items()} == {
        ("t4", "l_traj"): 0.19,
        ("t4", "l_sum_sa"): 0.34,
        ("t4", "l_bag_delta_sa"): 0.72,
        ("t4", "l_traj_sa"): 0.26,
        ("t8", "l_traj"): 0.66,
        ("t8", "l_sum_sa"): 0.73,
        ("t8", "l_bag_delta_sa"): 0.99,
        ("t8", "l_traj_sa"): 0.69,
    }


def tables_judged(folder: ChapterFolder) -> set[str]:
    return {table for claim in folder.claims if claim.atoms for table in claim.where}


@pytest.mark.parametrize("table_id", CLOSELY)
def test_every_table_serves_a_claim(catalog: Catalog, table_id: str) -> None:
    assert table_id in tables_judged(catalog.tables[table_id])


@pytest.mark.parametrize("table_id", CLOSELY)
def test_enough_seeds_for_a_verdict_at_small_and_paper(catalog: Catalog, table_id: str) -> None:
    seeds = catalog.table(table_id).replicates["seed"]
    assert isinstance(seeds, dict)
    assert min(len(seeds["small"]), len(seeds["paper"])) >= 3
    assert len(seeds["smoke"]) == 1


@pytest.mark.parametrize("table_id", CLOSELY)
def test_the_reference_of_a_stand_in_is_a_cell(catalog: Catalog, table_id: str) -> None:
    table = catalog.table(table_id)
    if table_id == "zhao.f2.16":  # it has no stand-in: coloured shapes have none of its classes
        assert table.stand_in is None
        return
    assert table.stand_in is not None
    match = re.fullmatch(r"(\w+)\.(\w+)", table.stand_in.reference)
    assert match is not None
    assert match[1] in table.rows
    assert match[2] in table.columns
