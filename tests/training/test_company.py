"""The ranks of a run: which one a process is, what is said of one that is lost, and their end."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest
import torch

from thesisbench.errors import UserError
from thesisbench.training import company, ranks
from thesisbench.training.company import Company, Member, RankLostError
from thesisbench.training.ranks import Rank, check_devices, device_type

NAMES = ("LOCAL_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "CUDA_VISIBLE_DEVICES")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def config(**trainer: Any) -> dict[str, Any]:
    return {"kind": "fit", "schedule": {"batch_size": 24}, "trainer": trainer}


@pytest.mark.parametrize(
    ("trainer", "said", "number", "size", "opens"),
    [
        ({}, {}, 0, 1, True),
        ({}, {"LOCAL_RANK": "3"}, 0, 1, True),
        ({"devices": 2}, {}, 0, 2, True),
        ({"devices": 2}, {"LOCAL_RANK": "1"}, 1, 2, False),
        ({"devices": 2, "num_nodes": 3}, {"NODE_RANK": "2", "LOCAL_RANK": "1"}, 5, 6, False),
        ({"devices": 2, "num_nodes": 3}, {"NODE_RANK": "1"}, 2, 6, False),
        ({"devices": 1, "num_nodes": 2}, {"NODE_RANK": "0"}, 0, 2, False),
    ],
)
def test_a_process_knows_its_rank(
    trainer: dict[str, Any],
    said: dict[str, str],
    number: int,
    size: int,
    opens: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"MASTER_ADDR": "a", "MASTER_PORT": "1", **said}.items():
        monkeypatch.setenv(name, value)
    rank = Rank.here(config(**trainer))
    assert (rank.number, rank.size, rank.opens) == (number, size, opens)


def test_a_compute_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Rank.here({**config(devices=4), "compute": {"_target_": "x"}}).size == 1


@pytest.mark.parametrize(
    ("trainer", "said", "text"),
    [
        ({"num_nodes": 2}, {}, "not set: NODE_RANK, MASTER_ADDR, MASTER_PORT"),
        ({"devices": 2}, {"LOCAL_RANK": "2"}, "LOCAL_RANK=2 in the environment; .* 0 to 1"),
        ({"devices": 2}, {"LOCAL_RANK": "x"}, "LOCAL_RANK=x"),
    ],
)
def test_a_place_that_is_none_is_one_line(
    trainer: dict[str, Any], said: dict[str, str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=text):
        Rank.here(config(**trainer))


@pytest.mark.parametrize(
    ("gpus", "trainer", "text"),
    [
        (
            0,
            {"accelerator": "gpu", "devices": 2},
            "2 GPUs, this machine has 0 .*trainer.accelerator=cpu",
        ),
        (2, {"devices": 4}, "4 GPUs, this machine has 2 .* choose at most 2"),
        (4, {"devices": -1}, "trainer.devices=-1 stands for 4 devices here; give their number"),
        (4, {"devices": "auto"}, "trainer.devices=auto stands for 4"),
        (0, {"devices": 2, "sync_batchnorm": True}, "works on GPUs only"),
        (0, {"precision": "16-mixed"}, "precision=16-mixed needs a GPU"),
        (0, {"devices": 5}, "has no 5 equal parts"),
    ],
)
def test_devices_that_do_not_fit_the_machine_are_one_line(
    gpus: int, trainer: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(ranks.sys, "platform", "linux")
    with pytest.raises(UserError, match=text):
        check_devices(config(**trainer))


@pytest.mark.parametrize(
    ("gpus", "trainer"),
    [(0, {"devices": 2}), (2, {"devices": 2}), (1, {"devices": "auto"}), (4, {"devices": 4})],
)
def test_devices_that_fit_pass(
    gpus: int, trainer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    check_devices(config(**trainer))
    assert device_type(config(**trainer)) == ("cuda" if gpus else "cpu")
    assert device_type({**config(**trainer), "kind": "eval"}) == "cpu"


@pytest.mark.parametrize(
    ("code", "said", "text", "killed"),
    [
        (-9, ["working"], "rank 2 was ended by SIGKILL", True),
        (130, [], "rank 2 was ended by an interrupt", True),
        (1, ["failed: ValueError: no", ""], "rank 2: ValueError: no", False),
        (1, ["Segmentation", "of words"], "rank 2: of words", False),
        (7, [], "rank 2: exit code 7", False),
    ],
)
def test_a_loss_is_one_line(code: int, said: list[str], text: str, killed: bool) -> None:
    process: Any = None
    lost = Member(2, process, deque(said)).loss(code)
    assert (str(lost), lost.killed) == (text, killed)


def make_company(program: str, monkeypatch: pytest.MonkeyPatch, stuck: Any) -> Company:
    """A company of one other rank, which is this Python program."""

    def start(self: Company, path: Path, rank: Rank, port: int, local: int) -> Member:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Member(local, process, deque(maxlen=50))

    monkeypatch.setattr(Company, "_start", start)
    return Company(Path("run"), Rank(size=2), 1, 1, stuck)


def test_a_rank_that_does_not_notice_a_loss_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(company, "GRACE", 0.01)
    told, said = threading.Event(), []

    def stuck(error: RankLostError) -> None:
        said.append(str(error))
        told.set()

    here = make_company("print('failed: no luck'); raise SystemExit(1)", monkeypatch, stuck)
    assert told.wait(60)
    here.end()
    assert said == ["rank 1: no luck"]
    assert str(here.cause()) == "rank 1: no luck"
    assert "[rank 1] failed: no luck\n" in capfd.readouterr().err


@pytest.mark.parametrize("leaves", [True, False])
def test_the_end_of_a_company_is_no_loss(leaves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "pass" if leaves else "import signal; signal.pause()"
    here = make_company(program, monkeypatch, pytest.fail)
    process = here.members[0].process
    if leaves:
        process.wait()
    here.end()
    assert process.returncode == (0 if leaves else -9)
    assert here.lost is None
