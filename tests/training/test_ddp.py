"""Runs on two processes (gloo) give the numbers of one, and survive the loss of either.

Each run is a real `python -m thesisbench run FOLDER`, started as a launcher or a person does.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_runs import HERE, toy_config, toy_folder

from thesisbench.instantiate import ALLOW_VARIABLE
from thesisbench.store.folder import RunFolder

pytestmark = pytest.mark.slow

TWO = {"devices": 2, "strategy": "ddp"}
PLAIN = {"_target_": "torch.nn.Linear", "in_features": 4, "out_features": 2}
ODD = {"n": 25}  # four batches of 6 and one of 1, which two processes cannot share
TOP_ONE = {"_target_": "thesisbench.tasks.evaluate.TopOne", "splits": ["val", "test"]}


def environment(**more: str) -> dict[str, str]:
    allowed = {ALLOW_VARIABLE: "toy_parts,toy_callbacks", "PYTHONPATH": HERE}
    return {**os.environ, **allowed, "OMP_NUM_THREADS": "1", **more}


def start(folder: RunFolder, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "thesisbench", "run", str(folder.path)],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def execute(folder: RunFolder) -> tuple[int, str]:
    """Exit code and what was printed."""
    process = start(folder)
    out, _ = process.communicate(timeout=300)
    return process.returncode, out


def record_of(folder: RunFolder) -> dict[str, Any]:
    record = folder.read_record()
    assert record is not None, folder.read_state()
    return record


def lines(folder: RunFolder) -> list[dict[str, float]]:
    return [json.loads(line) for line in folder.metrics_file.read_text().splitlines()]


def fit(root: Path, name: str, **changes: Any) -> RunFolder:
    """A finished fit of a network without batch statistics on 25 samples."""
    given = {"backbone": PLAIN, "blobs": ODD, **changes}
    folder = toy_folder(root, name, toy_config(**given))
    code, out = execute(folder)
    assert code == 0, out
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def one(root: Path) -> RunFolder:
    return fit(root, "one")


@pytest.fixture(scope="module")
def two(root: Path) -> RunFolder:
    return fit(root, "two", trainer=TWO)


def check_same_curve(mine: RunFolder, theirs: RunFolder) -> None:
    curves = lines(mine), lines(theirs)
    assert len(curves[0]) == len(curves[1]) == 6
    for a, b in zip(*curves, strict=True):
        assert a == pytest.approx(b, rel=1e-5, abs=1e-6)


def test_two_processes_draw_the_curve_of_one(one: RunFolder, two: RunFolder) -> None:
    check_same_curve(two, one)
    results = [record_of(folder)["result"]["metrics"] for folder in (one, two)]
    assert results[1] == pytest.approx(results[0], rel=1e-6)
    facts = record_of(two)["provenance"]["facts"]
    assert facts["batching"] == {
        "batch_size": 6, "devices": 2, "accumulate": 1, "per_device": 3
    }  # fmt: skip
    assert "batching" not in record_of(one)["provenance"]["facts"]


@pytest.mark.parametrize(
    ("name", "schedule", "trainer"),
    [
        ("turns", {"accumulate": 3}, {}),
        ("turns_of_two", {"accumulate": 3}, TWO),
        ("small_parts", {"drop_last": True}, {**TWO, "max_per_device_batch": 1}),
    ],
)
def test_so_do_batches_done_in_turns(
    name: str, schedule: dict[str, Any], trainer: dict[str, Any], root: Path, one: RunFolder
) -> None:
    other = one
    if schedule.get("drop_last"):
        other = fit(root, f"{name}_whole", schedule=schedule)
    check_same_curve(fit(root, name, schedule=schedule, trainer=trainer), other)


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def test_two_machines_of_one_process_each_are_two_processes(root: Path, two: RunFolder) -> None:
    config = toy_config(backbone=PLAIN, blobs=ODD, trainer={"strategy": "ddp", "num_nodes": 2})
    folder = toy_folder(root, "machines", config)
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    both = [start(folder, NODE_RANK=str(n), **where) for n in (0, 1)]
    for process in both:
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, out
    assert lines(folder) == lines(two)
    assert record_of(folder)["result"] == record_of(two)["result"]


def test_an_evaluation_on_two_processes_is_that_of_one(root: Path, one: RunFolder) -> None:
    found = []
    for name, devices in (("test_one", 1), ("test_two", 2)):
        config = {"kind": "eval", "seed": 3, "evaluation": TOP_ONE, "trainer": {"devices": devices}}
        config["schedule"] = {"batch_size": 4}
        folder = toy_folder(root, name, config, weights=[one.id])
        code, out = execute(folder)
        assert code == 0, out
        found.append((folder, record_of(folder)))
    (alone, first), (shared, second) = found
    assert second["result"]["metrics"] == pytest.approx(first["result"]["metrics"], abs=1e-6)
    assert second["provenance"]["facts"]["evaluated"]["test"] == {"on": 25, "of": 25}
    for name in ("val", "test"):
        rows = [np.load(f.predictions_dir / f"{name}.npy") for f in (alone, shared)]
        assert rows[0].shape == (25, 2)
        np.testing.assert_allclose(rows[1], rows[0], rtol=1e-6, atol=1e-6)


def test_early_stopping_and_kept_weights_are_those_of_one(root: Path) -> None:
    schedule = {"patience": 2, "epochs": 30}
    blobs = {"n": 25, "noise": 3.0}
    ends = [
        record_of(fit(root, name, schedule=schedule, blobs=blobs, trainer=trainer))["result"]
        for name, trainer in (("stops", {}), ("stops_too", TWO))
    ]
    assert ends[1]["metrics"] == pytest.approx(ends[0]["metrics"], rel=1e-5)
    assert ends[0]["metrics"]["epochs"] < 30


# The loss of a rank. The reference has the same callback, which finds that all is done.


def ending(root: Path, name: str, rank: int, how: str) -> RunFolder:
    """A fit with batch statistics and dropout, in which a rank ends at the fourth epoch."""
    node = {"_target_": "toy_callbacks.EndRank", "done": str(root / f"{name}.done")}
    node |= {"rank": rank, "epoch": 3, "how": how}  # type: ignore[dict-item]
    config = toy_config(blobs={"n": 28}, trainer=TWO, callbacks={"end": node})
    return toy_folder(root, name, config)


@pytest.fixture(scope="module")
def whole(root: Path) -> RunFolder:
    folder = ending(root, "whole", 0, "kill")
    (root / "whole.done").touch()
    code, out = execute(folder)
    assert code == 0, out
    return folder


def others(folder: RunFolder) -> list[int]:
    """Processes that still work on a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder.path).encode() in words:
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize(
    ("rank", "how", "state", "message"),
    [
        (0, "kill", "interrupted", ""),
        (1, "kill", "interrupted", "rank 1 was ended by SIGKILL"),
        (1, "raise", "failed", "rank 1: ValueError: this rank has had enough"),
        (0, "raise", "failed", "ValueError: this rank has had enough"),
        (1, "leave", "failed", "rank 1: "),
    ],
)
def test_a_run_that_loses_a_rank_goes_on_where_it_was(
    rank: int, how: str, state: str, message: str, root: Path, whole: RunFolder
) -> None:
    folder = ending(root, f"{how}_{rank}", rank, how)
    code, out = execute(folder)
    assert code == (-9 if (rank, how) == (0, "kill") else 1), out
    assert folder.read_record() is None
    assert folder.state().name == state, out
    assert folder.state().message.startswith(message)
    wait_until_gone(folder)
    code, out = execute(folder)
    assert code == 0, out
    assert record_of(folder)["result"] == record_of(whole)["result"]
    assert lines(folder) == lines(whole)
    assert record_of(folder)["provenance"]["attempts"] == 2
    assert sorted(p.name for p in folder.path.glob("lease.*")) == ["lease.1", "lease.2"]


def wait_until_gone(folder: RunFolder) -> None:
    """Waits for the ranks of a dead run, which are no children of ours; they look every 0.25 s."""
    while alive := others(folder):
        for pid in alive:
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            with os.fdopen(descriptor) as file:
                assert select.select([file], [], [], 30)[0], f"process {pid} lives on"


def test_a_loss_of_rank_one_that_is_not_finite_diverges_the_run(root: Path) -> None:
    optimizer = {**toy_config()["optimizer"], "lr": 3e38, "weight_decay": 1e3}
    folder = fit(root, "diverges", optimizer=optimizer, trainer=TWO)
    assert record_of(folder)["result"]["outcome"] == "diverged"
    assert not others(folder)


@pytest.mark.parametrize(
    ("trainer", "text"),
    [
        ({"accelerator": "gpu", "devices": 2, "strategy": "ddp"}, "asks for 2 GPUs, this machine"),
        ({**TWO, "sync_batchnorm": True}, "trainer.sync_batchnorm=true works on GPUs only"),
        ({**TWO, "precision": "16-mixed"}, "precision=16-mixed needs a GPU"),
        ({"devices": 4, "strategy": "ddp"}, "schedule.batch_size=6 has no 4 equal parts"),
    ],
)
def test_devices_that_are_not_there_fail_with_one_line(
    trainer: dict[str, Any], text: str, root: Path
) -> None:
    folder = toy_folder(root, f"bad_{len(text)}", toy_config(trainer=trainer))
    code, out = execute(folder)
    assert code == 1
    assert text in folder.state().message
    assert "Traceback" not in out
    assert len(out.splitlines()) == 1, out
    assert not others(folder)
