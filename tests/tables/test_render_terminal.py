"""A table on a terminal: every word is there without colour, at any width."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from odd_table import fill, open_session, write_chapter
from rich.console import Console

from thesisbench.tables.render.layout import lay_out
from thesisbench.tables.render.terminal import render_terminal
from thesisbench.tables.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    write_chapter(tmp_path)
    made = open_session(tmp_path, scale="paper")
    fill(made)
    return made


def shown(session: Session, width: int, **options: bool) -> str:
    stream = io.StringIO()
    render_terminal(session, "toy.t1", Console(file=stream, width=width, **options))  # type: ignore[arg-type]
    return stream.getvalue()


def test_a_cell_is_one_line_when_there_is_room(session: Session) -> None:
    lines = [" ".join(line.split()) for line in shown(session, 200).splitlines()]
    assert "Plain [net] Test set: AP (%) ↑ 81.4 ± 0.5 81.0 ± 1.0 (n=3) -0.4 reproduced" in lines
    gain = "Derived, 100% {of} it: Gain (points) ↑"
    assert f"{gain} -3.5 -3.5 ± 0.7 (n=2), diverged (1 of 3) 0.0 undecided (b)" in lines


@pytest.mark.parametrize("width", [30, 45, 69, 70, 80, 200])
def test_no_line_is_wider_than_the_window_and_no_word_is_lost(session: Session, width: int) -> None:
    text = shown(session, width)
    assert max(map(len, text.splitlines())) <= width
    squeezed, view = "".join(text.split()), lay_out(session, "toy.t1")
    words = [view.title, *view.facts, *view.notes.values(), view.legend, *view.remarks]
    words += [cell.verdict for row in view.rows for cell in row.cells]
    words += [w for claim in view.claims for w in (claim.id, claim.summary, claim.text)]
    assert [word for word in words if "".join(word.split()) not in squeezed] == []


def test_narrow_cells_are_stacked(session: Session) -> None:
    lines = [line.strip() for line in shown(session, 45).splitlines()]
    at = lines.index("Plain [net]")
    assert lines[at + 1 : at + 6] == [
        "Test set: AP (%) ↑",
        "published: 81.4 ± 0.5",
        "ours: 81.0 ± 1.0 (n=3)",
        "difference: -0.4",
        "verdict: reproduced",
    ]


def test_colour_adds_nothing_but_colour(session: Session) -> None:
    plain = shown(session, 100)
    coloured = shown(session, 100, force_terminal=True)
    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    assert Console(file=io.StringIO()).render_str(plain, markup=False).plain == plain
    stream = io.StringIO()
    render_terminal(
        session, "toy.t1", Console(file=stream, width=100, force_terminal=True, no_color=True)
    )
    assert "reproduced" in stream.getvalue()


def test_claims_show_their_atoms(session: Session) -> None:
    text = " ".join(shown(session, 120).split())
    assert "Claim C1 " in text
    assert "t1[plain].ap > t1[mine].ap paired; margin 11, " in text
