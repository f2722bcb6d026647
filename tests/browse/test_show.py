"""`thesisbench show`: tables, claims and runs, and names that stand for none of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browse_toy import accepted_library, is_json, library_at, printed, write_library

from thesisbench.browse.library import Library
from thesisbench.browse.show import show
from thesisbench.errors import UserError
from thesisbench.store.lease import Lease
from thesisbench.store.runs import RunStore


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path / "data"))
    accepted_library(tmp_path)
    return tmp_path


@pytest.fixture
def library(folder: Path) -> Library:
    return library_at(folder)


def data(library: Library, name: str, chapter: str | None = None) -> dict[str, Any]:
    found = show(library, name, chapter).data
    assert is_json(found)
    return found


def text(library: Library, name: str, width: int = 100, *, terminal: bool = False) -> str:
    return printed(show(library, name).print, width=width, terminal=terminal)


def refusal(library: Library, name: str, chapter: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        show(library, name, chapter)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def a_run(library: Library, step: str, *, state: str = "done") -> str:
    runs = library.store.summaries().values()
    return next(run.id for run in runs if run.step == step and run.state == state)


def test_a_table_says_what_was_published_and_what_is_behind_it(library: Library) -> None:
    found = data(library, "toy.t1")
    assert (found["state"], found["accepted"], found["values"]) == ("accepted", ["small"], 5)
    plain, wild, _, human, mine = found["rows"]
    assert plain["cells"][0] == {
        "column": "ap", "source": "run", "step": "test", "value": 81.4, "std": 0.5, "reason": None
    }  # fmt: skip
    assert wild["cells"][0]["reason"] == "diverged"
    assert [c["source"] for c in human["cells"]] == ["human", "human"]
    assert mine["extra"]
    assert [s["name"] for s in found["grid"]["steps"]] == ["test", "fit"]
    assert found["grid"]["scales"]["small"] == {
        "cells": 3,
        "skipped": {"net=big: needs 40 GB": 1},
        "replicates": {"seed": [0, 1, 2, 3, 4]},
    }
    assert [c["id"] for c in found["claims"]] == ["toy/odd:C1", "toy/odd:C2"]
    assert [d["here"] for d in found["datasets"]] == [True]
    assert found["commands"] == [
        "thesisbench plan toy.t1 --scale small",
        "thesisbench reproduce toy.t1 --scale smoke",
        "thesisbench reproduce toy.t1 --scale small",
        "thesisbench reproduce toy.t1 --scale paper",
        "thesisbench report toy.t1 --scale small",
    ]


def test_a_table_is_printed_as_the_thesis_prints_it(library: Library) -> None:
    lines = text(library, "toy.t1").splitlines()
    assert lines[0] == "toy.t1: Several nets | <b>at once</b>"
    assert "State: accepted small" in lines
    cells = [line.split() for line in lines if line.startswith(("  Plain [", "  Wild", "  People"))]
    assert cells == [
        ["Plain", "[net]", "81.4", "±", "0.5", "0.0"],
        ["Wild", "diverged", "-3.5"],
        ["People", "(human)", "91.0", "n/a"],
    ]
    (head,) = (line for line in lines if "Gain" in line)
    assert "In bold: AP (%) ↑" in head
    assert "  small: 3 cells to run; seed 0-4" in lines
    assert "    skipped (1 cell): net=big: needs 40 GB" in lines
    assert "toy/odd:C1  holds (small, 1 of 2 atoms tested)" in "\n".join(lines)


def test_on_a_narrow_terminal_every_cell_has_a_line(library: Library) -> None:
    lines = text(library, "toy.t1", 40, terminal=True).splitlines()
    assert "      In bold: AP (%) ↑: 81.4 ± 0.5" in lines
    commands = [line for line in lines if "thesisbench " in line]
    assert all(len(line) <= 40 for line in lines if line not in commands)


def test_a_table_without_a_grid_has_targets_only(library: Library) -> None:
    found = data(library, "toy.t3")
    assert (found["state"], found["grid"]) == ("targets only", None)
    assert found["missing_recipes"] == ["toy/odd/later"]
    assert found["commands"] == ["thesisbench report toy.t3"]
    (big,) = found["datasets"]
    assert (big["here"], [s["name"] for s in big["stand_ins"]]) == (False, ["q_small"])
    shown = text(library, "toy.t3")
    assert "Targets only: there is no grid yet." in shown
    assert "Recipes that are not built: toy/odd/later" in shown
    assert "Says: Bigger is better." in shown
    assert "stand-in q_small (loader: yes)" in shown


def test_commands_repeat_where_the_specs_of_a_user_are(folder: Path) -> None:
    specs = str(folder / "specs")
    library = Library.at([specs], [str(folder / "conf")])
    (command,) = data(library, "toy.t3")["commands"]
    assert command.startswith(f"thesisbench report toy.t3 --spec-dir {specs} --config-dir ")


def test_a_claim_shows_its_atoms_and_what_they_came_to(library: Library) -> None:
    found = data(library, "toy/odd:C1")
    assert found == data(library, "C1", "toy/odd")
    assert [a["kind"] for a in found["atoms"]] == ["paired", "paired"]
    (result,) = found["results"]
    first, second = result["atoms"]
    assert (first["margin"], first["n"], first["result"]) == (11.0, 5, "holds")
    assert first["interval"]["low"] < 11.0 < first["interval"]["high"]
    assert (second["result"], result["out_of_date"]) == ("not tested", [])
    assert found["commands"] == [
        "thesisbench reproduce toy.t1 --scale small",
        "thesisbench reproduce toy.t1 --scale paper",
    ]
    shown = text(library, "toy/odd:C1")
    assert "toy/odd:C1: holds (small, 1 of 2 atoms tested)" in shown
    assert "margin 11, 9.733 to 12.27 (95%); n = 5" in shown
    assert "power" in shown
    assert "Plain is better than the [control]." in shown


def test_a_claim_whose_statement_changed_says_so_and_shows_it_as_it_is_now(folder: Path) -> None:
    path = folder / "specs" / "toy" / "odd" / "claims.yaml"
    path.write_text(path.read_text().replace("effect: 1.0", "effect: 1.5"))
    library = library_at(folder)
    assert data(library, "toy/odd:C1")["results"][0]["out_of_date"] == ["statement changed"]
    shown = text(library, "toy/odd:C1")
    assert "out of date: statement changed" in shown
    assert "effect worth seeing 1.5" in shown


def test_a_claim_that_is_not_tested_says_why(library: Library) -> None:
    assert data(library, "toy/odd:C3")["not_tested"] == "nobody was asked"
    shown = text(library, "toy/odd:C3")
    assert "not tested: nobody was asked" in shown
    assert "Commands" not in shown


def test_standing_is_shown(library: Library) -> None:
    assert "Standing: The thesis says so only of one." in text(library, "toy/odd:C2")


def test_a_run_is_found_by_the_beginning_of_its_id_and_by_its_folder(library: Library) -> None:
    run = a_run(library, "fit")
    found = data(library, run)
    assert data(library, run[:10]) == found
    assert data(library, str(library.store.root / run)) == found
    assert data(library, str(library.store.root / run / "record.json")) == found
    assert (found["state"], found["step"], found["scale"]) == ("done", "fit", "small")
    assert found["accepted"][0]["table"] == "toy.t1"
    assert set(found["metrics"]) == {"ap"}
    assert found["provenance"]["code"]["dirty"] is False
    assert "config" not in found["provenance"]


def test_a_run_is_printed_with_its_provenance_and_commands(library: Library) -> None:
    run = a_run(library, "test")
    shown = text(library, run)
    (need,) = data(library, run)["needs"]["weights"]
    assert need["state"] == "done"
    assert f"Needs weights: {need['id']} (done)" in shown
    assert "Code: commit 0123456789abcdef0123456789abcdef01234567, clean" in shown
    assert "Hardware: some, no GPU, threads 1" in shown
    assert "Data: q_small, stands in for q_big" in shown
    assert f"thesisbench reproduce toy.t1 --scale small --rerun {run}" in shown
    assert f"thesisbench evaluate {run}\n" in shown


def test_a_fit_names_the_evaluations_that_measure_it(library: Library) -> None:
    run = a_run(library, "fit")
    assert f"thesisbench evaluate {run} experiment=toy/odd/test" in data(library, run)["commands"]


def test_without_a_runs_folder_the_accepted_record_is_shown(folder: Path) -> None:
    run = a_run(library_at(folder), "test")
    library = library_at(folder)
    library.store = RunStore(folder / "nowhere")
    found = data(library, run[:12])
    assert (found["id"], found["state"], found["folder"]) == (run, "done", None)
    assert found["tables"] == ["toy.t1"]
    assert found["needs"]["weights"][0]["state"] == "accepted"
    assert found["commands"] == [f"thesisbench reproduce toy.t1 --scale small --rerun {run}"]
    assert not (folder / "nowhere").exists()


def planned(folder: Path, run: str, **changes: Any) -> RunStore:
    """A run that is planned and was never started."""
    store = RunStore(folder / "runs")
    head = {
        "id": run, "lineage": run, "chapter": "toy/odd", "step": "fit", "kind": "fit",
        "recipe": "toy/odd/fit", "scale": "small", "levels": {"net": "plain"},
        "replicate": {"seed": 9}, "tables": ["toy.t1"], "needs": {}, "overridden": False,
    }  # fmt: skip
    store.folder(run).write_config({**head, **changes, "config": {"seed": 9}})
    return store


def test_a_failed_run_shows_the_end_of_its_log(folder: Path) -> None:
    store = planned(folder, "abcd" * 4)
    run = store.folder("abcd" * 4)
    run.log_file.write_text("".join(f"line {i}\n" for i in range(50)) + "ValueError: bad\n")
    lease = Lease.claim(run.path).lease
    assert lease is not None
    run.write_state({"name": "failed", "message": "bad", "progress": {}}, lease)
    lease.release()
    found = data(library_at(folder), "abcdabcd")
    assert (found["state"], found["message"]) == ("failed", "bad")
    assert found["log_tail"][-1] == "ValueError: bad"
    assert found["log_tail"][0] == "line 31"
    assert found["commands"] == ["thesisbench reproduce toy.t1 --scale small --rerun failed"]
    shown = text(library_at(folder), "abcdabcd")
    assert "Run abcdabcdabcdabcd: failed: bad" in shown
    assert "ValueError: bad" in shown


def test_a_run_of_no_table_is_gone_on_with_by_its_folder(folder: Path) -> None:
    store = planned(folder, "beef" * 4, tables=[], scale="ad hoc")
    found = data(library_at(folder), "beef")
    assert found["state"] == "queued"
    assert found["commands"] == [f"thesisbench run {store.folder('beef' * 4).path}"]


def test_several_runs_that_begin_alike_are_named(folder: Path) -> None:
    planned(folder, "feed0" + "0" * 11)
    planned(folder, "feed1" + "0" * 11)
    said = refusal(library_at(folder), "feed")
    assert said.startswith("2 runs begin with 'feed': feed0")
    assert "feed1" in said
    assert data(library_at(folder), "feed1")["id"] == "feed1" + "0" * 11


@pytest.mark.parametrize(
    ("name", "chapter", "said"),
    [
        ("toy.t9", None, "unknown table, claim or run 'toy.t9'; valid: toy.t1"),
        ("C1", None, "C1 is a claim of 1 chapter: say which, as in toy/odd:C1"),
        ("C9", "toy/odd", "unknown claim of toy/odd 'C9'; valid: C1, C2, C3"),
        ("toy/odd:C9", None, "unknown claim of toy/odd 'C9'"),
        ("C1", "toy/even", "unknown chapter 'toy/even'; valid: toy/odd"),
        ("toy/odd", None, "toy/odd is a chapter; see `thesisbench list tables --chapter toy/odd`"),
        ("toy", None, "toy is a thesis"),
        ("abc", None, "give 4 hex digits or more"),
        ("abcdef", None, "unknown table, claim or run 'abcdef'"),
        ("", None, "unknown table, claim or run ''"),
        ("/no/such/folder", None, "unknown table, claim or run"),
    ],
)
def test_names_that_stand_for_nothing_are_refused_in_one_line(
    library: Library, name: str, chapter: str | None, said: str
) -> None:
    assert said in refusal(library, name, chapter)


def test_a_damaged_record_is_set_aside_and_said(folder: Path) -> None:
    run = a_run(library_at(folder), "fit")
    (folder / "runs" / run / "record.json").write_text("{")
    library = library_at(folder)
    assert show(library, run).data["id"] == run
    assert any("corrupt" in problem for problem in library.store.problems)


def test_nothing_is_written_by_looking(tmp_path: Path) -> None:
    write_library(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    library = library_at(tmp_path)
    for name in ("toy.t1", "toy/odd:C1"):
        json.dumps(data(library, name))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_every_shipped_table_and_claim_can_be_shown() -> None:
    library = Library.at()
    for table in library.tables:
        assert show(library, table).data["id"] == table
    for slug, folder in library.catalog.folders.items():
        for claim in folder.claims:
            assert show(library, f"{slug}:{claim.id}").data["text"]
