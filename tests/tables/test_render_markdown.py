"""A table as Markdown, every number in it traced to a cell; the whole of it is a golden file."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean, stdev

import pytest
from odd_table import fill, open_session, write_chapter

from thesisbench.errors import UserError
from thesisbench.tables.render.layout import lay_out
from thesisbench.tables.render.markdown import escape, render_markdown
from thesisbench.tables.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    write_chapter(tmp_path)
    made = open_session(tmp_path)
    fill(made)
    return made


def test_a_comparable_table_shows_differences(tmp_path: Path) -> None:
    write_chapter(tmp_path)
    session = open_session(tmp_path, scale="paper")
    fill(session)
    text = render_markdown(session, "toy.t1")
    assert "not the published experiment" not in text
    plain, wild = (next(x for x in text.splitlines() if f"| {n}" in x) for n in ("Plain", r"A\|B"))
    assert plain.endswith("| 81.4 ± 0.5 | 81.0 ± 1.0 (n=3) | -0.4 | reproduced |")
    assert wild.endswith("| diverged | 78.0 ± 0.01 (n=2), diverged (1 of 3) |  | undecided (a) |")
    assert "- (a) 1 of 3 runs diverged; in the thesis the run did\n" in text


def test_a_single_column_stands_above_the_table(tmp_path: Path) -> None:
    write_chapter(tmp_path)
    session = open_session(tmp_path, "toy.t2")
    fill(session)
    text = render_markdown(session, "toy.t2")
    assert "\nAP (%) ↑:\n\n| Row | Published | Ours | Verdict |\n" in text
    assert "\n| Control | no target | 70.00 ± 0.04 (n=3) | not comparable (a) |\n" in text


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_every_number_is_one_of_its_cell(tmp_path: Path, scale: str) -> None:
    write_chapter(tmp_path)
    session = open_session(tmp_path, scale=scale)
    fill(session)
    table, view = session.catalog.table("toy.t1"), lay_out(session, "toy.t1")
    checked = 0
    for key, row in zip(table.rows, view.rows, strict=True):
        for column, shown in zip(table.columns, row.cells, strict=True):
            cell = session.cells["toy.t1", key, column]
            values = [v for seed, v in cell.values.items() if seed not in cell.diverged]
            known = [cell.target.value, cell.target.std, len(values), len(cell.diverged)]
            known += [len(cell.expected), *([fmean(values)] if values else [])]
            known += [stdev(values)] if len(values) > 1 else []
            if cell.comparable and values and cell.target.value is not None:
                known.append(fmean(values) - cell.target.value)
            text = f"{shown.published} {shown.ours} {shown.difference}"
            if cell.state == "skipped":
                text = text.replace(str(cell.why), "")
            for found in re.findall(r"-?\d+(?:\.\d+)?", text):
                half = 0.5 * 10.0 ** -len(found.partition(".")[2]) + 1e-9
                assert any(abs(float(found) - k) <= half for k in known if k is not None)
                checked += 1
    assert checked > 25


def test_nothing_recorded_gives_no_number_of_ours(tmp_path: Path) -> None:
    write_chapter(tmp_path)
    view = lay_out(open_session(tmp_path), "toy.t1")
    ours = {cell.ours for row in view.rows for cell in row.cells}
    assert ours == {
        "missing",
        "= missing",
        "skipped: net=big: needs 40 GB",
        "skipped: has no meaning here (not applicable)",
        "not run (human)",
        "not run (external software)",
    }
    assert view.facts[0] == "Scale small: 0 of 40 runs done."


def test_escaped_text_is_no_markup_and_keeps_its_line() -> None:
    text = escape("a|b\n<i> & `c` *d* _e_ [f](g) \\ ~h~ # $i$")
    assert text == r"a\|b &lt;i&gt; &amp; \`c\` \*d\* \_e\_ \[f\](g) \\ \~h\~ \# \$i\$"


def test_an_unknown_table_is_named(session: Session) -> None:
    with pytest.raises(UserError, match=r"unknown table 'toy\.t9'"):
        render_markdown(session, "toy.t9")
