"""Tables as CSV: every cell a line that reads back, numbers to the last digit, no formulas."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from odd_table import fill, open_session, write_chapter

from thesisbench.errors import UserError
from thesisbench.tables.render.as_csv import HEADER, render_csv
from thesisbench.tables.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    write_chapter(tmp_path)
    made = open_session(tmp_path, "toy.t1", "toy.t2", scale="paper")
    fill(made)
    return made


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_every_cell_is_a_line_and_reads_back(session: Session) -> None:
    lines = read(render_csv((session, table) for table in session.tables))
    assert [(x["table"], x["row"], x["column"]) for x in lines] == list(session.cells)
    for line, cell in zip(lines, session.cells.values(), strict=True):
        target, detail = cell.target, session.verdicts[cell.key]
        numbers = (target.value, target.std, detail.difference)
        shown = (line["published"], line["published_sd"], line["difference"])
        assert [float(x) if x else None for x in shown] == list(numbers)
        assert (line["reason"] or None, line["state"]) == (target.reason, cell.state)
        assert line["verdict"] == detail.verdict
        assert set(line["runs"].split()) == {i for ids in cell.runs.values() for i in ids}


def test_numbers_keep_all_their_digits(session: Session) -> None:
    line = next(x for x in read(render_csv([(session, "toy.t1")])) if x["row"] == "wild")
    assert (float(line["ours"]), line["n"]) == (sum((78.0, 78.02)) / 2, "2")
    assert float(line["ours_sd"]) == pytest.approx(0.02 / 2**0.5)
    assert len(line["ours_sd"]) > 10


def test_a_text_is_no_formula_and_a_negative_number_stays_one(session: Session) -> None:
    lines = read(render_csv([(session, "toy.t1")]))
    labels = {line["row"]: line["row_label"] for line in lines}
    assert labels["big"] == "'=cmd|' /C big'!A1"
    assert labels["wild"] == "A|B <script>alert(1)</script>"
    assert "-3.5" in {line["published"] for line in lines}


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_all_beginnings_of_formulas_are_guarded(tmp_path: Path, start: str) -> None:
    write_chapter(tmp_path)
    spec = tmp_path / "specs/toy/odd/tables/t2.yaml"
    spec.write_text(spec.read_text().replace("label: Control", f"label: '{start}1+1'"))
    (line,) = read(render_csv([(open_session(tmp_path, "toy.t2"), "toy.t2")]))
    assert line["row_label"] == f"'{start}1+1"


def test_quotes_commas_and_line_breaks_read_back(tmp_path: Path) -> None:
    write_chapter(tmp_path)
    spec = tmp_path / "specs/toy/odd/tables/t2.yaml"
    spec.write_text(spec.read_text().replace("label: Control", 'label: "a, \\"b\\"\\nc"'))
    text = render_csv([(open_session(tmp_path, "toy.t2"), "toy.t2")])
    assert read(text)[0]["row_label"] == 'a, "b"\nc'
    assert text.endswith("\r\n")


def test_no_table_is_a_header_and_an_unknown_one_is_named(session: Session) -> None:
    assert render_csv([]) == ",".join(HEADER) + "\r\n"
    with pytest.raises(UserError, match=r"unknown table 'toy\.t9'"):
        render_csv([(session, "toy.t9")])
