"""The cost of border handling: FLOPs by hand, and times that belong to the right border."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from torch import nn

from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.instantiate import make
from thesisbench.methods.kayhan.full_conv import step_cost
from thesisbench.step import StepContext
from thesisbench.store.folder import RunFolder

CONV = {
    "_target_": "torch.nn.Sequential",
    "_args_": [
        {"_target_": "torch.nn.Conv2d", "in_channels": 2, "out_channels": 3, "kernel_size": 3},
        {"_target_": "torch.nn.AdaptiveAvgPool2d", "output_size": 1},
        {"_target_": "torch.nn.Flatten"},
    ],
}


def context(backbone: object, tmp_path: Path) -> StepContext:
    config = {"kind": "analytic", "seed": 0, "backbone": backbone}
    return StepContext(config=config, folder=RunFolder(tmp_path), attempt=tmp_path)


def test_flops_are_those_of_the_convolutions(tmp_path: Path) -> None:
    """2 FLOPs a tap, input channel and output value; forward and the gradient of the weights.

    The gradient of the image is not computed. Of 5x5 images, same keeps 25 positions, full 49.
    """
    metrics = step_cost.StepCost(batch=2, side=5, repetitions=1)(context(CONV, tmp_path))
    each = 2 * 9 * 2 * 3 * 2 / 1e9
    assert metrics == pytest.approx(
        {"gflops_same": 25 * each, "gflops_circular": 25 * each, "gflops_full": 49 * each}
    )


def test_ratios_are_of_neighbouring_steps_and_every_border_counts_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_cost.StepCost, "_step", _sleeping)
    told = context(CONV, tmp_path)
    step_cost.StepCost(batch=2, side=5, repetitions=3)(told)
    cost = told.result.cost
    assert cost["seconds_same"] == pytest.approx(0.02, rel=0.5)
    assert cost["full_over_same"] == pytest.approx(4, rel=0.3)
    assert cost["circular_over_same"] == pytest.approx(2, rel=0.3)
    assert told.result.metrics == {}, "times are cost, which need not repeat bit for bit"


def _sleeping(self: step_cost.StepCost, network: nn.Module, device: object) -> object:
    conv = network[0]  # type: ignore[index]
    seconds = 0.08 if conv.padding == (2, 2) else 0.04 if conv.padding_mode != "zeros" else 0.02
    return lambda: time.sleep(seconds)


def test_a_step_changes_the_weights(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    before = network[0].weight.clone()
    step_cost.StepCost(batch=2, side=5)._step(network, torch.device("cpu"))()
    assert not torch.equal(before, network[0].weight)


def test_a_gpu_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    told = context(CONV, tmp_path)
    told.config = {**told.config, "trainer": {"accelerator": "gpu"}}
    with pytest.raises(UserError, match=r"no GPU here .* trainer\.accelerator=cpu"):
        step_cost.StepCost()(told)


def test_the_recipe_measures_a_residual_network(tmp_path: Path) -> None:
    words = ["experiment=kayhan/full_conv/f_conv_cost", "backbone=resnet8"]
    config = Composer().compose([*words, "compute.side=16", "compute.repetitions=1"]).config
    told = StepContext(config=config, folder=RunFolder(tmp_path), attempt=tmp_path)
    metrics = make(config["compute"])(told)
    assert metrics["gflops_same"] == metrics["gflops_circular"]
    assert 1.5 < metrics["gflops_full"] / metrics["gflops_same"] < 4
    assert set(told.result.cost) == {
        *(f"seconds_{name}" for name in ("same", "circular", "full")),
        *("circular_over_same", "full_over_same"),
    }
