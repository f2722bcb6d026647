"""What a record says about where it comes from, and what it must not say."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from thesisbench.store import provenance
from thesisbench.store.provenance import code_version, collect_provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small repository that holds a package, taken for ours."""
    for name in ("thesisbench/__init__.py", "conf/train.yaml", "experiments/k/f/chapter.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    git(tmp_path, "init", "--quiet")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "thesisbench")
    code_version.cache_clear()
    yield tmp_path
    code_version.cache_clear()


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


def dirty() -> bool | None:
    code_version.cache_clear()
    answer: bool | None = code_version()["dirty"]
    return answer


def test_a_clean_checkout_gives_its_commit(checkout: Path) -> None:
    head = commit(checkout)
    assert code_version()["git_commit"] == head
    assert code_version()["dirty"] is False


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("thesisbench/__init__.py", True),
        ("thesisbench/new.py", True),
        ("conf/train.yaml", True),
        ("experiments/k/f/tables/t1.yaml", True),
        ("experiments/k/f/results/small/t1.json", False),
        ("experiments/k/f/README.md", False),
        ("docs/page.md", False),
        ("runs/a/config.yaml", False),
    ],
)
def test_a_tree_is_dirty_when_what_decides_a_result_changed(
    checkout: Path, changed: str, expected: bool
) -> None:
    commit(checkout)
    path = checkout / changed
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("2\n")
    assert dirty() is expected


def test_a_checkout_is_asked_once_a_process(checkout: Path) -> None:
    commit(checkout)
    first = code_version()
    (checkout / "thesisbench/new.py").touch()
    assert code_version() is first


def test_a_package_that_is_not_tracked_by_the_enclosing_checkout_has_no_commit(
    checkout: Path,
) -> None:
    (checkout / ".gitignore").write_text("thesisbench\n")
    commit(checkout)
    assert (code_version()["git_commit"], code_version()["dirty"]) == (None, None)


def test_variables_of_a_git_hook_do_not_point_elsewhere(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = commit(checkout)
    monkeypatch.setenv("GIT_DIR", str(checkout / "nowhere"))
    assert code_version()["git_commit"] == head


def test_without_git_there_is_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(checkout)
    monkeypatch.setenv("PATH", "")
    assert (code_version()["git_commit"], code_version()["dirty"]) == (None, None)


def test_the_record_names_versions_hardware_time_and_memory() -> None:
    made = collect_provenance(threads=2, started=0.0, finished=90.5, config={"seed": 0})
    assert (made["threads"], made["config"]) == (2, {"seed": 0})
    assert made["versions"]["python"] == platform.python_version()
    assert set(made["versions"]) >= {"torch", "pytorch-lightning", "numpy", "hydra-core"}
    assert made["started"] == "1970-01-01T00:00:00.000+00:00"
    assert made["finished"] == "1970-01-01T00:01:30.500+00:00"
    assert made["wall_seconds"] == 90.5
    assert 5 < made["peak_memory_mib"] < made["hardware"]["memory_mib"]
    assert 1 <= made["hardware"]["usable_cores"] <= made["hardware"]["cores"]
    assert made["hardware"]["cpu"]
    assert set(made["code"]) == {"package_version", "git_commit", "dirty"}
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_peak_memory_is_that_of_this_process_in_mebibytes() -> None:
    assert provenance._peak_memory() is not None
    burden = bytearray(b"1") * (400 << 20)  # a child must not report the peak of its parent
    code = (
        "from thesisbench.store.provenance import collect_provenance\n"
        "def peak():\n"
        "    made = collect_provenance(threads=1, started=0, finished=1, config={})\n"
        "    return made['peak_memory_mib']\n"
        "before = peak(); block = b'1' * (256 << 20); print(peak() - before)"
    )
    root = Path(provenance.__file__).parents[2]
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    del burden
    assert float(answer.stdout) == pytest.approx(256, abs=16)


def test_neither_host_name_nor_environment_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "machine-of-somebody")
    monkeypatch.setattr(platform, "node", lambda: "machine-of-somebody")
    monkeypatch.setenv("SECRET_TOKEN", "do-not-print-me")
    text = json.dumps(collect_provenance(threads=1, started=0, finished=1, config={}))
    assert "machine-of-somebody" not in text
    assert os.uname().nodename not in text
    assert "do-not-print-me" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "processor : 0\nmodel name\t: Fast CPU @ 2 GHz\nmodel name\t: other\n",
            "Fast CPU @ 2 GHz",
        ),
        ("processor : 0\nBogoMIPS : 50\n", platform.processor() or platform.machine()),
    ],
)
def test_the_processor_is_named(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert provenance._cpu_model(tmp_path / "cpuinfo") == expected


def test_a_process_that_does_not_compute_on_gpus_names_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert provenance._gpus() == []
    assert "torch" not in sys.modules
