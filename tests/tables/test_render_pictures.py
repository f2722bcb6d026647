"""Pictures that runs leave in their folders appear on the page of their table, few and small."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from odd_table import fill, open_session, write_chapter
from page_reader import read_page
from PIL import Image

from thesisbench.tables.render import pictures
from thesisbench.tables.render.html import render_html
from thesisbench.tables.render.pictures import pictures_of
from thesisbench.tables.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    write_chapter(tmp_path)
    made = open_session(tmp_path)
    fill(made)
    return made


def leave(session: Session, run_id: str, *names: str, red: int = 255) -> None:
    folder = session.store.root / run_id / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (4, 4), (red, 0, 0)).save(folder / f"{name}.png")


def runs_of(session: Session, row: str) -> list[str]:
    """The run of each seed behind the first column of a row."""
    table = session.catalog.table("toy.t1")
    column = next(c for c in table.columns if session.plan.cells["toy.t1", row, c].runs)
    return [ids[0] for ids in session.plan.cells["toy.t1", row, column].runs.values()]


def test_the_page_holds_the_pictures_of_the_first_seed_of_a_row(session: Session) -> None:
    first, second = runs_of(session, "plain")[:2]
    leave(session, first, "image_1_true", "image_0_true")
    leave(session, second, "image_0_true")
    images = read_page(render_html(session, "toy.t1")).all("img")
    label = session.catalog.table("toy.t1").rows["plain"].label
    captions = [image.attributes["alt"] for image in images]
    assert captions == [f"{label}: image 0 true", f"{label}: image 1 true"]
    kind, _, data = images[0].attributes["src"].partition(",")
    assert kind == "data:image/png;base64"
    path = session.store.root / first / "pictures" / "image_0_true.png"
    assert base64.b64decode(data) == path.read_bytes()


def test_rows_stand_side_by_side_and_what_they_share_is_shown_once(session: Session) -> None:
    table = session.catalog.table("toy.t1")
    first, second = [row for row in table.rows if _has_runs(session, row)][:2]
    for row, red in ((first, 10), (second, 20)):
        leave(session, runs_of(session, row)[0], "a_input")
        leave(session, runs_of(session, row)[0], "b_output", "c_output", red=red)
    labels = [table.rows[row].label for row in (first, second)]
    wanted = ["a input", *(f"{label}: {n} output" for n in "bc" for label in labels)]
    assert [p.caption for p in pictures_of(session, "toy.t1")] == wanted


def _has_runs(session: Session, row: str) -> bool:
    return any(cell.runs for (_, r, _c), cell in session.plan.cells.items() if r == row)


def test_a_table_without_pictures_has_no_such_section(session: Session) -> None:
    assert pictures_of(session, "toy.t1") == []
    assert 'id="pictures"' not in render_html(session, "toy.t1")


def test_links_large_files_and_what_is_too_much_are_left_out(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_id = runs_of(session, "plain")[0]
    leave(session, run_id, *"abcd")
    folder = session.store.root / run_id / "pictures"
    (tmp_path / "secret").write_text("not a picture")
    (folder / "link.png").symlink_to(tmp_path / "secret")
    (folder / "big.png").write_bytes(b"x" * (pictures.MOST_BYTES + 1))
    assert [p.caption[-1] for p in pictures_of(session, "toy.t1")] == list("abcd")
    monkeypatch.setattr(pictures, "MOST", 3)
    assert [p.caption[-1] for p in pictures_of(session, "toy.t1")] == list("abc")


def test_pictures_kept_with_accepted_results_come_first(session: Session, tmp_path: Path) -> None:
    leave(session, runs_of(session, "plain")[0], "own")
    kept = tmp_path / "specs/toy/odd/results/small/t1"
    kept.mkdir(parents=True)
    (kept / "kept_one.svg").write_text("<svg/>")
    (kept / "notes.txt").write_text("no picture")
    captions = [p.caption for p in pictures_of(session, "toy.t1")]
    assert captions[0] == "kept one"
    assert captions[1].endswith(": own")
    assert len(captions) == 2
