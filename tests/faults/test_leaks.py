"""Planted keys: none is in any byte that a sweep writes or prints, not even when it fails."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sweeps import Started, finish
from toy_chapter import FITS, NUMBERS, Command, Toy, write, write_toy
from toy_runs import PARTS

from thesisbench.store import provenance
from thesisbench.store.provenance import code_version

PLANTED = {
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "HF_TOKEN": "hf_QrStUvWxYzAbCdEfGhIjKlMnOpQr",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "MY_PROXY_PASSWORD": "correct-horse-battery",
    "HTTPS_PROXY": "http://someone:staple-in-address@127.0.0.1:9",
}
SECRETS = [*list(PLANTED.values())[:-1], "staple-in-address"]
UNRELATED = "planted-and-named-like-nothing"  # the environment as such is not written either


def start(toy: Toy, ended: Started, *words: str) -> tuple[int, str, str]:
    """Runs a command with all keys in its environment."""
    environment = {**toy.environment(), **PLANTED, "HARMLESS": UNRELATED, "HOME": str(toy.root)}
    environment |= {"WANDB_MODE": "offline", "NO_PROXY": "*"}
    for name in [n for n in environment if n.startswith("WANDB_") and n not in PLANTED]:
        if name != "WANDB_MODE":
            del environment[name]
    ended.append(
        subprocess.Popen(
            [sys.executable, "-m", "thesisbench", *words],
            env=environment,
            cwd=toy.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    return finish(ended[-1])


def check_no_leak(toy: Toy, *said: str, allowed: tuple[str, ...] = ()) -> int:
    """Reads every byte below the folder; returns how many files that were."""
    count = 0
    for path in toy.root.rglob("*"):
        if path.is_file():
            count += 1
            found = [s for s in (*SECRETS, UNRELATED) if s.encode() in path.read_bytes()]
            assert set(found) <= set(allowed), f"{path} holds {found}"
    for text in said:
        assert not [s for s in (*SECRETS, UNRELATED) if s in text and s not in allowed], text
    return count


def words(toy: Toy, table: str, *more: str) -> list[str]:
    mirrored = [word for word in toy.words("reproduce", table) if word != "logger=none"]
    return [*mirrored, "logger=wandb", *more]


@pytest.mark.slow
def test_a_mirrored_sweep_writes_no_key_into_runs_reports_wandb_or_the_terminal(
    tmp_path: Path, ended: Started
) -> None:
    toy = write_toy(tmp_path)
    code, out, err = start(toy, ended, *words(toy, FITS, "launcher.workers=2"))
    assert code == 0, out + err
    assert len(list(toy.store.records())) == 8
    assert list(toy.store.root.glob("wandb/offline-run-*")), "nothing was mirrored"
    assert check_no_leak(toy, out, err) > 50
    looks = [toy.words("status", FITS, "--json"), toy.words("report", FITS)]
    for command in (*looks, ["show", toy.store.ids()[0], *toy.places]):
        code, out, err = start(toy, ended, *command)
        assert code == 0, err
        check_no_leak(toy, out, err)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["launcher=inline", "launcher.workers=2"])
def test_a_run_that_quotes_its_environment_and_fails_leaks_no_key(
    launcher: str, tmp_path: Path, ended: Started
) -> None:
    toy = write_toy(tmp_path)
    write(tmp_path / "conf/compute/number.yaml", {"_target_": f"{PARTS}.Blabber", "k": 0})
    code, out, err = start(toy, ended, *words(toy, NUMBERS, launcher))
    assert code == 1, out + err
    states = {toy.store.state(i).name for i in toy.store.ids()}
    assert states == {"failed"}
    failed = toy.store.ids()[0]
    assert "***" in toy.store.state(failed).message
    log = toy.store.folder(failed).log_file
    if launcher != "launcher=inline":
        assert "Traceback" in log.read_text()
        assert "printed ***" in log.read_text()
    check_no_leak(toy, out, err, allowed=(UNRELATED,))  # a run may print what is no secret
    code, out, err = start(toy, ended, "show", failed, *toy.places)
    assert code == 0, err
    assert "***" in out
    check_no_leak(toy, out, err, allowed=(UNRELATED,))


@pytest.mark.parametrize("command", ["reproduce", "report", "plan", "status"])
@pytest.mark.parametrize(
    "override",
    [
        "dataset.name={HF_TOKEN}",
        "dataset.name='https://me:staple-in-address@host/data'",
        "++compute.told=/tmp/{WANDB_API_KEY}",
        "+dataset.password=staple-in-address",
    ],
)
def test_an_override_with_a_key_is_refused_in_one_line_and_nothing_is_written(
    command: str,
    override: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    toy = write_toy(tmp_path)
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    before = sorted(tmp_path.rglob("*"))
    said = Command(toy, monkeypatch, capfd)(
        *toy.words(command, NUMBERS, override.format(**PLANTED))
    )
    assert said.code == 2
    (line,) = said.err.splitlines()
    assert re.match(r"thesisbench: override: [a-z.]+ holds ", line)
    assert not [secret for secret in SECRETS if secret in line + said.out]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_configuration_that_takes_a_key_from_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    toy = write_toy(tmp_path)
    number = {"_target_": f"{PARTS}.Number", "k": 0, "told": "${oc.env:HF_TOKEN}"}
    write(tmp_path / "conf/compute/number.yaml", number)
    monkeypatch.setenv("HF_TOKEN", PLANTED["HF_TOKEN"])
    said = Command(toy, monkeypatch, capfd).reproduce(NUMBERS)
    assert said.code == 2
    (line,) = said.err.splitlines()
    assert "config.compute.told holds the value of the variable HF_TOKEN" in line
    assert list(toy.store.root.glob("*/*")) == []
    check_no_leak(toy, said.out, said.err)


def test_a_remote_with_a_password_is_no_part_of_the_provenance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True)

    package = tmp_path / "thesisbench"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git("init", "-q")
    git("remote", "add", "origin", "https://me:staple-in-address@host/it.git")
    git("add", ".")
    git("commit", "-q", "-m", "a")
    monkeypatch.setattr(provenance, "PACKAGE", package)
    code_version.cache_clear()
    try:
        said = code_version()
    finally:
        code_version.cache_clear()
    assert said["git_commit"]
    assert "staple-in-address" not in str(said)
