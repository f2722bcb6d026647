"""A table with every oddity as Markdown, to the letter; and every number in it traced to a cell."""

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

EXPECTED = r"""# toy.t1: Every oddity \| &lt;b&gt;at once&lt;/b&gt;

- Scale small: 30 of 40 runs done (4 diverged), 45.0 s of run time in all.
- Small scale: not the published experiment; these numbers serve the claims only.
- Seeds: 0, 1, 2, 3, 4.
- Data: stand-in q\_small for q\_big.
- Published values: n = 5.

| Row | Column | Published | Ours | Verdict |
| --- | --- | --- | --- | --- |
| Plain \[net\] | AP (%) ↑ | 81.4 ± 0.5 | 81.0 ± 1.0 (n=5) | not comparable (a) |
| Plain \[net\] | Gain (points) ↑ | 0.0 | 0.0 ± 0.0 (n=5) | not comparable (a) |
| A\|B &lt;script&gt;alert(1)&lt;/script&gt; | AP (%) ↑ | diverged | 78.0 ± 0.01 (n=3), diverged (2 of 5) | not comparable (a) |
| A\|B &lt;script&gt;alert(1)&lt;/script&gt; | Gain (points) ↑ | -3.5 | -3.0 ± 1.0 (n=3), diverged (2 of 5) | not comparable (a) |
| Gone | AP (%) ↑ | not printed | missing | missing (b) |
| Gone | Gain (points) ↑ | not printed | missing | missing (b) |
| Big | AP (%) ↑ | 90.0 | skipped: net=big: needs 40 GB | not comparable (c) |
| Big | Gain (points) ↑ | not measured | skipped: net=big: needs 40 GB | not comparable (c) |
| Twin | AP (%) ↑ | 81.0 | = 81.0 ± 1.0 (n=5) | not comparable (d) |
| Twin | Gain (points) ↑ | -0.4 | = 0.0 ± 0.0 (n=5) | not comparable (d) |
| People (human) | AP (%) ↑ | 91.0 | not run (human) | not comparable (e) |
| People (human) | Gain (points) ↑ | n/a | not run (human) | not comparable (e) |
| Control (ours) | AP (%) ↑ | no target | 70.0 ± 0.03 (n=5) | not comparable (f) |
| Control (ours) | Gain (points) ↑ | no target | -11.0 ± 1.0 (n=5) | not comparable (f) |

↑ higher is better; = the same run as another cell's; ours: mean ± standard deviation over n seeds.

- (a) scale small: not the published experiment
- (b) no record
- (c) skipped: net=big: needs 40 GB
- (d) scale small: not the published experiment; = is the run of net=plain
- (e) a printed number: nothing is run for it
- (f) there is no published number

Note: Control: Not in the thesis.

Note: Test \* accuracy.

## Claims

### C1: holds (1 of 2 atoms tested)

Plain is better than the \[control\].

| Atom | Kind | Result | Margin | Interval | n | Power | Why |
| --- | --- | --- | --- | --- | --- | --- | --- |
| t1\[plain\].ap &gt; t1\[mine\].ap | paired | holds | 11 | 9.733 to 12.27 (95%) | 5 | power 0.39 for an effect of 1 at n = 5; 0.80 needs n = 11 |  |
| t1\[plain\].ap &gt; t1\[big\].ap | paired | not tested |  |  |  |  | t1\[big\].ap is skipped: net=big: needs 40 GB |

### C2: undecided

The control is within a point of 70 in both tables.

| Atom | Kind | Result | Margin | Interval | n | Power | Why |
| --- | --- | --- | --- | --- | --- | --- | --- |
| \|t1\[mine\].ap - 70\| &lt;= 1 | equal within | holds | 0 | -0.02697 to 0.02697 (90%) | 5 | power 1.00 to show equality within 1 at n = 5 |  |
| \|t2\[mine\].ap - 70\| &lt;= 1 | equal within | undecided |  |  |  |  | t2\[mine\].ap has no value: missing |
"""  # noqa: E501 - a line is a cell


@pytest.fixture
def session(tmp_path: Path) -> Session:
    write_chapter(tmp_path)
    made = open_session(tmp_path)
    fill(made)
    return made


def test_the_whole_document(session: Session) -> None:
    assert render_markdown(session, "toy.t1") == EXPECTED


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
    assert ours == {"missing", "= missing", "skipped: net=big: needs 40 GB", "not run (human)"}
    assert view.facts[0] == "Scale small: 0 of 40 runs done."


def test_escaped_text_is_no_markup_and_keeps_its_line() -> None:
    text = escape("a|b\n<i> & `c` *d* _e_ [f](g) \\ ~h~ # $i$")
    assert text == r"a\|b &lt;i&gt; &amp; \`c\` \*d\* \_e\_ \[f\](g) \\ \~h\~ \# \$i\$"


def test_an_unknown_table_is_named(session: Session) -> None:
    with pytest.raises(UserError, match=r"unknown table 'toy\.t9'"):
        render_markdown(session, "toy.t9")
