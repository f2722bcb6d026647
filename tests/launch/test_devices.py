"""Runs of two processes on the CPU, by the command line and the local launcher."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_chapter import Command, Toy, write_toy
from toy_runs import PARTS

DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return write_toy(tmp_path, seeds=1, epochs=2)


@pytest.fixture
def command(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.setenv("PYTHONPATH", toy.environment()["PYTHONPATH"])
    return Command(toy, monkeypatch, capfd)


def words(toy: Toy, *more: str) -> list[str]:
    shared = ["--config-dir", str(toy.root / "conf"), "--allow-targets", PARTS]
    return ["train", "experiment=toy/sweep/fit", *DDP, "logger=none", *more, *shared]


@pytest.mark.slow
def test_a_sweep_of_runs_on_two_devices_executes_each_once(toy: Toy, command: Command) -> None:
    said = command(*words(toy, "seed=0,1", "-m", "launcher.workers=2"))
    assert said.code == 0, said.out + said.err
    records = dict(toy.store.records())
    assert len(records) == len(toy.store.ids()) == 2
    for run_id, record in records.items():
        assert record["provenance"]["attempts"] == 1
        lines = toy.store.folder(run_id).metrics_file.read_text().splitlines()
        assert len(lines) == 2, "a line an epoch, of one rank"


def test_two_devices_in_this_process_are_refused_before_anything_is_written(
    toy: Toy, command: Command
) -> None:
    said = command(*words(toy, "launcher=inline"))
    assert said.code == 2
    assert "2 devices, and launcher=inline has one process" in said.err
    assert toy.store.ids() == []


def test_gpus_that_are_not_there_are_refused_before_anything_is_written(
    toy: Toy, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thesisbench.launch.local.gpus_here", lambda: ("0", "1"))
    said = command(*words(toy, "trainer.accelerator=gpu", "trainer.devices=3"))
    assert said.code == 2
    assert "wants 3 GPUs and this machine has 2 GPUs" in said.err
    assert len(said.err.splitlines()) == 1
    assert toy.store.ids() == []
