"""Eleven published tables through plan, run, judge and render, with stub recipes.

Every cell is compared with a slow recomputation from the YAML (`slow_reference`), and the runs of
each chapter are counted by hand.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

import pytest
from published_chapters import DIVERGES, RUNS, TABLES, Done, execute
from slow_reference import CONSTANT, Found, Values, per_seed
from stub_chapters import StubChapter, stub_chapter

from thesisbench.compose import Composer
from thesisbench.instantiate import ALLOW_VARIABLE
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.model import AtomVerdict
from thesisbench.tables.render.headings import grouped_names
from thesisbench.tables.render.markdown import escape, render_markdown
from thesisbench.tables.session import Session

BOTH = [(slug, scale) for slug in TABLES for scale in ("small", "paper")]
every_chapter = pytest.mark.parametrize(("slug", "scale"), BOTH)

Get = Callable[[str, str], Done]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Get]:
    stubs: dict[str, StubChapter] = {}
    kept: dict[tuple[str, str], Done] = {}

    def get(slug: str, scale: str) -> Done:
        if slug not in stubs:
            folder: Path = tmp_path_factory.mktemp(slug.replace("/", "_"))
            stubs[slug] = stub_chapter(slug, folder, DIVERGES.get(slug, ()))
        if (slug, scale) not in kept:
            kept[slug, scale] = execute(stubs[slug], slug, scale)
        return kept[slug, scale]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ALLOW_VARIABLE, "stub_chapters")
        patch.setattr(os, "fsync", lambda _: None)  # half the time of a run that does nothing
        yield get


@every_chapter
def test_every_run_is_planned_once_and_no_other(done: Get, slug: str, scale: str) -> None:
    runs = done(slug, scale).runs
    assert Counter(run.step for run in runs) == RUNS[slug, scale]
    described = {(r.step, str(r.levels), str(r.replicate), str(r.needs)) for r in runs}
    assert len(described) == len(runs)


@every_chapter
def test_needed_runs_come_first_and_are_of_the_same_seed(done: Get, slug: str, scale: str) -> None:
    found, seen = done(slug, scale), set[str]()
    for run in found.runs:
        for needed in (n for ids in run.needs.values() for n in ids):
            assert needed in seen
            theirs = found.session.plan.runs[needed].replicate
            assert theirs == run.replicate or theirs == {}
        seen.add(run.id)


@every_chapter
def test_every_cell_is_what_its_runs_measured(done: Get, slug: str, scale: str) -> None:
    found = done(slug, scale)
    assert found.session.cells.keys() == found.expected.keys()
    for key, cell in found.session.cells.items():
        expected = found.expected[key]
        if isinstance(expected, str):
            assert (cell.state, dict(cell.values)) == (expected, {}), key
            continue
        values = {seed: value for seed, value in expected.items() if value is not None}
        assert cell.state == "done", (key, cell.why)
        assert cell.values == pytest.approx(values, rel=1e-12), key
        assert cell.diverged == {seed for seed, value in expected.items() if value is None}, key


@every_chapter
def test_no_two_cells_hold_one_number_by_chance(done: Get, slug: str, scale: str) -> None:
    """A stub tells runs and metrics apart: no cell can be right by reading another's."""
    cells = done(slug, scale).session.cells.values()
    numbers = [value for c in cells if c.source == "run" for value in c.values.values()]
    assert len(set(numbers)) == len(numbers)


@every_chapter
def test_only_scale_paper_is_compared(done: Get, slug: str, scale: str) -> None:
    session = done(slug, scale).session
    for key, cell in session.cells.items():
        verdict = session.verdicts[key].verdict
        if cell.state in ("printed", "skipped") or scale == "small":
            assert verdict == "not comparable", key
        else:
            assert cell.comparable, key
            assert verdict != "not comparable", key


@every_chapter
def test_claims_rest_on_the_cells_they_name(done: Get, slug: str, scale: str) -> None:
    found = done(slug, scale)
    printed = {k: c.target.value for k, c in found.session.cells.items() if c.state == "printed"}
    tested = 0
    for claim in (c for claims in found.session.claims.values() for c in claims):
        for atom in claim.atoms:
            names, expression = slow_atom(atom, found, printed, set(claim.tables))
            untested = ("skipped", "printed") if scale == "small" else ("skipped",)
            if any(value in untested for value in names.values()):
                assert atom.result == "not tested", atom
            elif names and all(isinstance(value, dict) for value in names.values()):
                values = {k: v for k, v in names.items() if isinstance(v, dict)}
                check_atom(atom, per_seed(expression, values))
                tested += 1
    assert tested > 0


def slow_atom(
    atom: AtomVerdict,
    found: Done,
    printed: dict[tuple[str, str, str], float | None],
    where: set[str],
) -> tuple[dict[str, Found], str]:
    """The cells of an atom under plain names, and lhs - rhs in those names."""
    tables = {t.partition(".")[2].replace(".", "_").lower(): t for t in where}
    names: dict[str, Found] = {}

    def name(match: re.Match[str]) -> str:
        inside, table, row, column = match.groups()
        place = (tables[table], row, column)
        cell = found.expected.get(place, "elsewhere")
        if place in printed and found.session.scale == "paper":
            cell = {CONSTANT: printed[place]}
        if inside and isinstance(cell, dict):
            cell = {seed: float(value is None) for seed, value in cell.items()}
        names[key := f"v{len(names)}"] = cell
        return key

    text = re.sub(r"(diverged\()?(\w+)\[(\w+)\]\.(\w+)\)?", name, atom.text)
    if atom.kind == "equal_within":
        return names, text.rpartition("<=")[0].strip().strip("|")
    left, right = re.split(r"[<>=]=?", text)
    return names, f"({left}) - ({right})"


def check_atom(atom: AtomVerdict, differences: Values) -> None:
    values = [value for value in differences.values() if value is not None]
    assert atom.n == len(values), atom
    if values:
        assert atom.margin == pytest.approx(fmean(values), abs=1e-9), atom
        assert atom.result in ("holds", "fails", "undecided"), atom


@every_chapter
def test_markdown_shows_every_number(done: Get, slug: str, scale: str) -> None:
    session = done(slug, scale).session
    for table_id in TABLES[slug]:
        table, text = session.catalog.table(table_id), render_markdown(session, table_id)
        lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
        single = len(table.columns) == 1
        places = [(r, c) for r in table.rows for c in table.columns]
        columns = [column.name for column in table.columns.values()]
        names = dict(zip(table.columns, grouped_names(columns, table.header), strict=True))
        for line, (r, c) in zip(lines[: len(places)], places, strict=True):
            cell = session.cells[table_id, r, c]
            digits, shown = cell.target.decimals, line[1:] if single else line[2:]
            assert line[0].startswith(f"| {escape(table.rows[r].label)}"), line
            assert single or line[1].startswith(escape(names[c])), line
            if cell.target.value is not None:
                assert shown[0].startswith(f"{cell.target.value:.{digits}f}"), line
            if cell.values:
                mean = fmean(cell.values.values())
                assert f"{mean:.{digits}f}" in shown[1].split(), line


def test_kayhan_both_tables_read_one_test_of_one_training(done: Get) -> None:
    for scale in ("small", "paper"):
        found = done("kayhan/full_conv", scale)
        cells = found.session.cells
        for row in ("rn18", "rn34", "rn50", "rn101"):
            for column in ("s_conv", "f_conv", "s_blurpool", "f_blurpool"):
                a = cells["kayhan.t2.2a", row, column]
                assert a.runs == cells["kayhan.t2.2b", row, column].runs
        for run in (r for r in found.runs if r.step == "shift_test"):
            assert found.needed(run, "weights").step == "imagenet"
            assert set(run.tables) == {"kayhan.t2.2a", "kayhan.t2.2b"}


def test_kayhan_one_stand_in_never_stands_for_four_networks(done: Get) -> None:
    cells = done("kayhan/full_conv", "small").session.cells
    skipped = {key[1] for key, cell in cells.items() if cell.state == "skipped"}
    assert skipped == {"rn34", "rn50", "rn101"}
    whys = {cell.why for cell in cells.values() if cell.state == "skipped"}
    assert all("the stand-in has one depth, ResNet-8" in str(why) for why in whys)
    (claim,) = done("kayhan/full_conv", "small").session.claims["kayhan/full_conv"]
    assert (claim.claim, claim.tested, len(claim.atoms)) == ("C4", 6, 26)


def test_liu_divergence_is_a_result(done: Get) -> None:
    found = done("liu/weight_align", "paper")
    for row in ("none", "scaled_variance"):
        cell = found.cell(row, "vgg16")
        assert (cell.state, cell.diverged, dict(cell.values)) == ("done", {0, 1}, {})
        detail = found.session.verdicts[cell.key]
        assert detail.verdict == "reproduced"
        assert detail.why == "all 2 runs diverged, as in the thesis"
    assert found.cell("zero_mean", "vgg16").diverged == {1}
    assert set(found.cell("zero_mean", "vgg16").values) == {0}
    c6 = next(c for c in found.session.claims["liu/weight_align"] if c.claim == "C6")
    assert [a.result for a in c6.atoms[:4]] == ["holds", "holds", "fails", "holds"]
    assert (c6.atoms[4].n, c6.atoms[4].dropped) == (1, (1,))


def test_liu_fine_tunings_share_a_training_and_transfers_a_fine_tuning(done: Get) -> None:
    found = done("liu/weight_align", "paper")
    tuned = [run for run in found.runs if run.step == "office31"]
    assert set(Counter(run.needs["start"] for run in tuned).values()) == {3}
    tests = [run for run in found.runs if run.step == "office31_test"]
    assert set(Counter(run.needs["weights"] for run in tests).values()) == {2}
    for run in tests:
        assert found.needed(run, "weights").levels["source"] != run.levels["target"]


def test_liu_resnet50_is_marked_as_resnet18_at_small_only(done: Get) -> None:
    small, paper = (done("liu/weight_align", scale).session.cells for scale in ("small", "paper"))
    of_t56 = [key for key in small if key[0] == "liu.t5.6"]
    assert {small[key].same_as for key in of_t56} == {"backbone=resnet18"}
    assert {paper[key].same_as for key in of_t56} == {None}
    assert {small[key].same_as for key in small if key[0] == "liu.t5.4"} == {None}


def test_singh_mines_only_for_rows_with_negative_chips(done: Get) -> None:
    for scale in ("small", "paper"):
        found = done("singh/sniper", scale)
        for run in (r for r in found.runs if r.step == "fit"):
            assert ("proposals" in run.needs) == (run.levels["neg_chips"] == "true")
            if run.needs:
                miner = found.needed(run, "proposals")
                assert miner.kind == "prepare"
                assert miner.levels == {k: run.levels[k] for k in ("backbone", "scales")}
        assert all(run.levels["neg_chips"] for run in found.runs if run.step == "fit")


def test_ilic_five_classes_are_tuned_from_the_fit_of_the_same_video(done: Get) -> None:
    for scale in ("small", "paper"):
        found = done("ilic/appearance_free", scale)
        tuned = [run for run in found.runs if run.step == "finetune"]
        for run in tuned:
            initial = found.needed(run, "initial")
            assert (initial.step, initial.levels) == ("fit", run.levels)
        users = Counter(n for run in found.runs for ids in run.needs.values() for n in ids)
        fits = [run.id for run in found.runs if run.step == "fit"]
        assert {users[fit] for fit in fits} == {2}  # its own test, and the fine-tuning


def test_ilic_splits_are_averaged_within_a_seed_and_people_only_printed(done: Get) -> None:
    found = done("ilic/appearance_free", "paper")
    cell = found.cell("x3d_m", "afd5")
    assert {seed: len(ids) for seed, ids in cell.runs.items()} == {0: 3}
    delta = found.cell("x3d_m", "delta5").values[0]
    assert delta == pytest.approx(found.cell("x3d_m", "ucf5").values[0] - cell.values[0])
    people = [c for key, c in found.session.cells.items() if key[1] == "human"]
    assert {(c.source, c.state, len(c.values), len(c.runs)) for c in people} == {
        ("human", "printed", 0, 0)
    }


def test_zhao_one_judge_serves_every_seed_and_the_ground_truth(done: Get) -> None:
    for scale in ("small", "paper"):
        found = done("zhao/semantic_colorization", scale)
        (judge,) = [run for run in found.runs if run.step == "judge"]
        assert judge.replicate == {}
        users = [run.step for run in found.runs if run.needs.get("judge") == (judge.id,)]
        seeds = {"small": 5, "paper": 3}[scale]
        assert Counter(users) == {"single_color": seeds, "judge_test": 1}
        truth = found.cell("ground_truth", "miou")
        assert (truth.constant, set(truth.values)) == (True, {CONSTANT})
        for column in ("psnr", "rmse"):
            nothing = found.cell("ground_truth", column)
            assert (nothing.state, nothing.runs) == ("skipped", {})
            assert "not applicable" in str(nothing.why)


def test_zhao_each_class_reads_its_own_rank(done: Get) -> None:
    small, paper = (done("zhao/semantic_colorization", scale) for scale in ("small", "paper"))
    places = [key for key in paper.session.cells if key[0] == "zhao.f2.16"]
    assert len(places) == 21
    assert {paper.session.plan.cells[key].spec.read for key in places} == {
        f"rank_{key[1]}" for key in places
    }
    assert {len(run) for key in places for run in paper.session.cells[key].runs.values()} == {1}
    assert len({str(paper.session.cells[key].runs) for key in places}) == 1
    assert {small.session.cells[key].state for key in places} == {"skipped"}


def test_zhao_external_rows_are_judged_at_paper_only(done: Get) -> None:
    for scale, tested in (("small", 0), ("paper", 7)):
        claims = done("zhao/semantic_colorization", scale).session.claims
        c7 = next(c for c in claims["zhao/semantic_colorization"] if c.claim == "C7")
        assert (c7.tested, len(c7.atoms)) == (tested, 7)


def test_zhao_fourteen_columns_are_seven_tests_of_a_row(done: Get) -> None:
    found = done("zhao/aligned_conv3d", "paper")
    for row in ("vanilla", "patch_to_point"):
        cells = {k[2]: c for k, c in found.session.cells.items() if k[1] == row}
        assert len(cells) == 14
        assert len({str(cell.runs) for cell in cells.values()}) == 7
        for key in (k.removesuffix("_top1") for k in cells if k.endswith("_top1")):
            assert cells[f"{key}_top1"].runs == cells[f"{key}_top5"].runs
    gain = found.cell("improvement", "c32_rand_top5")
    ours, theirs = (found.cell(r, "c32_rand_top5") for r in ("patch_to_point", "vanilla"))
    assert gain.values == pytest.approx({s: ours.values[s] - theirs.values[s] for s in (0, 1, 2)})


def test_zhao_context_is_counted_once_and_its_duration_derived(done: Get) -> None:
    found = done("zhao/tuber", "paper")
    for row in ("none", "w2", "w3", "w5"):
        clips, seconds = found.cell(row, "n_clips"), found.cell(row, "duration")
        assert (clips.constant, seconds.constant) == (True, True)
        assert seconds.values[CONSTANT] == pytest.approx(clips.values[CONSTANT] * 64 / 30)
        assert set(found.cell(row, "ava").values) == {0, 1, 2}


def test_chapters_may_share_runs_whose_factors_differ(tmp_path: Path) -> None:
    tables = ("cross.shift", "kayhan.t2.2a")
    store = RunStore(tmp_path)
    session = Session(Catalog.at(), store, Composer(), tables, scale="small", seeds=(0,))
    shared = [run for run in session.plan.runs.values() if len(run.tables) == 2]
    assert {run.kind for run in shared} == {"fit", "eval"}
