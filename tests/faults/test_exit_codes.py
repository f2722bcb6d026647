"""What a user sees when something is wrong with the runs folder, and how runs are done again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from toy_chapter import FITS, NUMBERS, Command, Toy, write_toy


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return write_toy(tmp_path)


@pytest.fixture
def command(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    return Command(toy, monkeypatch, capfd)


def results(toy: Toy) -> dict[str, object]:
    return {run_id: record["result"] for run_id, record in toy.store.records()}


def test_a_chapter_from_outside_is_reproduced_and_then_only_read(
    toy: Toy, command: Command
) -> None:
    said = command.reproduce(FITS)
    assert said.code == 0, said.err + said.out
    assert "0 runs done, 8 to do" in said.out
    before = results(toy)
    assert len(before) == 8
    assert (toy.root / "reports" / f"{FITS}.smoke.md").exists()
    said = command.reproduce(FITS)
    assert said.code == 0
    assert "8 runs done, 0 to do" in said.out
    assert results(toy) == before


def test_a_file_in_place_of_the_runs_folder_is_one_line_and_nothing_done(
    toy: Toy, command: Command
) -> None:
    (toy.root / "runs").write_text("mine")
    said = command.reproduce(NUMBERS)
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert str(toy.root / "runs") in said.err
    assert "a file is where a folder should be" in said.err
    assert (toy.root / "runs").read_text() == "mine"
    assert not (toy.root / "reports").exists()


# A limit on the size of files stands for a full disk.
FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
from thesisbench.cli import main
main()
"""


def test_a_disk_that_takes_nothing_more_is_one_line_and_nothing_done(toy: Toy) -> None:
    words = [*toy.words("reproduce", NUMBERS), "launcher=inline"]
    done = subprocess.run(
        [sys.executable, "-c", FULL, *words],
        env=toy.environment(),
        cwd=toy.root,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "cannot write" in done.stderr
    assert str(toy.root / "runs") in done.stderr


def test_corrupt_files_are_named_and_set_aside_and_the_rest_is_reported(
    toy: Toy, command: Command
) -> None:
    command.reproduce(NUMBERS)
    good, bad, odd = toy.store.ids()[:3]
    before = results(toy)
    toy.store.folder(bad).record_file.write_text('{"result": ')
    toy.store.folder(odd).state_file.write_text("\x00\x00")
    toy.store.folder(odd).record_file.unlink()  # that of a done run is never read
    said = command(*toy.words("report", NUMBERS))
    assert said.code == 1
    lines = [line for line in said.err.splitlines() if "corrupt" in line]
    assert len(lines) == 2
    assert any(str(toy.store.folder(bad).record_file) in line for line in lines)
    assert any(str(toy.store.folder(odd).state_file) in line for line in lines)
    assert (toy.store.folder(bad).path / "record.json.corrupt-1").exists()
    assert "k0" in said.out
    assert "k2" in said.out
    said = command.reproduce(NUMBERS)
    assert said.code == 0, "it was set aside by the report; now it is made anew"
    assert "4 runs done, 2 to do" in said.out
    assert results(toy) == before
    assert good in before


def test_reproduce_itself_sets_a_corrupt_record_aside_makes_it_anew_and_exits_1(
    toy: Toy, command: Command
) -> None:
    command.reproduce(NUMBERS)
    before = results(toy)
    toy.store.folder(toy.store.ids()[0]).record_file.write_text("[]")
    said = command.reproduce(NUMBERS)
    assert said.code == 1
    assert "set aside as record.json.corrupt-1" in said.out
    assert results(toy) == before
    assert command.reproduce(NUMBERS).code == 0


def test_failed_runs_are_held_back_until_asked_for(tmp_path: Path, command: Command) -> None:
    wanted = tmp_path / "wanted"
    toy = write_toy(tmp_path, wants=str(wanted))
    said = command.reproduce(NUMBERS)
    assert said.code == 1
    assert "--rerun failed" in said.out
    assert f"no file {wanted} yet" in said.out
    assert {toy.store.state(i).name for i in toy.store.ids()} == {"failed"}
    wanted.touch()
    said = command.reproduce(NUMBERS)
    assert said.code == 1
    assert "6 held back: failed before; --rerun failed tries it again" in said.out
    assert results(toy) == {}
    said = command.reproduce(NUMBERS, "--rerun", "failed")
    assert said.code == 0
    assert len(results(toy)) == 6


def test_a_run_named_by_its_id_is_made_anew_with_all_that_rests_on_it(
    toy: Toy, command: Command
) -> None:
    command.reproduce(FITS)
    before = results(toy)
    configs = {i: toy.store.folder(i).read_config() for i in before}
    fit = next(i for i, config in configs.items() if config["kind"] == "fit")
    (test,) = (i for i, config in configs.items() if fit in config["needs"].get("weights", []))
    made = {i: toy.store.folder(i).record_file.stat().st_mtime_ns for i in before}
    said = command.reproduce(FITS, "--rerun", fit[:10])
    assert said.code == 0, said.out
    assert "6 runs done, 2 to do" in said.out
    assert results(toy) == before
    again = {i for i in made if toy.store.folder(i).record_file.stat().st_mtime_ns != made[i]}
    assert again == {fit, test}
    kept = {p.name for p in toy.store.root.glob("*.old-1")}
    assert kept == {f"{fit}.old-1", f"{test}.old-1"}
    old = json.loads((toy.store.root / f"{fit}.old-1/record.json.old").read_text())
    assert old["result"] == before[fit]


@pytest.mark.parametrize("word", ["nonsense", "0" * 16, ""])
def test_rerun_of_something_else_is_one_line(word: str, toy: Toy, command: Command) -> None:
    command.reproduce(NUMBERS)
    said = command.reproduce(NUMBERS, "--rerun", word)
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert "give failed, stale, oom or a run id" in said.err
