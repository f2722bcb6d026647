"""Shell completion, through the protocols of the shells, in processes of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from thesisbench.browse import command as browse
from thesisbench.completion import FORMATS, LISTED, SCALES, joined_options
from thesisbench.errors import UserError
from thesisbench.report import check_format
from thesisbench.tables import model

PROGRAM = Path(sys.executable).parent / "thesisbench"
BORDERS = {"circular", "full", "none", "reflect", "replicate", "same", "valid"}
RED_GREEN = "experiment=kayhan/full_conv/red_green"


def ask(folder: Path, **variables: str) -> set[str]:
    """What the program answers to a shell; it must be quiet otherwise."""
    code = "import sys; sys.argv = ['thesisbench']\nfrom thesisbench.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "THESISBENCH_RUNS": str(folder / "runs"), **variables},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.splitlines()) - {""}


def bash(folder: Path, *words: str) -> set[str]:
    """The choices for the last word, cut as bash cuts it."""
    given = {"COMP_WORDS": "\n".join(["thesisbench", *words]), "COMP_CWORD": str(len(words))}
    return ask(folder, _THESISBENCH_COMPLETE="complete_bash", **given)


def fish(folder: Path, line: str) -> set[str]:
    """The choices for the end of a line, which fish and zsh hand over whole."""
    given = {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": line}
    return ask(folder, _THESISBENCH_COMPLETE="complete_fish", **given)


@pytest.mark.parametrize("verb", ["reproduce", "report", "plan", "status", "accept", "show"])
def test_table_ids(verb: str, tmp_path: Path) -> None:
    found = bash(tmp_path, verb, "kayhan.t2")
    assert {"kayhan.t2.1", "kayhan.t2.2a"} <= found
    assert all(choice.startswith("kayhan.t2") for choice in found)


CHOICES = {
    "plan --chapter kayhan/fu": {"kayhan/full_conv"},
    "plan --thesis z": {"zhao"},
    "status --scale s": {"small", "smoke"},
    "report --format m": {"md"},
    "reproduce kayhan.t2.1 --launcher i": {"inline"},
    "reproduce kayhan.t2.1 --rerun f": {"failed"},
    "list da": {"datasets"},
    "doc": {"doctor"},
    "plan --probe": {"--probe", "--probe-limit"},
    "plan --chapter = kayhan/fu": {"kayhan/full_conv"},
    "report --scale = sm": {"small", "smoke"},
}


@pytest.mark.parametrize("line", CHOICES)
def test_options_and_commands(line: str, tmp_path: Path) -> None:
    found = bash(tmp_path, *line.split())
    assert {choice.partition("\t")[0] for choice in found} == CHOICES[line]


def test_an_option_of_which_nothing_is_written_yet(tmp_path: Path) -> None:
    assert bash(tmp_path, "plan", "--scale", "=") == set(SCALES)
    assert bash(tmp_path, "plan", "--scale", "") == set(SCALES)


OVERRIDES = {
    "train bor": {f"border={name}" for name in BORDERS},
    "train border = ": BORDERS,
    "train border =": BORDERS,
    "train border = fu": {"full"},
    "train experiment = kayhan/full_conv/red": {
        "kayhan/full_conv/red_green",
        "kayhan/full_conv/red_green_test",
    },
    "train experiment = kayhan/full_conv/red_green schedule.e": {"schedule.epochs=50"},
    "train experiment = kayhan/full_conv/red_green schedule.epochs = 5": {"50"},
    "evaluate abc border = fu": {"full"},
    "search-hparams border = fu": {"full"},
    "search-hparams --metric val_loss experiment = kayhan/full_conv/red_green schedule.e": {
        "schedule.epochs=50"
    },
    "plan kayhan.t2.1 border = c": {"circular"},
    "plan --chapter kayhan/full_conv bord": {f"border={name}" for name in BORDERS},
    "plan kayhan.t3.1 optimizer.l": {f"optimizer.lr={rate}" for rate in (1.0, 0.01, 0.001)},
    "plan bord": set(),
    "plan kayhan.t2.1 experiment = ": set(),
    "train nonsense = ": set(),
}


@pytest.mark.parametrize("line", OVERRIDES)
def test_overrides(line: str, tmp_path: Path) -> None:
    words = line.split()
    assert bash(tmp_path, *words, *([""] if line.endswith(" ") else [])) == OVERRIDES[line]


def test_the_other_shells_leave_words_whole(tmp_path: Path) -> None:
    assert fish(tmp_path, f"thesisbench train {RED_GREEN} border=fu") == {"border=full"}
    assert fish(tmp_path, "thesisbench plan kayhan.t2.1 border=c") == {"border=circular"}
    line = {"_TYPER_COMPLETE_ARGS": "thesisbench plan --scale sm"}
    found = ask(tmp_path, _THESISBENCH_COMPLETE="complete_zsh", **line)
    assert "".join(found).count("small") == 1


def test_groups_are_offered_when_nothing_is_written(tmp_path: Path) -> None:
    found = bash(tmp_path, "train", "")
    assert {"experiment=", "border=", "backbone=", "debug="} <= found


def test_runs_by_the_names_of_their_folders(tmp_path: Path) -> None:
    (tmp_path / "runs/0123456789abcdef").mkdir(parents=True)
    (tmp_path / "runs/notes").mkdir()
    (tmp_path / "runs/0123456789abcdef.old-1").mkdir()
    for verb in ("evaluate", "show"):
        assert bash(tmp_path, verb, "0") == {"0123456789abcdef"}


def test_a_chapter_and_options_of_the_user(tmp_path: Path) -> None:
    chapter = tmp_path / "specs/toy/one"
    (chapter / "tables").mkdir(parents=True)
    (chapter / "chapter.yaml").write_text("title: Toy\n")
    (chapter / "tables/t1.yaml").write_text("# first a comment\nid: 'toy.t1'\n")
    recipe = tmp_path / "conf/experiment/toy/one/fit.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text("# @package _global_\nschedule: {epochs: 7, shuffle: true}\n")
    (tmp_path / "conf/border").mkdir()
    (tmp_path / "conf/border/mine.yaml").touch()
    words = ("plan", "--spec-dir", "specs", "--config-dir", "conf")
    assert bash(tmp_path, *words, "toy") == {"toy.t1"}
    assert bash(tmp_path, *words, "--chapter", "toy") == {"toy/one"}
    assert bash(tmp_path, *words, "toy.t1", "border", "=", "m") == {"mine"}
    assert bash(tmp_path, *words, "toy.t1", "schedule.") == {
        "schedule.epochs=7",
        "schedule.shuffle=true",
    }


WRONG = [
    "report --format nonsense kay",
    "report --scale nonsense --nonsense kay",
    "plan --spec-dir /no/such/folder zz",
    "evaluate zzz",
    "nonsense zz",
    "train --config-dir /no/such zz = ",
]


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_gives_no_word_on_either_stream(line: str, tmp_path: Path) -> None:
    assert not any("rror" in choice for choice in bash(tmp_path, *line.split()))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_recipe_gives_no_choices(tmp_path: Path) -> None:
    recipe = tmp_path / "experiment/toy/one/fit.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text("schedule: {epochs: [\n")
    words = ("evaluate", "--config-dir", str(tmp_path), "abc", "experiment", "=", "toy/one/fit")
    assert bash(tmp_path, *words, "schedule.e") == set()


def test_words_of_options_are_put_together_and_the_cursor_stays() -> None:
    words = ["thesisbench", "plan", "--scale", "=", "sm", "kay"]
    joined = ["thesisbench", "plan", "--scale", "sm", "kay"]
    assert joined_options(words, 4) == (joined, 3)
    assert joined_options(words, 5) == (joined, 4)
    assert joined_options(words, 1) == (joined, 1)
    assert joined_options(words[:4], 3) == (["thesisbench", "plan", "--scale", "''"], 3)
    assert joined_options(["thesisbench", "border", "=", "x"], 3)[0][2] == "="


def test_the_choices_are_those_that_the_commands_take() -> None:
    assert SCALES == model.SCALES
    assert [check_format(name) for name in FORMATS] == list(FORMATS)
    with pytest.raises(UserError) as said:
        check_format("nonsense")
    assert all(name in str(said.value) for name in FORMATS)
    assert str(said.value).count(",") == len(FORMATS) - 1
    assert all(name in browse._LISTED for name in LISTED)


def test_completion_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import os, sys; sys.argv = ['thesisbench']\n"
        "from thesisbench.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'hydra', 'numpy', 'omegaconf', 'rich', 'matplotlib'}\n"
        "sys.stderr.write(','.join(sorted(heavy & set(sys.modules))))\n"
    )
    line = "thesisbench\nplan\nkayhan.t2.1\nschedule."
    given = {"COMP_WORDS": line, "COMP_CWORD": "3", "_THESISBENCH_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "schedule.epochs=50" in done.stdout
    assert done.stderr == ""


SCRIPT = """
source <("$1" --show-completion bash)
COMP_WORDS=(thesisbench train experiment = kayhan/full_conv/red_green bor)
COMP_CWORD=5
_thesisbench_completion "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None or not PROGRAM.exists(), reason="needs bash")
def test_a_real_bash(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "--norc", "-c", SCRIPT, "bash", str(PROGRAM)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert set(done.stdout.splitlines()) == {f"border={name}" for name in BORDERS}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "thesisbench", "--show-completion", shell],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "thesisbench" in done.stdout
