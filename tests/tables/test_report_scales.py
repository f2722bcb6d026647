"""Which scale a table is reported at when none is named: the largest that has records."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from odd_table import fill, open_session, write_chapter
from rich.console import Console

from thesisbench.errors import UserError
from thesisbench.report import Report, check_scale, write_report
from thesisbench.tables.session import Session


@pytest.fixture
def small(tmp_path: Path) -> Session:
    write_chapter(tmp_path)
    return open_session(tmp_path, "toy.t1", "toy.t2")


def scales(session: Session, scale: str = "auto") -> dict[str, str]:
    return {table: s.scale for table, s in Report(session, scale).shown.items()}


def test_without_records_it_is_small(small: Session) -> None:
    assert scales(small) == {"toy.t1": "small", "toy.t2": "small"}
    assert Report(small, "auto").other_scales("toy.t1") == ()


def test_the_runs_folder_is_looked_at_table_by_table(small: Session, tmp_path: Path) -> None:
    fill(open_session(tmp_path, "toy.t2", scale="paper"))
    fill(open_session(tmp_path, "toy.t1"), leave_out=("gone", "plain", "wild"))
    assert scales(small) == {"toy.t1": "small", "toy.t2": "paper"}
    fill(open_session(tmp_path, "toy.t1", scale="paper"), leave_out=("gone", "plain", "mine"))
    small.refresh()
    report = Report(small, "auto")
    assert {t: s.scale for t, s in report.shown.items()} == {"toy.t1": "paper", "toy.t2": "paper"}
    assert report.other_scales("toy.t1") == ("small", "smoke")  # smoke is small in this chapter


def test_accepted_records_count(small: Session, tmp_path: Path) -> None:
    place = tmp_path / "specs/toy/odd/results/paper"
    place.mkdir(parents=True)
    (place / "t2.json").write_text("{}")
    assert scales(small) == {"toy.t1": "small", "toy.t2": "paper"}


def test_overrides_leave_accepted_records_out(tmp_path: Path) -> None:
    write_chapter(tmp_path)
    place = tmp_path / "specs/toy/odd/results/paper"
    place.mkdir(parents=True)
    (place / "t2.json").write_text("{}")
    session = open_session(tmp_path, "toy.t2", overrides=("schedule.warmup_epochs=1",))
    assert scales(session) == {"toy.t2": "small"}


def test_a_scale_that_is_named_is_taken(small: Session, tmp_path: Path) -> None:
    fill(open_session(tmp_path, "toy.t1", scale="paper"))
    report = Report(open_session(tmp_path, "toy.t1", scale="small"), "small")
    assert report.shown["toy.t1"].scale == "small"
    assert report.other_scales("toy.t1") == ("paper",)
    with pytest.raises(UserError, match="unknown scale 'big'; valid: auto, paper, small, smoke"):
        check_scale("big")


def test_tables_of_a_scale_share_a_session_and_the_runs_folder(
    small: Session, tmp_path: Path
) -> None:
    shown = Report(small, "auto").shown
    assert shown["toy.t1"] is shown["toy.t2"]


def test_a_damaged_file_of_accepted_records_comes_up_before_anything_is_written(
    small: Session, tmp_path: Path
) -> None:
    place = tmp_path / "specs/toy/odd/results/paper"
    place.mkdir(parents=True)
    (place / "t2.json").write_text("{}")
    out = tmp_path / "out"
    with pytest.raises(UserError, match="has format None"):
        list(write_report(Report(small, "auto"), "md", out, Console(file=io.StringIO())))
    assert not out.exists()


def test_many_tables_get_a_bar_on_a_terminal_only(small: Session, tmp_path: Path) -> None:
    quiet = io.StringIO()
    list(write_report(Report(small, "auto"), "csv", tmp_path / "out", Console(file=quiet)))
    assert quiet.getvalue() == ""
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["toy.t1.csv", "toy.t2.csv"]
