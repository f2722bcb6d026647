"""The grid of a table as `show` says it agrees with what is planned."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from toy_specs import Toy, toy_chapter

from thesisbench.browse.grid_facts import scale_facts, step_facts
from thesisbench.tables.catalog import Catalog, ChapterFolder
from thesisbench.tables.model import SCALES

ROWS = (
    "a: {label: A, at: {size: s}}, l: {label: L, at: {size: l}}, xl: {label: XL, at: {size: xl}},"
    "n: {label: N, at: {neg: true, rate: high}}, p: {label: P, step: pair},"
    "j: {label: J, at: {data: b}, step: judged}, h: {label: H, source: human}"
)
COLUMNS = 'top: {name: Top, metric: m}, twice: {name: Twice, metric: m, cell: "top + top"}'


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    seeds = "{seed: {smoke: [0], small: [0, 1, 2], paper: [4]}, split: [1, 2]}"
    return toy_chapter(tmp_path).table(ROWS, COLUMNS, replicates=seeds)


def chapter(toy: Toy) -> ChapterFolder:
    return Catalog(((toy.root / "specs", False),)).folders["toy/one"]


@pytest.mark.parametrize("scale", SCALES)
def test_cells_and_skips_are_those_of_the_plan(toy: Toy, scale: str) -> None:
    folder = chapter(toy)
    (facts,) = (f for f in scale_facts(folder, folder.tables["toy.t1"]) if f.scale == scale)
    plan = toy.session(scale=scale).plan
    planned = [cell for cell in plan.cells.values() if cell.spec.source == "run"]
    assert facts.cells == sum(bool(cell.runs) for cell in planned)
    assert facts.skipped == Counter(cell.skipped for cell in planned if cell.skipped)
    assert facts.replicates["seed"] == plan.seeds["toy.t1"]
    assert facts.replicates["split"] == (1, 2)


def test_a_level_too_large_for_a_laptop_is_skipped_there_only(toy: Toy) -> None:
    folder = chapter(toy)
    counts = {
        f.scale: (f.cells, dict(f.skipped)) for f in scale_facts(folder, folder.tables["toy.t1"])
    }
    skipped = {"size=l: too big for a laptop": 1}
    assert counts == {"smoke": (5, skipped), "small": (5, skipped), "paper": (6, {})}


def test_steps_have_the_levels_that_cells_and_needs_give_them(toy: Toy) -> None:
    folder = chapter(toy)
    steps = {s.name: s for s in step_facts(folder, folder.tables["toy.t1"])}
    assert list(steps) == ["test", "pair", "judged", "fit", "judge", "mine"]
    assert {n: s.cells for n, s in steps.items() if s.cells} == {"test": 4, "pair": 1, "judged": 1}
    assert steps["fit"].factors == {
        "size": ("s", "l", "xl"),
        "rate": ("low", "high"),
        "neg": ("false", "true"),
    }
    assert steps["mine"].factors == {"size": ("s",)}
    assert steps["test"].needs == ("fit",)
    assert (steps["test"].kind, steps["test"].recipe) == ("eval", "toy/one/test")


def test_a_cell_that_has_no_meaning_is_not_counted(tmp_path: Path) -> None:
    rows = (
        "a: {label: A, values: {top: 1}},"
        "b: {label: B, at: {rate: high}, reasons: {top: not_applicable}}"
    )
    toy = toy_chapter(tmp_path).table(rows, kind="table")
    folder = chapter(toy)
    assert [f.cells for f in scale_facts(folder, folder.tables["toy.t1"])] == [1, 1, 1]
    (fit,) = (s for s in step_facts(folder, folder.tables["toy.t1"]) if s.name == "fit")
    assert fit.factors["rate"] == ("low",)
