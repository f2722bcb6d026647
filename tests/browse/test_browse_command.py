"""The commands `list`, `search` and `show`: output, exit codes, and that they start quickly."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from thesisbench.cli import main

NONSENSE = {
    "list tables --state foo": "valid: accepted, accepted paper, accepted small",
    "list tables --thesis kayan": "valid: cross, ilic, kayhan, liu, singh, zhao",
    "list tables --chapter kayhan/fulconv": "nearest: kayhan/full_conv",
    "list claims --task detektion": "nearest: detection",
    "list backbones --thesis kayhan": "takes no filter",
    "list tables --spec-dir /no/such": "no such folder",
    "list variants --config-dir /no/such": "no such folder",
    "search": "Missing argument",
    "search border --thesis nobody": "unknown thesis",
    "show": "Missing argument",
    "show kayhan.t21": "nearest: kayhan.t2.1",
    "show C2": "say which, as in",
    "show C99 --chapter kayhan/full_conv": "unknown claim of kayhan/full_conv 'C99'",
    "show kayhan/full_conv:C99": "unknown claim",
    "show zhao/tuber": "is a chapter",
    "show ffffffff": "unknown table, claim or run",
    "show abc": "4 hex digits",
    "show -": "unknown table, claim or run",
}
RESULTS = files("thesisbench.experiments") / "kayhan/full_conv/results/paper/t2_1.json"
RUN = next(iter(json.loads(RESULTS.read_text())["runs"]))
QUICK = ("list tables --json", "search border", "show kayhan.t2.1", "show kayhan/full_conv:C2")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THESISBENCH_RUNS", str(tmp_path / "runs"))
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, line: str) -> int:
    monkeypatch.setattr(sys, "argv", ["thesisbench", *line.split()])
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.mark.parametrize("line", NONSENSE)
def test_nonsense_gets_one_clear_line_and_exit_code_2(
    line: str, empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = call(monkeypatch, line)
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert said.err.startswith("thesisbench: ")
    assert said.err.count("\n") == 1
    assert NONSENSE[line] in said.err
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "least"),
    [
        ("list --json", 165),
        ("list tables --json", 165),
        ("list tables --all --json", 167),
        ("list claims --json", 30),
        ("list theses --json", 5),
        ("list datasets --thesis kayhan --json", 10),
        ("list variants --json", 6),
        ("list runs --json", 0),
        ("search border --json", 1),
        ("search xqzwk --json", 0),
    ],
)
def test_listings_are_json_on_request(
    line: str,
    least: int,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, line) == 0
    assert len(json.loads(capsys.readouterr().out)) >= least
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("name", ["kayhan.t2.1", "liu.t5.4", "kayhan/full_conv:C2"])
def test_what_is_shown_is_json_on_request(
    name: str, empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, f"show {name} --json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("list runs", "no runs in "),
        ("list runs --state done", "no runs with --state 'done'"),
        (
            "list tables --thesis liu --state accepted-smoke",
            "no tables with --thesis 'liu' --state",
        ),
        ("search bordr", "nothing has 'bordr'; nearest: 'border'"),
    ],
)
def test_nothing_found_is_one_line_and_exit_code_0(
    line: str,
    said: str,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, line) == 0
    out = capsys.readouterr().out
    assert out.startswith(said)
    assert out.count("\n") == 1


@pytest.mark.parametrize("line", [*QUICK, f"show {RUN}", "list claims", "--help"])
def test_no_heavy_library_is_imported(line: str, empty: Path) -> None:
    code = (
        f"import sys; sys.argv = ['thesisbench', *{line.split()!r}]\n"
        "from thesisbench.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert stop.code == 0, stop.code\n"
        "heavy = {'torch', 'pandas', 'hydra', 'scipy', 'omegaconf', 'numpy', 'matplotlib'}\n"
        "sys.stderr.write(','.join(sorted(heavy & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout
