"""What cannot be accepted: one line says why, and nothing is written."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from odd_table import (
    CLAIMS,
    RememberingComposer,
    fill,
    open_session,
    provenance_of,
    record_of,
    write_chapter,
    write_record,
)

from thesisbench.errors import SpecError, UserError
from thesisbench.store.runs import RunStore
from thesisbench.tables.accept import accept
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.session import Session


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_chapter(tmp_path)
    return tmp_path


def refusal(session: Session) -> str:
    """The message; it has one line, and no result was written."""
    with pytest.raises(UserError) as caught:
        accept(session)
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.code == 2
    assert not list(session.store.root.parent.rglob("results/*/*.json"))
    return text


def complete(folder: Path, *tables: str, **changes: Any) -> Session:
    session = open_session(folder, *tables, **changes)
    fill(session, leave_out=())
    return session


def spoil(session: Session, number: int, **changes: Any) -> list[str]:
    """Changes some records; their ids."""
    runs = list(session.plan.runs.values())[:number]
    for run in runs:
        write_record(session, record_of(run, session, **changes))
    session.refresh()
    return [run.id for run in runs]


def test_overrides(folder: Path) -> None:
    text = refusal(complete(folder, overrides=("precision=64-true",)))
    assert text.startswith("made with overrides (precision=64-true)")


def test_a_record_made_with_overrides(folder: Path) -> None:
    session = complete(folder)
    (bad,) = spoil(session, 1, overridden=True)
    text = refusal(session)
    assert text.startswith(
        f"toy.t1: 1 of 40 records were made with overrides, the first by run {bad}"
    )
    assert f"`thesisbench reproduce toy.t1 --scale small --rerun {bad}`" in text


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ({"dirty": True}, "from a dirty tree (uncommitted changes)"),
        ({"dirty": None, "git_commit": None}, "outside a git checkout (no commit)"),
    ],
)
def test_a_record_that_names_no_clean_commit(folder: Path, code: Any, how: str) -> None:
    session = complete(folder)
    run = list(session.plan.runs.values())[7]
    write_record(session, record_of(run, session, provenance=provenance_of(run, **code)))
    session.refresh()
    text = refusal(session)
    assert f"1 of 40 records were made {how}, the first by run {run.id}; make them again" in text


def test_many_bad_records_are_counted_and_a_few_named(folder: Path) -> None:
    session = complete(folder)
    bad = spoil(session, 5, overridden=True)
    text = refusal(session)
    assert "5 of 40 records" in text
    assert re.findall(r"--rerun (\w+)", text) == bad[:3]


def test_missing_replicates(folder: Path) -> None:
    session = open_session(folder)
    fill(session)
    text = refusal(session)
    assert text == (
        "toy.t1: 3 of 27 cells are not complete (3 missing); complete them with "
        "`thesisbench reproduce toy.t1 --scale small`"
    )


def test_a_replicate_short(folder: Path) -> None:
    session = complete(folder)
    last = [i for i in session.plan.runs if session.plan.runs[i].levels == {}][-1]
    (session.store.root / last / "record.json").unlink()
    session.refresh()
    assert "3 of 27 cells are not complete (3 partial)" in refusal(session)


def test_a_needed_run_without_a_record(folder: Path) -> None:
    session = complete(folder)
    fit = next(i for i, run in session.plan.runs.items() if run.kind == "fit")
    (session.store.root / fit / "record.json").unlink()
    session.refresh()
    text = refusal(session)
    assert f"1 of 40 runs behind it have no record (first: {fit})" in text


def test_a_failed_run_names_the_command_that_tries_it_again(folder: Path) -> None:
    session = complete(folder)
    run = next(i for i, run in session.plan.runs.items() if run.kind == "eval")
    record = record_of(session.plan.runs[run], session)
    record["result"] = {"outcome": "ok", "metrics": {"other": 1.0}, "digests": {}}
    write_record(session, record)
    session.refresh()
    text = refusal(session)
    assert "failed" in text
    assert text.endswith("`thesisbench reproduce toy.t1 --scale small --rerun failed`")


@pytest.mark.parametrize("seeds", [(0, 1, 2), (0, 1, 2, 3, 4, 5), (5, 6, 7, 8, 9)])
def test_other_seeds_than_declared(folder: Path, seeds: tuple[int, ...]) -> None:
    text = refusal(complete(folder, seeds=seeds))
    listed = ", ".join(map(str, seeds))
    assert f"toy.t1: the seeds {listed} are not those its spec declares for scale small " in text
    assert "(0, 1, 2, 3, 4)" in text


def test_the_declared_seeds_in_any_order_are_fine(folder: Path) -> None:
    assert accept(complete(folder, seeds=(4, 3, 2, 1, 0)))


def test_a_second_look_nobody_declared(folder: Path) -> None:
    assert "are not those its spec declares" in refusal(complete(folder, second_look=True))


def test_a_declared_second_look_is_fine(folder: Path) -> None:
    declared = CLAIMS.replace("- id: C1\n", "- id: C1\n    looks: 2\n")
    (folder / "specs" / "toy" / "odd" / "claims.yaml").write_text(declared)
    session = complete(folder, second_look=True)
    assert len(session.plan.seeds["toy.t1"]) == 10
    assert [path.name for path in accept(session)] == ["t1.json", "claims.json"]


def shipped(folder: Path, specs: Path) -> Session:
    """A session whose specs belong to the package."""
    session = Session(
        Catalog(((specs, True),)),
        RunStore(folder / "runs"),
        RememberingComposer((str(folder / "conf"),)),
        ("toy.t1",),
        "small",
    )
    fill(session, leave_out=())
    return session


def test_specs_in_an_installed_wheel(folder: Path) -> None:
    specs = folder / ".venv" / "site-packages" / "specs"
    specs.parent.mkdir(parents=True)
    (folder / "specs").rename(specs)
    (folder / ".git").mkdir()  # the environment may lie in a checkout
    text = refusal(shipped(folder, specs))
    assert f"{specs / 'toy' / 'odd'} belongs to an installed package" in text


def test_shipped_specs_outside_a_checkout(folder: Path) -> None:
    assert "belongs to an installed package" in refusal(shipped(folder, folder / "specs"))


def test_shipped_specs_in_a_checkout_are_fine(folder: Path) -> None:
    (folder / ".git").mkdir()
    assert accept(shipped(folder, folder / "specs"))


def test_shipped_specs_that_cannot_be_written_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".git").mkdir()
    session = shipped(folder, folder / "specs")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert "belongs to an installed package" in refusal(session)


def test_a_file_where_the_results_should_go(folder: Path) -> None:
    (folder / "specs" / "toy" / "odd" / "results").write_text("")
    text = refusal(complete(folder))
    assert "a file is where a folder should be" in text


def test_nothing_is_written_when_the_last_of_several_tables_is_refused(folder: Path) -> None:
    session = complete(folder, "toy.t1", "toy.t2")
    last = list(session.plan.runs)[-1]
    (session.store.root / last / "record.json").unlink()
    session.refresh()
    assert refusal(session).startswith("toy.t2: 1 of 1 cells are not complete (1 partial)")


@pytest.mark.parametrize("text", ["{", '{"C1": 1}', "[1]"])
@pytest.mark.parametrize("name", ["claims.json", "t1.json", "t2.json"])
def test_a_damaged_file_is_named_and_nothing_is_written(folder: Path, name: str, text: str) -> None:
    place = folder / "specs" / "toy" / "odd" / "results" / "small"
    place.mkdir(parents=True)
    (place / name).write_text(text)
    with pytest.raises(SpecError, match=name.replace(".", r"\.")) as caught:
        accept(complete(folder))
    assert "\n" not in str(caught.value)
    assert [(path.name, path.read_text()) for path in place.iterdir()] == [(name, text)]
