"""The random network before training: what theory says of its drift and spread, with each drop-in.

References of the test's own: WeightAlign in three lines, and the arc-cosine kernel of Cho and Saul
(2009), which says how two inputs come to resemble each other in a wide ReLU network.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.methods.liu.weight_align.random_figures import RandomFigures
from thesisbench.methods.liu.weight_align.random_net import RandomNet
from thesisbench.metrics.activations import LayerFigures, layer_figures
from thesisbench.step import StepContext
from thesisbench.store.folder import RunFolder

NETS, WIDTH = 20, 128
KEPT = math.sqrt(1 - 1 / math.pi)  # standard deviation that a layer of aligned filters keeps


def without_norm(channels: int) -> nn.Module:
    del channels
    return nn.Identity()


def align(network: nn.Module, gamma: float) -> None:
    """Eq. 5.10 on all filters but those of the classifier."""
    for conv in network.features:
        if isinstance(conv, nn.Conv2d):
            w = conv.weight.flatten(1)
            w = w - w.mean(1, keepdim=True)
            w = gamma * w / (w.shape[1] / 2 * w.var(1, correction=0, keepdim=True)).sqrt()
            conv.weight.data = w.reshape(conv.weight.shape).detach()


@cache
def nets(gamma: float | None) -> list[list[LayerFigures]]:
    """Figures of networks of dense layers on a batch of 128 inputs; gamma None: not aligned."""
    found = []
    for seed in range(NETS):
        torch.manual_seed(seed)
        shape = {"width": WIDTH, "kernel": 1, "in_channels": WIDTH}
        network = RandomNet(**shape, norm=without_norm)
        if gamma is not None:
            align(network, gamma)
        found.append(layer_figures(network, torch.randn(128, WIDTH, 1, 1)))
    return found


def mean_and_error(gamma: float | None, figure: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean over networks of a figure of each layer, and its standard error."""
    values = np.array([[getattr(layer, figure) for layer in net] for net in nets(gamma)])
    return values.mean(0), values.std(0, ddof=1) / math.sqrt(NETS)


def resemblance(depth: int) -> list[float]:
    """Correlation of the responses to two unlike inputs in each layer of a wide network."""
    rho = [0.0]
    for _ in range(depth - 1):
        r = rho[-1]
        rho.append((math.sqrt(1 - r * r) + r * (math.pi - math.acos(r))) / math.pi)
    return rho


@pytest.mark.parametrize("gamma", [1.0, 1 / KEPT])
def test_an_aligned_network_keeps_the_spread_of_the_derivation(gamma: float) -> None:
    mean, error = mean_and_error(gamma, "std")
    expected = gamma * math.sqrt(2) * (gamma * KEPT) ** np.arange(7)
    assert (abs(mean[:7] - expected) < 4 * error[:7] + 0.01 * expected * np.arange(7)).all()
    assert (mean[1:7] > 1.3).all() == (gamma > 1), "gamma = 1.21 keeps it, gamma = 1 does not"


def test_an_aligned_network_has_no_drift_but_that_of_a_small_sample() -> None:
    mean, error = mean_and_error(1.0, "drift")
    chance = math.sqrt(2 / math.pi / 128)  # mean size of the mean of 128 values
    assert mean[0] == pytest.approx(chance, abs=4 * error[0])
    assert (mean[:7] < 1.5 * chance).all()


def test_without_alignment_channels_drift_as_the_arc_cosine_kernel_says() -> None:
    mean, error = mean_and_error(None, "drift")
    rho = np.array(resemblance(7))
    expected = math.sqrt(2 / math.pi) * np.sqrt((rho + 1 / 128) / (1 - rho))
    assert (abs(mean[:7] - expected) < 4 * error[:7] + 0.04 * expected).all()
    assert (np.diff(mean[:7]) > 0).all()
    spread, error = mean_and_error(None, "std")
    assert (abs(spread[:7] - math.sqrt(2)) < 4 * error[:7] + 0.04).all()


def test_one_class_dominates_without_alignment_and_less_with_it() -> None:
    (plain, plain_error), (aligned, aligned_error) = (
        tuple(part[-1] for part in mean_and_error(gamma, "dominant")) for gamma in (None, 1.0)
    )
    assert plain - aligned > 3 * math.hypot(plain_error, aligned_error)
    assert plain > 50
    assert aligned < 40


def test_the_network_is_that_of_the_section() -> None:
    network = RandomNet(width=8, classes=5)
    assert len([m for m in network.modules() if isinstance(m, nn.Conv2d)]) == 8
    assert not any(m.bias is not None for m in network.modules() if isinstance(m, nn.Conv2d))
    assert network(torch.zeros(2, 3, 9, 9)).shape == (2, 5)
    with pytest.raises(UserError, match="kernel=4 must be odd"):
        RandomNet(kernel=4)


def test_the_output_is_a_linear_layer_behind_a_global_mean() -> None:
    torch.manual_seed(0)
    network, x = RandomNet(width=6, depth=2).double(), torch.randn(3, 3, 5, 5).double()
    pooled = network.features(x).mean((2, 3))
    torch.testing.assert_close(network(x), pooled @ network.classifier.weight[:, :, 0, 0].T)


def figures(tmp_path: Path, *words: str, **arguments: object) -> dict[str, float]:
    given = ["kind=analytic", "backbone=random_net", "backbone.width=16", *words]
    config = Composer().compose([*given, "compute=random_figures", "seed=3"]).config
    context = StepContext(config=config, folder=RunFolder(tmp_path), attempt=tmp_path)
    small = {"nets": 3, "batch": 16, "side": 6}
    return RandomFigures(**(small | arguments))(context)  # type: ignore[arg-type]


LAYERS = ("1", "3", "7", "classifier")


def test_the_step_measures_the_backbone_with_its_drop_ins(tmp_path: Path) -> None:
    plain = figures(tmp_path, "norm=without")
    names = {"drift", "std", "skewness", "symmetry", "weight_symmetry", "dominant"}
    expected = {f"{name}_{layer}" for name in names for layer in LAYERS}
    assert set(plain) == expected | {"drift_hidden", "std_ratio", "dominant_class"}
    assert all(map(math.isfinite, plain.values()))
    assert figures(tmp_path, "norm=without") == plain, "a function of the seed"
    aligned = figures(tmp_path, "norm=without", "weight=align")
    assert aligned["drift_hidden"] < 0.5 * plain["drift_hidden"]
    assert aligned["std_ratio"] == pytest.approx(KEPT, abs=0.08)


@pytest.mark.parametrize("norm", ["none", "batch", "group", "layer", "instance"])
def test_behind_a_normalisation_the_spread_is_one(norm: str, tmp_path: Path) -> None:
    words = [f"norm={norm}"] + (["variants.norm.groups=4"] if norm == "group" else [])
    found = figures(tmp_path, *words, "backbone.kernel=1", nets=6)  # 1x1: no zeros at borders
    for layer in ("3", "7"):  # n filters of variance 2/n on y = ReLU(z), E[y^2] = Var[z] / 2
        assert found[f"std_{layer}"] == pytest.approx(1, abs=0.15)


def test_batch_normalisation_takes_the_statistics_of_the_batch(tmp_path: Path) -> None:
    found = figures(tmp_path, nets=1)
    kept = figures(tmp_path, "norm=without", nets=1)
    assert found["drift_1"] == kept["drift_1"], "layer 1 is seen before it is normalised"
    assert abs(found["std_7"] - kept["std_7"]) > 1e-3


def test_a_layer_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no layer 8; there are 7 before the classifier"):
        figures(tmp_path, layers=(1, 8))
