"""Losses that layers add to training: in every task, under their names, right in parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from toy_runs import HERE, allowed_parts, toy_config, toy_folder

from thesisbench.instantiate import ALLOW_VARIABLE
from thesisbench.layers.lift_pool import LiftDownPool2d
from thesisbench.ops.triplet import hardest_triplet_loss
from thesisbench.run import run_folder
from thesisbench.store.folder import RunFolder
from thesisbench.tasks.base import extra_losses
from thesisbench.tasks.classification import ClassificationTask
from thesisbench.tasks.matching import MatchingTask


@pytest.fixture(autouse=True, scope="module")
def _allowed() -> Iterator[None]:
    with allowed_parts():
        yield


class Decay(nn.Module):
    """Adds the mean square of what passes through, in training."""

    def __init__(self, name: str = "decay", weight: float = 1.0) -> None:
        super().__init__()
        self.name, self.weight = name, weight
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.last = self.weight * x.square().mean()
        return x

    def extra_losses(self) -> dict[str, Tensor]:
        return {} if self.last is None or not self.training else {self.name: self.last}


def logged(task: Any) -> dict[str, float]:
    """Makes a task tell what it logs."""
    said: dict[str, float] = {}
    task.log_dict = lambda values, **_: said.update({n: float(v) for n, v in values.items()})
    return said


def test_layers_are_summed_by_name() -> None:
    network = nn.Sequential(Decay("a", 2.0), nn.Sequential(Decay("a", 3.0), Decay("b", 5.0)))
    network(torch.tensor([2.0, 4.0]))
    assert extra_losses(network) == {"a": 50.0, "b": 50.0}
    assert extra_losses(network.eval()) == {}


def test_classification_adds_them_in_training_only() -> None:
    inputs, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 2, 0])
    task = ClassificationTask(nn.Sequential(Decay("a", 0.5), Decay("b", 2.0)))
    said = logged(task)
    loss = task.training_step(((inputs,), labels), 0)
    own, square = float(F.cross_entropy(inputs, labels)), float(inputs.square().mean())
    assert float(loss) == pytest.approx(own + 2.5 * square)
    assert said.pop("train_top1") >= 0
    assert said == pytest.approx(
        {"train_loss": own, "train_a": 0.5 * square, "train_b": 2 * square}
    )
    said.clear()
    task.eval()
    task.validation_step(((inputs,), labels), 0)
    assert set(said) == {"val_loss", "val_top1"}


def test_matching_adds_them() -> None:
    patches, points = torch.randn(8, 6), torch.arange(4)
    task = MatchingTask(Decay("a", 3.0))
    said = logged(task)
    loss = float(task.training_step(((patches,), points), 0))
    unit = F.normalize(patches)
    own = hardest_triplet_loss(unit[0::2], unit[1::2], points, margin=1.0, anchor_swap=True)
    assert loss == pytest.approx(float(own) + 3 * float(patches.square().mean()))
    assert said["train_a"] == pytest.approx(3 * float(patches.square().mean()))


def test_the_gradient_is_that_of_the_sum_and_reaches_no_log() -> None:
    layer = LiftDownPool2d(2, weight_u=0.3, weight_p=0.7)
    task = ClassificationTask(nn.Sequential(layer, nn.Flatten()))
    kept: list[Tensor] = []
    task.log_dict = lambda values, **_: kept.extend(values.values())  # type: ignore[assignment,method-assign]
    batch = ((torch.randn(3, 2, 4, 4),), torch.tensor([0, 1, 2]))
    found = torch.autograd.grad(task.training_step(batch, 0), list(layer.parameters()))
    own = F.cross_entropy(layer(*batch[0]).flatten(1), batch[1])
    total = own + layer.extra_losses()["lift_u"] + layer.extra_losses()["lift_p"]
    wanted = torch.autograd.grad(total, list(layer.parameters()))
    torch.testing.assert_close(found, wanted)
    assert not any(value.requires_grad for value in kept)


def test_without_such_layers_the_loss_is_the_same_tensor() -> None:
    task, loss = ClassificationTask(nn.Linear(2, 2)), torch.tensor(1.0)
    said = logged(task)
    assert task.with_extra_losses(loss, 3) is loss
    assert said == {}


def lifting_net() -> dict[str, Any]:
    """Four numbers, as a map of two channels and 5 x 6 pixels, pooled, to two logits."""
    layers = [
        {"_target_": "torch.nn.Linear", "in_features": 4, "out_features": 60},
        {"_target_": "torch.nn.Unflatten", "dim": 1, "unflattened_size": [2, 5, 6]},
        {"_target_": "thesisbench.layers.lift_pool.LiftDownPool2d", "channels": 2, "weight_p": 1.0},
        {"_target_": "torch.nn.Flatten"},
        {"_target_": "torch.nn.Linear", "in_features": 18, "out_features": 2},
    ]
    return {"_target_": "torch.nn.Sequential", "_args_": layers}


def prepared(root: Path, name: str, **changes: Any) -> RunFolder:
    """A folder of a fit on 25 samples: four batches of 6 and one of 1."""
    given = {"backbone": lifting_net(), "blobs": {"n": 25}, **changes}
    return toy_folder(root, name, toy_config(**given))


def curve(folder: RunFolder) -> list[dict[str, float]]:
    assert folder.read_record() is not None, folder.read_state()
    return [json.loads(line) for line in folder.metrics_file.read_text().splitlines()]


@pytest.mark.parametrize("turns", [2, 3])
def test_a_batch_in_parts_adds_what_the_whole_adds(turns: int, tmp_path: Path) -> None:
    schedule = {"epochs": 3, "select": "last"}
    whole = prepared(tmp_path, "whole", schedule=schedule)
    parts = prepared(tmp_path, "parts", schedule={**schedule, "accumulate": turns})
    for folder in (whole, parts):
        run_folder(folder.path)
    assert {"train_lift_u", "train_lift_p"} < set(curve(whole)[0])
    for a, b in zip(curve(whole), curve(parts), strict=True):
        assert b == pytest.approx(a, rel=1e-4, abs=1e-5)


def test_their_weights_change_what_is_trained(tmp_path: Path) -> None:
    backbone = lifting_net()
    backbone["_args_"][2] |= {"weight_u": 0.0, "weight_p": 0.0}
    folders = [prepared(tmp_path, "with"), prepared(tmp_path, "without", backbone=backbone)]
    for folder in folders:
        run_folder(folder.path)
    with_them, without = (curve(folder)[-1] for folder in folders)
    assert "train_lift_p" not in without
    assert abs(with_them["train_loss"] - without["train_loss"]) > 1e-4


@pytest.mark.slow
def test_two_processes_add_what_one_adds(tmp_path: Path) -> None:
    allowed = {ALLOW_VARIABLE: "toy_parts", "PYTHONPATH": HERE, "OMP_NUM_THREADS": "1"}
    schedule = {"epochs": 3, "select": "last"}
    one = prepared(tmp_path, "one", schedule=schedule)
    two = prepared(tmp_path, "two", schedule=schedule, trainer={"devices": 2, "strategy": "ddp"})
    for folder in (one, two):
        command = [sys.executable, "-m", "thesisbench", "run", str(folder.path)]
        subprocess.run(command, env={**os.environ, **allowed}, check=True, timeout=300)
    for a, b in zip(curve(one), curve(two), strict=True):
        assert b == pytest.approx(a, rel=1e-4, abs=1e-5)
