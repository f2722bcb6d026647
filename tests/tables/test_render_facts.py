"""What stands above a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from odd_table import fill, open_session, record_of, write_chapter, write_record

from thesisbench.tables.render.facts import table_facts

SMALL = "Small scale: not the published experiment; these numbers serve the claims only."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_chapter(tmp_path)
    return tmp_path


def test_runs_of_other_tables_are_not_counted(folder: Path) -> None:
    session = open_session(folder, "toy.t1", "toy.t2")
    fill(session)
    assert (table_facts(session, "toy.t1").total, table_facts(session, "toy.t1").done) == (40, 30)
    second = table_facts(session, "toy.t2")
    assert (second.total, second.done, second.diverged, second.seconds) == (6, 6, 0, 9.0)


def test_a_table_at_small_scale_says_that_it_is_not_the_experiment(folder: Path) -> None:
    facts = table_facts(open_session(folder), "toy.t1")
    assert not facts.comparable
    assert SMALL in facts.sentences()


def test_a_table_without_targets_says_that_instead(folder: Path) -> None:
    facts = table_facts(open_session(folder, "toy.t2", scale="paper"), "toy.t2")
    assert facts.why is not None
    assert facts.why.startswith("The thesis prints no number")


def test_a_table_of_the_published_experiment_says_nothing_of_the_kind(folder: Path) -> None:
    facts = table_facts(open_session(folder, scale="paper"), "toy.t1")
    assert facts.comparable
    assert facts.why is None


def test_overrides_are_named(folder: Path) -> None:
    session = open_session(folder, scale="paper", overrides=("precision=64-true",))
    fill(session)
    sentences = table_facts(session, "toy.t1").sentences()
    assert "Overridden: precision=64-true" in sentences
    why = (
        "No cell here is of the published experiment (changed by an override); nothing is compared."
    )
    assert why in sentences


def test_a_record_made_with_overrides_is_marked(folder: Path) -> None:
    session = open_session(folder)
    fill(session)
    assert not table_facts(session, "toy.t1").overridden
    run = next(iter(session.plan.runs.values()))
    write_record(session, record_of(run, session, overridden=True))
    session.refresh()
    facts = table_facts(session, "toy.t1")
    assert facts.overridden
    assert facts.sentences()[-1].startswith("Overridden: records made with overrides")


def test_data_sets_are_listed_once_and_stand_ins_are_called_so(folder: Path) -> None:
    session = open_session(folder)
    fill(session)
    own = {"name": "q_big", "stand_in_for": None}
    for run in list(session.plan.runs.values())[:3]:
        record = record_of(run, session)
        record["provenance"]["facts"] = {"data": own}
        write_record(session, record)
    bare = record_of(list(session.plan.runs.values())[3], session)
    bare["provenance"]["facts"] = {}
    write_record(session, bare)
    session.refresh()
    facts = table_facts(session, "toy.t1")
    assert facts.data == (("q_big", None), ("q_small", "q_big"))
    assert "Data: q_big, stand-in q_small for q_big." in facts.sentences()
