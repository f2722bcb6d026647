"""`thesisbench report`: every form, on standard output and in files, of the shipped tables."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from thesisbench.cli import main
from thesisbench.report import FORMATS, SUFFIXES

BOTH = "report kayhan.t2.1 ilic.t4.1"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THESISBENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


class Report:
    """Calls the command in this process; remembers what it printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, line: str) -> int:
        self.monkeypatch.setattr(sys, "argv", ["thesisbench", *line.split()])
        with pytest.raises(SystemExit) as stop:
            main()
        self.out, self.err = self.capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code


@pytest.fixture
def report(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Report:
    return Report(monkeypatch, capsys)


def test_tables_with_targets_only_stand_beside_others(report: Report, empty: Path) -> None:
    assert report(f"{BOTH} --format json") == 0
    tables = {table["id"]: table for table in json.loads(report.out)["tables"]}
    assert list(tables) == ["kayhan.t2.1", "ilic.t4.1"]
    assert tables["kayhan.t2.1"]["scale"] == "paper"  # the largest that has records
    assert {c["verdict"]["verdict"] for c in tables["kayhan.t2.1"]["cells"]} == {"reproduced"}
    printed = [c["target"]["value"] for c in tables["ilic.t4.1"]["cells"]]
    assert 65.6 in printed
    assert list(empty.iterdir()) == []


def test_csv_has_one_header(report: Report) -> None:
    assert report(f"{BOTH} --format csv") == 0
    rows = list(csv.DictReader(io.StringIO(report.out, newline="")))
    assert {row["table"] for row in rows} == {"kayhan.t2.1", "ilic.t4.1"}


@pytest.mark.parametrize("form", ["terminal", "md", "tex"])
def test_tables_follow_one_another(report: Report, form: str) -> None:
    assert report(f"{BOTH} --format {form}") == 0
    words = report.out.replace("\\", "")
    assert 0 < words.index("Border handling variants") < words.index("11 architectures")
    assert report.err == ""


@pytest.mark.parametrize("form", [f for f in FORMATS if f != "html"])
def test_with_out_each_table_is_a_file(report: Report, empty: Path, form: str) -> None:
    assert report(f"{BOTH} --format {form} --out some/where") == 0
    names = [f"{table}{SUFFIXES[form]}" for table in ("kayhan.t2.1", "ilic.t4.1")]
    assert report.out.split() == [str(Path("some/where") / name) for name in names]
    assert sorted(p.name for p in (empty / "some/where").iterdir()) == sorted(names)
    assert all((empty / "some/where" / name).stat().st_size > 500 for name in names)


def test_html_goes_to_a_folder_with_an_index(report: Report, empty: Path) -> None:
    assert report("report kayhan.t2.1 kayhan.t3.1 ilic.t4.1 --format html") == 0
    made = sorted(p.name for p in (empty / "reports/html").iterdir())
    assert made == ["ilic.t4.1.html", "index.html", "kayhan.t2.1.html", "kayhan.t3.1.html"]
    assert "Scale paper" in (empty / "reports/html/kayhan.t2.1.html").read_text()
    assert "Scale small" in (empty / "reports/html/kayhan.t3.1.html").read_text()
    index = (empty / "reports/html/index.html").read_text()
    assert all(f'href="{name}"' in index for name in made if name != "index.html")


def test_markdown_files_show_their_plot(report: Report, empty: Path) -> None:
    assert report("report kayhan.f2.1 --format md --out out") == 0
    assert "![Plot of kayhan.f2.1](kayhan.f2.1.svg)" in (empty / "out/kayhan.f2.1.md").read_text()
    assert (empty / "out/kayhan.f2.1.svg").read_text().startswith("<?xml")
    assert report("report kayhan.f2.1 --format md") == 0
    assert "svg" not in report.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--format pdf", "unknown format 'pdf'; valid: csv, html, json, md, terminal, tex"),
        ("--scale big", "unknown scale 'big'; valid: auto, paper, small, smoke"),
        ("--format html --out file/html", "file/html: a file is where a folder should be"),
        ("--out /dev/null/x", "/dev/null/x: a file is where a folder should be"),
        ("--seeds x", "0,1,2 or 0-4"),
        ("schedule.epoch=4", "schedule.epochs"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    report: Report, empty: Path, words: str, said: str
) -> None:
    (empty / "file").write_text("mine")
    assert report(f"report kayhan.t2.1 {words}") == 2
    assert report.out == ""
    assert len(report.err.splitlines()) == 1
    assert said in report.err
    assert [p.name for p in empty.iterdir()] == ["file"]


def test_overrides_and_seeds_select_runs_as_elsewhere(report: Report) -> None:
    assert report("report kayhan.t2.1 --seeds 0,1,2 --scale paper --format json") == 0
    (table,) = json.loads(report.out)["tables"]
    assert {cell["n"] for cell in table["cells"]} == {3}
    assert report("report kayhan.t2.1 schedule.epochs=5 --format json") == 0
    (table,) = json.loads(report.out)["tables"]
    assert {cell["state"] for cell in table["cells"]} == {"missing"}
