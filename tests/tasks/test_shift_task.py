"""Shift evaluation against separate passes, in shares, limited, and as a step of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_runs import HERE, allowed_parts, toy_config, toy_folder

from thesisbench.data.arrays import Loading, mix
from thesisbench.data.module import ArrayDataModule
from thesisbench.data.shares import Share
from thesisbench.errors import UserError
from thesisbench.instantiate import ALLOW_VARIABLE
from thesisbench.launch.jobs import DONE
from thesisbench.run import run_folder
from thesisbench.store.folder import RunFolder
from thesisbench.tasks import shifts
from thesisbench.tasks.shifts import ShiftTest, predict_windows

TEST = ShiftTest(split="wide", crop=8, shifts=4, pairs=3, max_shift=4)


class PaddedNet(nn.Module):
    """Padded convolutions: it answers otherwise when an image is shifted."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.head = nn.Linear(6 * 64, 3)
        self.seen: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(len(images))
        out: Tensor = self.head(self.body(images).flatten(1))
        return out


def images(n: int = 23, side: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(n, 1, side, side, generator=generator), torch.arange(n) % 3


def module(loading: Loading, **sizes: int) -> Any:
    data = ArrayDataModule("noise", lambda: {"wide": images(**sizes)})
    data.loading = loading
    return data


@torch.no_grad()
def separate_passes(network: nn.Module, size: int, offsets: range) -> Tensor:
    """Logits by a pass over the whole set for each offset, each with a loader of its own."""
    passes = []
    for t in offsets:
        loader = module(Loading(batch_size=size)).loader("wide")
        passes.append(torch.cat([network(x[..., t : t + 8, t : t + 8]) for (x,), _ in loader]))
    return torch.stack(passes, 1)


@pytest.mark.parametrize("size", [1, 5, 23, 64])
def test_it_equals_separate_passes_bit_for_bit(size: int) -> None:
    network = PaddedNet().eval()
    slow = separate_passes(network, size, range(5))
    _, labels = images()
    metrics, classes = TEST.measure(network, module(Loading(batch_size=size)), seed=7)
    assert torch.equal(classes, slow.argmax(2))
    right = classes == labels[:, None]
    assert metrics["shift_accuracy"] == pytest.approx(100 * right[:, :4].float().mean().item())
    assert metrics["centre_top1"] == pytest.approx(100 * right[:, 2].float().mean().item())
    probability = slow.double().softmax(2)[torch.arange(23), :, labels][:, :4].mean().item()
    assert metrics["shift_probability"] == pytest.approx(100 * probability)
    pairs = [
        (mix(7, 0, n, 2 * p) % 4 + 1, mix(7, 0, n, 2 * p + 1) % 4 + 1, n)
        for n in range(23)
        for p in range(3)
    ]
    agreed = [bool(classes[n, a] == classes[n, b]) for a, b, n in pairs]
    assert metrics["consistency"] == pytest.approx(100 * sum(agreed) / 69)
    assert 0 < sum(agreed) < 69, "the example shows something"


def test_logits_of_windows_are_those_of_separate_passes_bit_for_bit() -> None:
    network, (x, _) = PaddedNet().eval(), images()
    with torch.no_grad():
        found = predict_windows(network, x[:6], offsets=range(5), crop=8)
    assert torch.equal(found[:, 3], separate_passes(network, 6, range(5))[:6, 3])


def test_both_metrics_take_one_pass_an_offset() -> None:
    network = PaddedNet().eval()
    TEST.measure(network, module(Loading(batch_size=23)), seed=0)
    assert network.seen == [23] * 5


def test_a_limit_takes_the_first_batches() -> None:
    network = PaddedNet().eval()
    _, whole = TEST.measure(network, module(Loading(batch_size=4)), seed=0)
    metrics, few = TEST.measure(network, module(Loading(batch_size=4, limit=2)), seed=0)
    assert torch.equal(few, whole[:8])
    assert metrics["centre_top1"] == 100 * (few[:, 2] == torch.arange(8) % 3).float().mean()


@pytest.mark.parametrize(("size", "ranks", "limit"), [(5, 2, None), (7, 3, None), (22, 4, 1)])
def test_processes_count_each_image_once(
    size: int, ranks: int, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process's own counts, added up, are those of one."""
    monkeypatch.setattr(shifts, "gather", lambda rows, *_: rows)
    network, counts = PaddedNet().eval(), []
    for share in [Share(), *(Share(rank, ranks) for rank in range(ranks))]:
        data = module(Loading(batch_size=size, limit=limit, share=share))
        metrics, classes = TEST.measure(network, data, seed=3)
        n = len(classes)
        counts.append([n, *(n * metrics[k] for k in sorted(metrics))] if n else [0.0] * 5)
    one, *parts = torch.tensor(counts, dtype=torch.float64)
    torch.testing.assert_close(torch.stack(parts).sum(0), one, rtol=1e-6, atol=1e-9)


def test_images_that_are_too_small_or_too_large_are_said() -> None:
    with pytest.raises(UserError, match="8 pixels at offset 4 leaves images of 11x11"):
        TEST.measure(PaddedNet().eval(), module(Loading(batch_size=4), side=11), seed=0)
    with pytest.raises(UserError, match="no shift reaches the middle of the images, at offset 6"):
        TEST.measure(PaddedNet().eval(), module(Loading(batch_size=4), side=20), seed=0)


@pytest.fixture
def _allowed() -> Iterator[None]:
    with allowed_parts():
        yield


def digits_fit(root: Path) -> RunFolder:
    """A finished fit of a ResNet-8 on a few digits."""
    digits = {
        "_target_": "thesisbench.data.stand_ins.shifted_digits.shifted_digits_splits",
        "_partial_": True, "data_seed": 0, "per_class": 2, "n_val": 3,
    }  # fmt: skip
    dataset = {
        "_target_": "thesisbench.data.module.ArrayDataModule", "name": "digits", "splits": digits
    }  # fmt: skip
    backbone = {"_target_": "thesisbench.backbones.small_resnet.SmallResNet", "in_channels": 1}
    config = toy_config(
        dataset=dataset, backbone=backbone, schedule={"epochs": 1, "batch_size": 10}
    )
    fit = toy_folder(root, "fit", config)
    assert run_folder(fit.path) == DONE, fit.read_state()
    return fit


def shift_test(fit: RunFolder, name: str, **changes: Any) -> RunFolder:
    evaluation = {
        "_target_": "thesisbench.tasks.shifts.ShiftTest",
        "split": "wide", "crop": 32, "shifts": 16, "pairs": 5, "max_shift": 16,
    }  # fmt: skip
    config = {"kind": "eval", "seed": 1, "evaluation": evaluation, **changes}
    return toy_folder(fit.path.parent, name, config, weights=[fit.id])


def record_of(folder: RunFolder) -> dict[str, Any]:
    record = folder.read_record()
    assert record is not None, folder.read_state()
    return record


@pytest.mark.usefixtures("_allowed")
def test_as_a_step_it_records_metrics_predictions_and_counts(tmp_path: Path) -> None:
    folder = shift_test(digits_fit(tmp_path), "eval")
    assert run_folder(folder.path) == DONE, folder.read_state()
    record = record_of(folder)
    assert set(record["result"]["metrics"]) == {
        "shift_accuracy", "shift_probability", "consistency", "centre_top1"
    }  # fmt: skip
    assert all(0 <= value <= 100 for value in record["result"]["metrics"].values())
    assert record["provenance"]["facts"]["evaluated"] == {"wide": {"on": 30, "of": 30}}
    assert np.load(folder.predictions_dir / "wide.npy").shape == (30, 17)
    assert set(record["result"]["digests"]) == {"wide"}


@pytest.mark.slow
@pytest.mark.usefixtures("_allowed")
def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    fit = digits_fit(tmp_path)
    one = shift_test(fit, "one", schedule={"batch_size": 7})
    assert run_folder(one.path) == DONE, one.read_state()
    trainer = {"accelerator": "cpu", "devices": 2, "strategy": "ddp"}
    two = shift_test(fit, "two", schedule={"batch_size": 7}, trainer=trainer)
    command = [sys.executable, "-m", "thesisbench", "run", str(two.path)]
    allowed = {ALLOW_VARIABLE: "toy_parts", "PYTHONPATH": HERE, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env={**os.environ, **allowed}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = [record_of(folder)["result"] for folder in (one, two)]
    assert results[1]["metrics"] == pytest.approx(results[0]["metrics"], rel=1e-6)
    assert results[1]["digests"] == results[0]["digests"]
