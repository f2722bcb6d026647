"""A plan tells runs that only have accepted records from those that nobody has made."""

from __future__ import annotations

from pathlib import Path

from thesisbench.compose import Composer
from thesisbench.planning.view import accepted
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.session import Session


def session(tmp_path: Path, scale: str) -> Session:
    return Session(Catalog.at(), RunStore(tmp_path), Composer(), ("kayhan.t2.1",), scale)


def test_accepted_runs_are_counted_where_the_runs_folder_has_none(tmp_path: Path) -> None:
    paper = session(tmp_path, "paper")
    assert set(accepted(paper)) == set(paper.plan.runs)


def test_runs_of_a_scale_without_accepted_records_are_not(tmp_path: Path) -> None:
    assert accepted(session(tmp_path, "smoke")) == []
