"""`thesisbench list`: what is listed, in which state, by which filters."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from browse_toy import accepted_library, is_json, library_at, printed, write_library

from thesisbench.browse.library import Library
from thesisbench.browse.listing import LISTINGS, list_entries, nothing, print_entries
from thesisbench.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    accepted_library(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def shipped() -> Library:
    return Library.at()


def data(library: Library, what: str, **chosen: str) -> list[dict[str, Any]]:
    supplements = bool(chosen.pop("supplements", ""))
    return [e.data for e in list_entries(library, what, chosen, supplements=supplements)]


def test_tables_say_their_size_and_state(folder: Path) -> None:
    rows = data(library_at(folder), "tables", supplements="yes")
    assert [(r["id"], r["kind"], r["state"], r["accepted"]) for r in rows] == [
        ("toy.t1", "table", "accepted", ["small"]),
        ("toy.t2", "supplement", "not run", []),
        ("toy.t3", "figure", "targets only", []),
    ]
    assert {k: rows[0][k] for k in ("rows", "columns", "values", "chapter", "task")} == {
        "rows": 5, "columns": 2, "values": 5, "chapter": "toy/odd", "task": "classification"
    }  # fmt: skip
    assert [r["id"] for r in data(library_at(folder), "tables")] == ["toy.t1", "toy.t3"]


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        ({"task": "detection"}, ["toy.t3"]),
        ({"state": "accepted"}, ["toy.t1"]),
        ({"state": "accepted-small"}, ["toy.t1"]),
        ({"state": "accepted paper"}, []),
        ({"state": "Targets Only"}, ["toy.t3"]),
        ({"state": "not-run", "supplements": "yes"}, ["toy.t2"]),
        ({"thesis": "toy", "chapter": "toy/odd", "task": "classification"}, ["toy.t1"]),
    ],
)
def test_tables_are_chosen_by_filters(folder: Path, chosen: dict[str, str], ids: list[str]) -> None:
    assert [row["id"] for row in data(library_at(folder), "tables", **chosen)] == ids


def test_claims_say_what_they_came_to(folder: Path) -> None:
    library = library_at(folder)
    first, second, third = data(library, "claims")
    assert (first["id"], first["atoms"], first["tables"]) == ("toy/odd:C1", 2, ["toy.t1"])
    assert first["results"] == [
        {
            "scale": "small",
            "result": "holds",
            "summary": "holds (1 of 2 atoms tested)",
            "out_of_date": [],
        }
    ]
    assert [r["result"] for r in second["results"]] == ["undecided"]
    assert (third["results"], third["not_tested"]) == ([], "nobody was asked")
    shown = [e.shown for e in list_entries(library, "claims", {})]
    assert shown[0]["result"] == "holds (small, 1 of 2 atoms tested)"
    assert shown[2]["text"] == "Needs people. (Not tested: nobody was asked.)"


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("holds", ["C1"]),
        ("undecided", ["C2"]),
        ("not-tested", ["C3"]),
        ("out of date", []),
        ("not judged", []),
    ],
)
def test_claims_are_chosen_by_state(folder: Path, state: str, names: list[str]) -> None:
    assert [r["claim"] for r in data(library_at(folder), "claims", state=state)] == names


def test_without_accepted_results_claims_are_not_judged(tmp_path: Path) -> None:
    write_library(tmp_path)
    rows = data(library_at(tmp_path), "claims", state="not judged")
    assert [r["claim"] for r in rows] == ["C1", "C2"]


def test_chapters_and_theses_add_up(folder: Path) -> None:
    (chapter,) = data(library_at(folder), "chapters")
    assert {k: chapter[k] for k in ("tables", "grids", "accepted", "values", "claims")} == {
        "tables": 2, "grids": 1, "accepted": 1, "values": 6, "claims": 3
    }  # fmt: skip
    (thesis,) = data(library_at(folder), "theses")
    assert (thesis["id"], thesis["tables"], thesis["values"], thesis["title"]) == (
        "toy", 2, 6, None
    )  # fmt: skip


def test_options_of_users_are_listed_with_what_their_comment_says(folder: Path) -> None:
    library = library_at(folder)
    (dark,) = (r for r in data(library, "variants") if r["group"] == "shade")
    assert dark == {
        "variant": "shade=dark",
        "group": "shade",
        "option": "dark",
        "what": "Less light. In all layers.",
    }
    (tiny,) = (r for r in data(library, "backbones") if r["backbone"] == "tiny")
    assert (tiny["class"], tiny["what"]) == ("some.nets.Tiny", "Two layers.")


def test_data_sets_say_whether_they_can_be_loaded_and_are_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESISBENCH_DATA", str(folder / "data"))
    rows = {r["name"]: r for r in data(library_at(folder), "datasets")}
    big, small = rows["q_big"], rows["q_small"]
    assert (big["loader"], big["here"], big["tables"]) == (False, False, ["toy.t3"])
    assert big["stand_ins"] == [{"name": "q_small", "loader": True}]
    assert (small["loader"], small["here"], small["tables"]) == (True, True, ["toy.t1"])
    assert rows["red_green"]["kind"] is None  # a loader that these registries do not know
    (folder / "data" / "big").mkdir(parents=True)
    (folder / "data" / "big" / "images.tar").touch()
    here = data(library_at(folder), "datasets", thesis="toy", state="here")
    assert [r["name"] for r in here] == ["q_big", "q_small"]
    built = data(library_at(folder), "datasets", thesis="toy", state="built")
    assert [r["name"] for r in built] == ["q_small"]


def test_runs_are_those_of_the_runs_folder(folder: Path) -> None:
    library = library_at(folder)
    rows = data(library, "runs")
    assert Counter(r["state"] for r in rows) == {"done": 26, "diverged": 4}
    assert Counter(r["step"] for r in rows) == {"fit": 15, "test": 15}
    assert {len(r["needs"]) for r in rows if r["step"] == "test"} == {1}
    assert [r["replicate"]["seed"] for r in rows[:5]] == [0, 1, 2, 3, 4]
    assert len(data(library, "runs", state="diverged", thesis="toy")) == 4
    assert data(library, "runs", state="failed") == []


@pytest.mark.parametrize(
    ("what", "chosen", "said"),
    [
        ("nonsense", {}, "valid: backbones, chapters, claims"),
        ("tables", {"thesis": "toi"}, "unknown thesis 'toi'; valid: toy"),
        ("tables", {"chapter": "toy/even"}, "unknown chapter 'toy/even'; valid: toy/odd"),
        ("tables", {"task": "detektion"}, "unknown task 'detektion'; valid: classification"),
        ("tables", {"state": "holds"}, "unknown state 'holds'; valid: accepted"),
        ("claims", {"state": "accepted"}, "unknown state 'accepted'; valid: fails, holds"),
        ("variants", {"thesis": "toy"}, "--thesis: `list variants` takes no filter"),
        ("theses", {"state": "here"}, "--state: `list theses` takes --thesis, --task"),
    ],
)
def test_unknown_names_are_refused_in_one_line(
    folder: Path, what: str, chosen: dict[str, str], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        list_entries(library_at(folder), what, chosen)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_listing_says_so(folder: Path) -> None:
    library = library_at(folder)
    chosen = {"thesis": "toy", "state": "failed", "task": None}
    assert nothing("runs", chosen, library) == "no runs with --thesis 'toy' --state 'failed'"
    empty = dataclasses.replace(library)
    assert nothing("runs", {}, empty) == f"no runs in {folder / 'runs'}"


def test_off_a_terminal_an_entry_is_one_line(folder: Path) -> None:
    entries = list_entries(library_at(folder), "claims", {})
    lines = printed(lambda c: print_entries(entries, c), width=40).splitlines()
    assert len(lines) == 1 + len(entries)
    assert lines[0].split() == ["claim", "atoms", "result", "tables", "text"]
    assert lines[1].startswith("toy/odd:C1  2 ")
    assert lines[1].endswith("Plain is better than the [control].")
    assert lines[0].index("text") == lines[1].index("Plain") == lines[2].index("The control")


@pytest.mark.parametrize("width", [60, 100, 160])
def test_on_a_terminal_the_last_column_stays_inside_the_window(folder: Path, width: int) -> None:
    entries = list_entries(library_at(folder), "claims", {})
    text = printed(lambda c: print_entries(entries, c), width=width, terminal=True)
    plain = [line for line in text.splitlines() if "toy/odd" not in line and "claim" not in line]
    assert all(len(line) <= width for line in plain)
    assert "control" in text


def test_all_published_tables_and_claims_are_listed(shipped: Library) -> None:
    tables = data(shipped, "tables")
    assert len(tables) == 165
    assert sum(row["values"] for row in tables) == 2397
    assert "supplement" not in {row["kind"] for row in tables}
    claims = data(shipped, "claims")
    assert Counter(row["chapter"] for row in claims) == {
        slug: len(folder.claims)
        for slug, folder in shipped.catalog.folders.items()
        if folder.claims
    }
    assert len({row["id"] for row in claims}) == len(claims)
    assert len(data(shipped, "theses")) == 5 + 1  # and what combines several
    assert len(data(shipped, "chapters")) == 24 + 1


@pytest.mark.parametrize("what", [what for what in LISTINGS if what != "runs"])
def test_entries_of_a_listing_have_the_same_keys(shipped: Library, what: str) -> None:
    entries = list_entries(shipped, what, {}, supplements=True)
    assert {tuple(entry.data) for entry in entries} == {tuple(entries[0].data)}
    assert {tuple(entry.shown) for entry in entries} == {tuple(entries[0].shown)}
    assert is_json([entry.data for entry in entries])


def test_every_shipped_variant_and_backbone_says_what_it_is_for(shipped: Library) -> None:
    rows = [*data(shipped, "variants"), *data(shipped, "backbones")]
    assert [row for row in rows if not row["what"]] == []
