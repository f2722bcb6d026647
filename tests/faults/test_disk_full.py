"""A full disk: one line that names the file, an interrupted run, and the same command goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty_disk import FullDisk
from toy_chapter import FITS, NUMBERS, Command, Toy, write_toy
from toy_runs import Children, allowed_parts, toy_config, toy_folder

from thesisbench.launch.jobs import DONE, FAILED
from thesisbench.store.files import TEMPORARY
from thesisbench.store.folder import RunFolder

CHECKPOINTS = "*/checkpoints/*"
NO_RECORD = 1600  # bytes: room for configurations, leases and states, not for records


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with allowed_parts():
        yield Children()


@pytest.fixture(scope="module")
def expected(children: Children, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The result of the fit on a good disk."""
    folder = fit(tmp_path_factory.mktemp("good"))
    assert children.execute(folder.path) == DONE
    return result(folder)


def fit(root: Path) -> RunFolder:
    return toy_folder(root, "fit", toy_config())


def result(folder: RunFolder) -> Any:
    record = folder.read_record()
    assert record is not None
    return record["result"]


def litter(root: Path) -> list[Path]:
    return list(root.rglob(f"{TEMPORARY}*"))


def check_interrupted(folder: RunFolder, file: str) -> None:
    """The run is interrupted, says which file did not fit, in one line, and left nothing behind."""
    status = folder.state()
    assert status.name == "interrupted"
    assert status.message.startswith(f"cannot write {folder.path / file}: the disk is full")
    log = folder.log_file.read_text()
    assert log.count("the disk is full") == 1
    assert "Traceback" not in log
    assert not folder.record_file.exists()
    assert litter(folder.path) == []


def test_no_room_for_the_record_interrupts_the_run_and_the_next_attempt_has_the_same_result(
    tmp_path: Path, children: Children, expected: Any
) -> None:
    folder = fit(tmp_path)
    full = FullDisk("*/fit/.tmp-*", NO_RECORD)
    assert children.execute(folder.path, full) == FAILED
    check_interrupted(folder, "record.json")
    assert children.execute(folder.path) == DONE
    assert result(folder) == expected
    assert folder.state().attempts == 2


@pytest.mark.parametrize("spared", [0, 1, 4, 5])
def test_no_room_for_a_checkpoint_leaves_the_former_one_and_the_fit_goes_on_from_it(
    spared: int, tmp_path: Path, children: Children, expected: Any
) -> None:
    folder = fit(tmp_path)
    assert children.execute(folder.path, FullDisk(CHECKPOINTS, 300, spared)) == FAILED
    kept = folder.attempt_dir(1)
    named = folder.state().message.removeprefix("cannot write ").partition(":")[0]
    check_interrupted(folder, str(Path(named).relative_to(folder.path)))
    last, files = kept / "last.ckpt", {path.name for path in kept.iterdir()}
    assert last.exists() == (spared > 1)
    if last.exists():
        keeper = torch.load(last, weights_only=True)["callbacks"]["KeepBest"]
        assert f"weights-{keeper['kept_epoch']}.pt" in files
        for path in kept.glob("weights-*.pt"):
            torch.load(path, weights_only=True)
    assert children.execute(folder.path) == DONE
    assert result(folder) == expected
    left = [path.name for path in folder.path.glob("attempts/*/checkpoints/*")]
    assert len(left) == 1, left


def test_no_room_for_anything_loses_no_more_than_what_was_said(
    tmp_path: Path, children: Children, expected: Any
) -> None:
    """Neither the record nor the state fits: the run counts as interrupted all the same."""
    folder = fit(tmp_path)
    full = FullDisk("*/fit/.tmp-*", spared=3)  # the lease, the time, the first state
    assert children.execute(folder.path, full) == FAILED
    assert folder.state().name == "interrupted"
    assert "the disk is full" in folder.log_file.read_text()
    assert litter(folder.path) == []
    assert children.execute(folder.path) == DONE
    assert result(folder) == expected


def results(toy: Toy) -> dict[str, Any]:
    return {run_id: record["result"] for run_id, record in toy.store.records()}


def test_one_run_without_room_marks_no_other_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    toy = write_toy(tmp_path)
    assert Command(toy, monkeypatch, capfd).reproduce(FITS).code == 0
    expected = results(toy)
    (victim, *_) = (i for i in toy.store.ids() if toy.store.folder(i).read_config()["needs"] == {})
    toy = Toy(tmp_path, "again")
    command = Command(toy, monkeypatch, capfd)
    with FullDisk(f"*/{victim}/{TEMPORARY}*", NO_RECORD).armed():
        said = command.reproduce(FITS)
    assert said.code == 1
    assert "Traceback" not in said.out + said.err
    (line,) = (line for line in said.out.splitlines() if "the disk is full" in line)
    assert f"cannot write {toy.store.folder(victim).record_file}" in line
    assert "--rerun" not in said.out
    states = {i: toy.store.state(i).name for i in expected}
    assert states.pop(victim) == "interrupted"
    (blocked,) = (i for i, state in states.items() if state == "queued")
    assert victim in toy.store.folder(blocked).read_config()["needs"]["weights"]
    del states[blocked]
    assert set(states.values()) == {"done"}
    said = command.reproduce(FITS)
    assert said.code == 0, said.out + said.err
    assert f"1 run needed more than one attempt: {victim} (2)" in said.out.splitlines()
    assert results(toy) == expected


# A limit on the size of files stands for a full disk.
FULL = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({NO_RECORD}, resource.RLIM_INFINITY))
from thesisbench.cli import main
main()
"""


def test_a_disk_without_room_for_any_record_ends_the_sweep_in_one_line(tmp_path: Path) -> None:
    toy = write_toy(tmp_path)
    words = [*toy.words("reproduce", NUMBERS), "launcher.workers=2"]
    done = subprocess.run(
        [sys.executable, "-c", FULL, *words],
        env=toy.environment(),
        cwd=toy.root,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert f"cannot write to {toy.root / 'runs'}" in line
    states = {toy.store.state(i).name for i in toy.store.ids()}
    assert "interrupted" in states
    assert states <= {"interrupted", "queued"}
    again = toy.start(*words)  # a child killed while it wrote may have left a temporary file
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, out + err
    assert litter(toy.store.root) == []
    assert len(results(toy)) == 6
