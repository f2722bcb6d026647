"""`thesisbench doctor`: devices, folders, surroundings, and no secret anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from thesisbench.doctor import command, folders
from thesisbench.doctor.check import Check
from thesisbench.doctor.devices import ask_torch, gpu_check, threads_check, torch_checks
from thesisbench.doctor.folders import checks_of, hard_links
from thesisbench.doctor.surroundings import (
    checkout_check,
    encoding_check,
    launcher_check,
    variable_checks,
    wandb_check,
)
from thesisbench.errors import UserError

SECRET = "0123planted4567planted89ab0123planted456"


def doctor(tmp_path: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("THESISBENCH_", "WANDB_"))}
    kept |= {"HOME": str(tmp_path), "COLUMNS": "40", **variables}
    return subprocess.run(
        [sys.executable, "-m", "thesisbench", "doctor", *words],
        env=kept,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )


def test_a_machine_that_can_work_gets_a_line_a_check_and_no_key(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(f"machine api.wandb.ai login user password {SECRET}\n")
    (tmp_path / ".netrc").chmod(0o600)
    done = doctor(
        tmp_path,
        WANDB_API_KEY=SECRET,
        WANDB_MODE="offline",
        THESISBENCH_TOKEN=SECRET,
        WANDB_BASE_URL=f"https://me:{SECRET}@api.wandb.ai",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "planted" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert all(line.split()[0] in ("ok", "warn", "missing") for line in lines[:-1])
    assert "ok      W&B: runs are mirrored offline; key for api.wandb.ai: yes" in lines
    assert any(line.startswith("warn    THESISBENCH_TOKEN: is not a variable") for line in lines)
    assert any(line.startswith("ok      import torch: ") for line in lines)
    assert lines[-1].startswith("can work; ")
    assert [path.name for path in tmp_path.iterdir()] == [".netrc"]


def test_what_is_essential_and_broken_makes_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    done = doctor(tmp_path, "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["works"]) == (1, False)
    broken = [c["name"] for c in said["checks"] if c["essential"] and c["state"] == "missing"]
    assert broken == ["runs folder"]
    assert set(said["checks"][0]) == {"name", "state", "text", "todo", "essential"}


BROKEN = {
    "raise ImportError('libcudart.so is not there')": "libcudart.so is not there",
    "import os; os.kill(os.getpid(), 11)": "does not import (no word)",
    "print('hello')": "says something else",
    "while True: pass": "does not import within 1 s",
}


@pytest.mark.parametrize("code", BROKEN)
def test_a_broken_torch_is_a_line_and_no_crash(code: str) -> None:
    said, problem = ask_torch(code, seconds=1.0)
    (check,) = torch_checks(said, problem)
    assert check.breaks
    assert BROKEN[code] in check.text


def test_a_torchvision_that_does_not_import_breaks() -> None:
    said = {"torch": "2.15.0", "vision": "RuntimeError: operator nms\n does not exist"}
    torch, vision = torch_checks(said, "")
    assert not torch.breaks
    assert vision.breaks
    assert "RuntimeError: operator nms does not exist" in vision.text


def test_gpus_are_named_and_a_build_without_cuda_is_noticed() -> None:
    said = {"cuda": "13.2", "gpus": [["H100", 80 * 2**30]] * 2, "mps": False}
    found = gpu_check(said, driver="580.65")
    assert found.text == "2 CUDA: H100 (80 GiB), H100 (80 GiB), driver 580.65, CUDA 13.2"
    without = gpu_check({"cuda": None, "gpus": [], "mps": False}, driver="580.65")
    assert (without.state, without.breaks) == ("warn", False)
    assert "built without CUDA" in without.text
    assert gpu_check({"cuda": None, "gpus": [], "mps": False}, driver="").state == "ok"


def test_thread_settings_are_told() -> None:
    assert "OMP_NUM_THREADS is not set" in threads_check({}).text
    assert "OMP_NUM_THREADS=4 holds" in threads_check({"OMP_NUM_THREADS": "4"}).text


def test_folders_are_looked_at_and_left_as_they_are(tmp_path: Path) -> None:
    found = {c.name: c for c in checks_of("runs folder", tmp_path / "a/b", "V", runs=True)}
    assert list(found) == ["runs folder", "room in runs folder", "hard links"]
    assert found["runs folder"].text == f"{tmp_path / 'a/b'} (not there yet; {tmp_path} is)"
    assert {c.state for c in found.values()} <= {"ok", "warn"}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (check,) = checks_of("runs folder", tmp_path / "file/runs", "THESISBENCH_RUNS", runs=True)
    assert check.breaks
    assert check.todo == "set THESISBENCH_RUNS to a folder that you may write to"
    (check,) = checks_of("data root", tmp_path / "file/data", "THESISBENCH_DATA", runs=False)
    assert (check.state, check.breaks) == ("missing", False)


def test_a_file_system_without_hard_links_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise UserError("cannot write x: not permitted")

    monkeypatch.setattr(folders, "publish", refuse)
    check = hard_links(tmp_path, "THESISBENCH_RUNS")
    assert check.breaks
    assert "hard links" in check.todo
    assert list(tmp_path.iterdir()) == []


def test_only_names_of_unknown_variables_are_shown() -> None:
    given = {"THESISBENCH_RUNS": "/r", "THESISBENCH_RUN": SECRET, "OTHER": SECRET}
    known, unknown = variable_checks(given)
    assert known.text == "THESISBENCH_RUNS=/r"
    assert (unknown.name, unknown.state) == ("THESISBENCH_RUN", "warn")
    assert "planted" not in known.line + unknown.line


def test_wandb_is_told_with_mode_and_host_and_never_the_key(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert wandb_check(home, installed=False).todo.startswith("pip install 'thesisbench[wandb]'")
    assert wandb_check(home, installed=True).text == (
        "runs are mirrored offline; key for api.wandb.ai: no"
    )
    with_key = {**home, "WANDB_API_KEY": SECRET, "WANDB_BASE_URL": f"https://{SECRET}@w.org/x"}
    assert wandb_check(with_key, installed=True).line == (
        "ok      W&B: runs are mirrored online; key for w.org: yes"
    )
    off = wandb_check({**with_key, "WANDB_MODE": "disabled"}, installed=True)
    assert "not mirrored" in off.text


def test_encoding_launcher_and_checkout() -> None:
    assert encoding_check("utf-8", "UTF-8").state == "ok"
    assert encoding_check("ANSI_X3.4-1968", "utf-8").state == "warn"
    assert launcher_check(["spawn"]).state == "missing"
    assert not launcher_check(["spawn"]).breaks
    assert checkout_check({"git_commit": "a" * 40, "dirty": False}).state == "ok"
    assert checkout_check({"git_commit": "a" * 40, "dirty": True}).state == "warn"
    assert checkout_check({"git_commit": None, "package_version": "0.1.0"}).state == "ok"


def test_a_check_that_cannot_be_made_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def ill() -> list[Check]:
        raise OSError("no such\nplace")

    for name in ("device_checks", "folder_checks", "_packages"):
        monkeypatch.setattr(command, name, ill)
    checks = list(command.all_checks())
    assert [c.state for c in checks[:3]] == ["warn"] * 3
    assert checks[0].text == "could not be looked at: OSError: no such place"
    assert command.exit_code(checks) == 0
