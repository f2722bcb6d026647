"""Accepting: what is written, and that it reads back as the same records, cells and verdicts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from odd_table import (
    COMMIT,
    fill,
    open_session,
    provenance_of,
    record_of,
    write_chapter,
    write_record,
)

from thesisbench.errors import SpecError
from thesisbench.store.files import canonical_json
from thesisbench.tables.accept import accept
from thesisbench.tables.accepted import AcceptedRecords, Packed
from thesisbench.tables.render.markdown import render_markdown
from thesisbench.tables.session import Session


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_chapter(tmp_path)
    return tmp_path


def complete(folder: Path, *tables: str, **changes: Any) -> Session:
    session = open_session(folder, *tables, **changes)
    fill(session, leave_out=())
    return session


def results(folder: Path) -> Path:
    return folder / "specs" / "toy" / "odd" / "results" / "small"


def content(folder: Path, name: str) -> Any:
    return json.loads((results(folder) / name).read_text())


def test_accepted_records_read_back_equal(folder: Path) -> None:
    session = complete(folder)
    written = accept(session)
    assert written == [results(folder) / "t1.json", results(folder) / "claims.json"]
    accepted = AcceptedRecords(list(session.catalog.folders.values()))
    for run in session.plan.runs.values():
        assert accepted.get(run.id) == session.store.record(run.id) == record_of(run, session)
    assert accepted.get("0" * 16) is None
    (kept,) = accepted.tables("small").values()
    assert (kept.table, kept.scale, list(kept.runs)) == ("toy.t1", "small", list(session.plan.runs))
    assert accepted.tables("paper") == {}


def test_without_a_runs_folder_the_same_cells_and_verdicts_are_shown(folder: Path) -> None:
    session = complete(folder, "toy.t1", "toy.t2")
    accept(session)
    bare = open_session(folder, "toy.t1", "toy.t2", runs="nowhere")
    assert bare.cells == session.cells
    assert bare.verdicts == session.verdicts
    assert bare.claims == session.claims
    assert render_markdown(bare, "toy.t1") == render_markdown(session, "toy.t1")


def test_what_runs_share_is_written_once(folder: Path) -> None:
    session = complete(folder)
    other, *_ = session.plan.runs.values()
    record = record_of(other, session)
    record["provenance"]["threads"] = 4
    write_record(session, record)
    session.refresh()
    accept(session)
    kept = content(folder, "t1.json")
    assert {k: kept[k] for k in ("format", "table", "scale")} == {
        "format": 1, "table": "toy.t1", "scale": "small",
    }  # fmt: skip
    assert [kept["environments"][e]["threads"] for e in ("e1", "e2")] == [4, 1]
    assert kept["environments"]["e2"]["code"]["git_commit"] == COMMIT
    assert set(kept["accepted"]) == {"commit", "date"}
    assert len(kept["runs"]) == 40
    assert len(kept["configs"]) == 5  # four nets and the test, whatever the seed
    assert AcceptedRecords(list(session.catalog.folders.values())).get(other.id) == record


def test_a_configuration_that_is_not_the_replicate_s_is_kept_whole(folder: Path) -> None:
    session = open_session(folder)
    run = next(iter(session.plan.runs.values()))
    odd = {**provenance_of(run), "config": {"seed": 7}}
    packed = Packed.of([(run.id, record_of(run, session, provenance=odd))])
    assert packed.configs == {}
    assert packed.runs[run.id]["provenance"]["config"] == {"seed": 7}


def test_files_are_easy_to_compare_and_stay_untouched_when_nothing_changed(folder: Path) -> None:
    session = complete(folder)
    accept(session)
    before = {p: p.read_bytes() for p in results(folder).iterdir()}
    for text in before.values():
        assert text.endswith(b"]\n" if text.startswith(b"[") else b"}\n")
        assert text.splitlines()[1].startswith(b" ")
        assert not text.splitlines()[1].startswith(b"  ")
    assert list(content(folder, "t1.json")["runs"]) == list(session.plan.runs)
    assert accept(session) == []
    assert {p: p.read_bytes() for p in results(folder).iterdir()} == before


def test_floats_are_kept_to_the_last_bit(folder: Path) -> None:
    session = complete(folder)
    run = list(session.plan.runs.values())[1]
    record = record_of(run, session)
    record["result"] = {
        "outcome": "ok",
        "metrics": {"ap": 0.1 + 0.2, "tiny": 5e-324},
        "digests": {},
    }
    write_record(session, record)
    session.refresh()
    accept(session)
    kept = AcceptedRecords(list(session.catalog.folders.values())).get(run.id)
    assert kept is not None
    assert kept["result"]["metrics"] == {"ap": 0.1 + 0.2, "tiny": 5e-324}


def test_claims_hold_their_verdict_and_the_digest_of_what_was_judged(folder: Path) -> None:
    session = complete(folder)
    accept(session)
    first, second = content(folder, "claims.json")
    assert [first["claim"], second["claim"]] == ["C1", "C2"]
    assert (first["result"], first["summary"]) == ("holds", "holds (1 of 2 atoms tested)")
    atom = first["atoms"][0]
    assert (atom["kind"], atom["margin"], atom["n"], atom["effect"]) == ("paired", 11.0, 5, 1.0)
    assert atom["interval"]["low"] < 11.0 < atom["interval"]["high"]
    assert 0 < atom["power"] < 1
    judged = {r.id: record_of(r, session)["result"] for r in session.plan.runs.values()}
    digest = hashlib.sha256(canonical_json(judged).encode()).hexdigest()
    assert first["digests"] == {"toy.t1": digest}


def test_claims_rest_on_accepted_records_only(folder: Path) -> None:
    complete(folder, "toy.t2")  # its records are there, but not accepted
    first = complete(folder)
    accept(first)
    before = {entry["claim"]: entry for entry in content(folder, "claims.json")}
    assert first.claims["toy/odd"][1].result == "holds"
    assert before["C2"]["result"] == "undecided"
    assert list(before["C2"]["digests"]) == ["toy.t1"]
    accept(complete(folder, "toy.t2"))
    after = {entry["claim"]: entry for entry in content(folder, "claims.json")}
    assert list(after) == ["C1", "C2", "C3"]
    assert after["C1"] == before["C1"]
    assert after["C2"]["result"] == "holds"
    assert list(after["C2"]["digests"]) == ["toy.t1", "toy.t2"]
    assert (after["C3"]["result"], after["C3"]["why"]) == ("not tested", "nobody was asked")


def test_an_entry_whose_claim_is_gone_goes_too(folder: Path) -> None:
    accept(complete(folder))
    path = results(folder) / "claims.json"
    old = [{"claim": "C0", "result": "holds"}, *json.loads(path.read_text())]
    path.write_text(json.dumps(old))
    assert accept(complete(folder)) == [path]
    assert [entry["claim"] for entry in content(folder, "claims.json")] == ["C1", "C2"]


def test_another_folder_can_take_the_results(folder: Path) -> None:
    session = complete(folder)
    written = accept(session, out=folder / "kept")
    place = folder / "kept" / "toy" / "odd" / "results" / "small"
    assert written == [place / "t1.json", place / "claims.json"]
    assert not results(folder).exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", r"t1\.json is corrupt"),
        ("[]", r"t1\.json: has format None"),
        ('{"format": 2}', r"t1\.json: has format 2, and format 1 is what can be read"),
        ('{"format": 1, "runs": []}', r"t1\.json: is no file of accepted records"),
    ],
)
def test_a_damaged_file_is_named(folder: Path, text: str, complaint: str) -> None:
    session = complete(folder)
    results(folder).mkdir(parents=True)
    (results(folder) / "t1.json").write_text(text)
    accepted = AcceptedRecords(list(session.catalog.folders.values()))  # nothing is read yet
    with pytest.raises(SpecError, match=complaint):
        accepted.get("0" * 16)


def test_a_record_without_an_outcome_is_named(folder: Path) -> None:
    session = complete(folder)
    accept(session)
    path = results(folder) / "t1.json"
    kept = json.loads(path.read_text())
    broken = next(iter(kept["runs"]))
    kept["runs"][broken]["result"]["outcome"] = "fine"
    path.write_text(json.dumps(kept))
    with pytest.raises(SpecError, match=rf"t1\.json: run {broken} has no outcome"):
        AcceptedRecords(list(session.catalog.folders.values())).get(broken)
