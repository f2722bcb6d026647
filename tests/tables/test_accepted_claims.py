"""Accepted verdicts are read, never judged again, and marked where they no longer fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from odd_table import fill, open_session, write_chapter

from thesisbench.errors import SpecError
from thesisbench.tables.accept import accept
from thesisbench.tables.accepted_claims import accepted_claims, results_digest
from thesisbench.tables.catalog import Catalog, ChapterFolder
from thesisbench.tables.claims import parse_claims, statement_digest

SPEC = "specs/toy/odd"
RESULTS = f"{SPEC}/results/small"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A chapter with both tables accepted."""
    write_chapter(tmp_path)
    session = open_session(tmp_path, "toy.t1", "toy.t2")
    fill(session, leave_out=())
    accept(session)
    return tmp_path


def chapter(folder: Path) -> ChapterFolder:
    return Catalog(((folder / "specs", False),)).folders["toy/odd"]


def words(folder: Path) -> dict[str, list[str]]:
    return {c: [k.words for k in kept] for c, kept in accepted_claims(chapter(folder)).items()}


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def claim(**changes: Any) -> Any:
    atom = {"paired": "t1[a].top > t1[b].top", "effect": 2.0}
    said = {"id": "C1", "text": "A is better.", "where": ["toy.t1"], "atoms": [atom], **changes}
    (found,) = parse_claims({"claims": [said]}, "toy/odd")
    return found


def test_entries_say_result_and_scale(folder: Path) -> None:
    assert words(folder) == {"C1": ["holds (small, 1 of 2 atoms tested)"], "C2": ["holds (small)"]}
    (kept,) = accepted_claims(chapter(folder))["C1"]
    atom = kept.verdict.atoms[0]
    assert (atom.margin, atom.n, atom.interval is not None) == (11.0, 5, True)
    assert kept.verdict.tables == ("toy.t1",)


def test_a_changed_atom_makes_its_claim_out_of_date_and_no_other(folder: Path) -> None:
    change(folder / SPEC / "claims.yaml", 't1[mine].ap", effect: 1.0', 't1[mine].ap", effect: 2.0')
    assert words(folder) == {
        "C1": ["holds (small, 1 of 2 atoms tested; out of date: statement changed)"],
        "C2": ["holds (small)"],
    }


def test_better_words_leave_a_verdict_as_it_is(folder: Path) -> None:
    change(folder / SPEC / "claims.yaml", "Plain is better", "Plain is much better")
    assert all("out of date" not in w for kept in words(folder).values() for w in kept)


def test_changed_records_make_the_claims_on_their_table_out_of_date(folder: Path) -> None:
    change(folder / RESULTS / "t2.json", '"ap": 70.04', '"ap": 70.05')
    assert words(folder)["C1"] == ["holds (small, 1 of 2 atoms tested)"]
    assert words(folder)["C2"] == ["holds (small; out of date: records changed)"]


def test_records_that_are_gone_count_as_changed(folder: Path) -> None:
    (folder / RESULTS / "t2.json").unlink()
    assert words(folder)["C2"] == ["holds (small; out of date: records changed)"]


def test_an_entry_from_before_statements_were_kept_is_out_of_date(folder: Path) -> None:
    path = folder / RESULTS / "claims.json"
    entries = json.loads(path.read_text())
    path.write_text(json.dumps([{k: v for k, v in e.items() if k != "stated"} for e in entries]))
    assert words(folder)["C2"] == ["holds (small; out of date: statement changed)"]


def test_the_time_a_run_took_and_claims_no_longer_stated_do_not_count(folder: Path) -> None:
    change(folder / RESULTS / "t1.json", '"wall_seconds": ', '"wall_seconds": 9')
    change(folder / SPEC / "claims.yaml", "- id: C2", "- id: C4")
    assert words(folder) == {"C1": ["holds (small, 1 of 2 atoms tested)"]}


def test_only_accepted_tables_have_a_digest_in_an_entry(tmp_path: Path) -> None:
    write_chapter(tmp_path)
    session = open_session(tmp_path)
    fill(session, leave_out=())
    fill(open_session(tmp_path, "toy.t2"), leave_out=())
    accept(session)
    assert words(tmp_path)["C2"] == ["undecided (small)"]


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}'])
def test_a_damaged_file_is_named_in_one_line(folder: Path, text: str) -> None:
    for name in ("claims.json", "t1.json"):
        path = folder / RESULTS / name
        kept = path.read_text()
        path.write_text(text)
        with pytest.raises(SpecError, match=name) as caught:
            words(folder)
        assert "\n" not in str(caught.value)
        path.write_text(kept)


def test_the_digest_of_a_statement_covers_what_is_judged() -> None:
    same = statement_digest(claim())
    assert len(same) == 16
    assert statement_digest(claim(text="Other words.", standing="A note.")) == same
    other = {"paired": "t1[a].top > t1[c].top", "effect": 2.0}
    for changed in (
        {"alpha": 0.01},
        {"looks": 2},
        {"atoms": [other]},
        {"where": ["toy.t1", "x.t2"]},
    ):
        assert statement_digest(claim(**changed)) != same
    atoms = [{"paired": "t1[a].top > t1[b].top", "effect": 3.0}]
    assert statement_digest(claim(atoms=atoms)) != same
    (first,) = claim().atoms
    assert statement_digest(replace(claim(), atoms=(replace(first, kind="exact"),))) != same


def test_the_digest_of_results_does_not_depend_on_their_order_or_on_integral_floats() -> None:
    results = {"a": {"metrics": {"x": 1.0}}, "b": {"metrics": {}}}
    other = {"b": {"metrics": {}}, "a": {"metrics": {"x": 1}}}
    assert results_digest(results) == results_digest(other)
    assert results_digest(results) != results_digest({"a": results["a"]})


def test_the_shipped_verdicts_fit_their_statements_and_records() -> None:
    kept = [
        k for f in Catalog.at().folders.values() for ks in accepted_claims(f).values() for k in ks
    ]
    assert len(kept) >= 7
    assert [k.words for k in kept if k.out_of_date] == []
