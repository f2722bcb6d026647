"""What a look is drawn like, on narrow and wide terminals, and by the command itself."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import chapter, claim, fail, finish, fits, interrupt, queue
from rich.console import Console
from toy_specs import Toy

from thesisbench.status.model import Group, Overview, RunView
from thesisbench.status.view import Limits, View

RUNNING = RunView(
    *("0123456789abcdef", "fit border=reflect seed=3", "toy/one", "fit", "small", (), "runs/x"),
    *("running",),
    progress={"epoch": 3, "epochs": 10},
    seconds=75.0,
    remaining=175.0,
    host="node7",
)
FAILED = replace(
    RUNNING,
    id="fedcba9876543210",
    title="fit border=full seed=1",
    state="failed",
    message="ValueError: no",
    log_line="Killed",
    command="thesisbench reproduce toy.t1 --scale small --rerun failed",
)
LOST = replace(RUNNING, state="interrupted", silent=300.0, log_line="", command="thesisbench x")
COUNTED = {"done": 4, "running": 1, "failed": 1, "interrupted": 1}
FULL = Overview(
    "runs",
    ("toy.t1", "toy.t2"),
    "small",
    (Group("toy.t1", COUNTED, (1, 4)), Group("toy.t2", {"done": 2}, (2, 2))),
    COUNTED,
    (RUNNING, FAILED, LOST),
    remaining=600.0,
    commands=("thesisbench reproduce toy.t1 toy.t2 --scale small",),
    problems=("runs/y/record.json is corrupt",),
)


def drawn(view: View, width: int, *, terminal: bool = True) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=width, height=40, force_terminal=terminal, color_system=None).print(
        view, crop=False
    )
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal_but_commands_that_are_to_be_copied(width: int) -> None:
    lines = [line.rstrip() for line in drawn(View(FULL), width)]
    wide = [line.strip() for line in lines if len(line) > width]
    assert set(wide) <= {*FULL.commands, FAILED.command}
    assert f"  {FULL.commands[0]}" in lines
    assert f"    {FAILED.command}" in lines
    assert all(len(line) <= width for line in drawn(View(FULL, cut=True), width))


@pytest.mark.parametrize("width", [40, 120])
def test_everything_is_said_at_any_width(width: int) -> None:
    text = " ".join(" ".join(drawn(View(FULL, note="a note"), width)).split())
    for words in (
        "toy.t1, toy.t2 at scale small: 3 of 6 cells; 4 done, 1 running, 1 failed, 1 interrupted",
        "about 10 min left",
        "Running (1)",
        "epoch 3 of 10, 75 s so far, about",
        "on node7",
        "Failed (1)",
        "ValueError: no",
        "log: Killed",
        "Interrupted: the same command goes on with them (1)",
        "its process on node7 is silent for 5 min",
        "runs/y/record.json is corrupt",
        "a note",
    ):
        assert words in text, words
    assert ("━" in text) == (width == 120), "bars where there is room for them"
    assert RUNNING.title in text


def test_a_single_table_is_not_counted_twice() -> None:
    one = replace(FULL, tables=("toy.t1",), groups=FULL.groups[:1], runs=())
    text = "\n".join(drawn(View(one), 120))
    assert text.count("1 of 4 cells") == 1
    assert "━" in text


def test_long_lists_are_cut_and_the_rest_is_counted() -> None:
    runs = [replace(state, id=f"{n:016d}") for state in (RUNNING, FAILED) for n in range(30)]
    groups = tuple(Group(f"toy.t{n}", {"done": 1}, (1, 1)) for n in range(60))
    full = replace(FULL, runs=tuple(runs), groups=groups)
    text = "\n".join(drawn(View(full), 120))
    for words in ("and 20 more lines", "and 10 more running", "and 25 more failed"):
        assert words in text
    limits = Limits.for_height(24)
    assert len(drawn(View(full, limits, cut=True), 120)) <= 40
    assert "and 24 more running" in "\n".join(drawn(View(full, limits), 120))


def test_what_runs_say_is_text_and_no_markup() -> None:
    odd = replace(FAILED, title="fit [red]x[/]", message="[bold]no [/nothing]", log_line="")
    text = "\n".join(drawn(View(replace(FULL, runs=(odd,))), 120))
    assert "fit [red]x[/]" in text
    assert "[bold]no [/nothing]" in text


# ---- the command, in a process of its own ----


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return chapter(tmp_path)


def status(toy: Toy, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"THESISBENCH_RUNS": str(toy.root / "runs"), "PATH": "", "COLUMNS": "60"}
    return subprocess.run(
        [sys.executable, *MEASURED, "status", *words],
        env=environment,
        cwd=toy.root,
        capture_output=True,
        text=True,
        check=False,
    )


HEAVY = ("torch", "hydra", "omegaconf", "pandas", "numpy", "scipy", "optuna")
MEASURED = (
    "-c",
    "import atexit, sys\n"
    f"heavy = {HEAVY!r}\n"
    "atexit.register(lambda: sys.stderr.write(' '.join(set(heavy) & set(sys.modules))))\n"
    "from thesisbench.cli import main\nmain()",
)


def test_all_runs_of_the_folder_without_importing_anything_heavy(toy: Toy) -> None:
    session = toy.session()
    first, second, third, fourth = fits(session)
    finish(session, first)
    fail(session, second, "failed: boom\n")
    interrupt(session, third)
    queue(session, fourth)
    done = status(toy)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    text = " ".join(done.stdout.split())
    assert ": 1 done, 1 failed, 1 interrupted, 1 queued" in text
    assert f"    thesisbench run {session.store.folder(second.id).path}" in said
    machine = status(toy, "--json")
    data = json.loads(machine.stdout)
    assert (data["states"]["queued"], machine.returncode) == (1, 0)
    assert [run["log_line"] for run in data["runs"]] == ["failed: boom", ""]


def test_damage_is_exit_code_1_and_an_empty_place_is_none(toy: Toy) -> None:
    done = status(toy)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(": no runs\n")
    session = toy.session()
    queue(session, fits(session)[0]).config_file.write_text("id: [")
    done = status(toy)
    assert done.returncode == 1
    assert "config.yaml" in done.stdout.replace("\n", "")


def test_tables_of_the_user(toy: Toy) -> None:
    session = toy.session()
    claim(session, fits(session)[0], progress={"epoch": 1, "epochs": 3})
    from toy_specs import shared_recipes

    words = ("--spec-dir", "specs", "--config-dir", shared_recipes())
    done = status(toy, "toy.t1", *words)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "toy.t1 at scale small: 0 of 2 cells; 1 running, 7 absent" in text
    assert "epoch 1 of 3" in text
