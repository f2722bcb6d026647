"""Bad input on the command line: exit code 2, one clear line, no traceback, nothing written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from thesisbench.cli import main

RECIPE = "experiment=kayhan/full_conv/red_green"
NONSENSE = {
    "frobnicate": "valid: accept, data, doctor, evaluate, list",
    "reproduce": "no table named",
    "reproduce kayhan.t21": "'kayhan.t2.1'|kayhan.t2.1",
    "reproduce kayhan.t2.1 --wrokers 2": "--workers",
    "reproduce kayhan.t2.1 --workers x": "--workers",
    "reproduce kayhan.t2.1 --workers 0": "launcher.workers must be a whole number",
    "reproduce kayhan.t2.1 --scale big": "valid: paper, small, smoke",
    "reproduce kayhan.t2.1 --scale": "requires an argument",
    "reproduce kayhan.t2.1 --launcher slurm": "valid: inline, local",
    "reproduce kayhan.t2.1 --seeds x": "0,1,2 or 0-4",
    "reproduce kayhan.t2.1 --seeds 1,1": "each seed once",
    "reproduce kayhan.t2.1 --rerun zzz": "failed, stale, oom or a run id",
    "reproduce kayhan.t2.1 schedule.epoch=4": "nearest: schedule.epochs",
    "reproduce kayhan.t2.1 schedule.epochs=four": "four",
    "reproduce kayhan.t2.1 border=fulll": "valid: circular, full",
    "reproduce kayhan.t2.1 bordr=full": "border",
    "reproduce kayhan.t2.1 seed=[1": "not an override",
    "reproduce kayhan.t2.1 seed=4": "--seeds",
    "reproduce kayhan.t2.1 backbone._target_=os.system": "_target_",
    "reproduce kayhan.t2.1 hydra/launcher=joblib": "our own launcher",
    "reproduce --chapter kayhan/nope": "valid|nearest",
    "reproduce --thesis nobody": "valid: cross, ilic, kayhan, liu, singh, zhao",
    "reproduce kayhan.t2.1 --spec-dir /no/such": "no such folder",
    "reproduce kayhan.t2.1 --config-dir /no/such": "no such folder",
    "reproduce liu.t2.3": "targets only",
    "report kayhan.t2.1 --format pdf": "valid: csv, html, json, md, terminal, tex",
    "report": "no table named",
    "report nonsense": "unknown table",
    "plan kayhan.t2.1 --all --scale huge": "unknown scale",
    "status zhao": "unknown table",
    "accept": "no table named",
    "list nonsense": "valid: backbones, chapters, claims",
    "list tables extra": "unexpected extra argument",
    "train": "experiment=THESIS/CHAPTER/RECIPE",
    "train foo": "not an override",
    "train experiment=nope": "unknown experiment",
    "train --nonsense": "valid: -m",
    "train --rerun": "needs a value",
    f"train {RECIPE} seed=1,2": "thesisbench train -m",
    f"train {RECIPE} hydra/sweeper=x": "thesisbench search-hparams",
    f"train {RECIPE} optimizer.lr=abc border=zzz": "valid: circular, full",
    f"train {RECIPE} +optimizer._target_=os.system": "_target_",
    "train experiment=kayhan/full_conv/red_green_test": "thesisbench evaluate RUN",
    "evaluate": "Missing argument",
    "evaluate abc": "no such run",
    "evaluate not-a-run": "no such run",
    "evaluate .": "not in a run folder",
    "run .": "no run folder",
}


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THESISBENCH_RUNS", str(tmp_path / "runs"))
    return tmp_path


def _call(monkeypatch, line):
    monkeypatch.setattr(sys, "argv", ["thesisbench", *line.split()])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code


@pytest.mark.parametrize("line", NONSENSE)
def test_nonsense_gets_one_clear_line_and_exit_code_2(line, empty, monkeypatch, capsys):
    code = _call(monkeypatch, line)
    said = capsys.readouterr()
    assert code == 2, said
    assert said.out == ""
    assert said.err.startswith("thesisbench: ")
    assert said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    assert any(hint in said.err for hint in NONSENSE[line].split("|")), said.err
    assert list(empty.iterdir()) == []


def test_listings_are_json_on_request(empty, monkeypatch, capsys):
    assert _call(monkeypatch, "list tables --json") == 0
    ids = [row["id"] for row in json.loads(capsys.readouterr().out)]
    assert {"kayhan.t2.1", "kayhan.f2.1", "kayhan.t3.1", "liu.t5.4", "zhao.f2.16"} <= set(ids)


def test_help_shows_examples(empty, monkeypatch, capsys):
    assert _call(monkeypatch, "reproduce --help") == 0
    assert "thesisbench reproduce kayhan.t2.1" in capsys.readouterr().out


def test_a_report_of_accepted_records_needs_no_runs_folder(empty, monkeypatch, capsys):
    assert _call(monkeypatch, "report kayhan.t2.1 --scale paper --format json") == 0
    table = json.loads(capsys.readouterr().out)["tables"][0]
    assert table["id"] == "kayhan.t2.1"
    assert list(empty.iterdir()) == []


def test_list_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['thesisbench', 'list', 'tables', '--json']\n"
        "from thesisbench.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'hydra', 'scipy', 'omegaconf', 'numpy'} & set(sys.modules)\n"
        "sys.stderr.write(','.join(sorted(heavy)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_an_interrupt_while_code_text_runs_ends_with_our_exit_code(tmp_path: Path) -> None:
    """As when a module is being imported; CPython would end `-m` by a signal then."""
    (tmp_path / "interrupted.py").write_text(
        "import sys\n"
        "from thesisbench import cli\n"
        "sys.argv = ['thesisbench', 'list']\n"
        "cli.app.command('list')(lambda: exec('raise KeyboardInterrupt'))\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 130
    assert done.stderr.startswith("thesisbench: interrupted;")
