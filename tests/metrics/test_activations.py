"""Figures of responses: invariants, hand-computed cases, a slow reference, nothing left changed."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.metrics.activations import (
    channel_drift,
    channel_skewness,
    channel_symmetry,
    dominant_share,
    kernel_of,
    layer_figures,
    weight_symmetry,
)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def slow_symmetry(values: list[float]) -> float:
    """The definition, at all steps of both functions and between them."""
    n, steps = len(values), sorted({*values, *(-v for v in values)})
    tries = steps + [(a + b) / 2 for a, b in pairwise(steps)]
    gaps = [abs(sum(v <= t for v in values) - sum(-v <= t for v in values)) / n for t in tries]
    return 1 - max(gaps)


@pytest.mark.parametrize("seed", range(4))
def test_symmetry_is_that_of_the_definition(seed: int) -> None:
    values = drawn(5, 13, seed=seed) + torch.arange(5)[:, None] / 3
    values = (2 * values).round() / 2  # many ties, zeros among them
    expected = [slow_symmetry(row) for row in values.tolist()]
    assert channel_symmetry(values).tolist() == pytest.approx(expected)


def test_symmetry_does_not_change_with_sign_scale_or_order() -> None:
    values = drawn(3, 50) + 0.4
    found = channel_symmetry(values)
    for other in (-values, 7 * values, values.flip(1)):
        torch.testing.assert_close(channel_symmetry(other), found)


def test_a_mirrored_sample_is_symmetric_and_one_sided_ones_are_not() -> None:
    half = drawn(2, 40).abs() + 0.01
    assert channel_symmetry(torch.cat([half, -half], 1)).tolist() == [1, 1]
    assert channel_symmetry(half).tolist() == pytest.approx([0, 0])
    assert channel_symmetry(torch.zeros(1, 5)).tolist() == [1]


def test_what_a_relu_leaves_is_half_symmetric() -> None:
    assert channel_symmetry(F.relu(drawn(1, 20000))).item() == pytest.approx(0.5, abs=0.02)


def test_a_shifted_gaussian_has_the_symmetry_of_its_mean() -> None:
    values = drawn(1, 200_000) + 0.5
    expected = 1 - math.erf(0.5 / math.sqrt(2))  # the functions differ most at zero
    assert channel_symmetry(values).item() == pytest.approx(expected, abs=0.005)


def test_drift_and_skewness_by_hand() -> None:
    values = torch.tensor([[0.0, 0.0, 0.0, 4.0], [2.0, 4.0, 2.0, 4.0]], dtype=torch.float64)
    assert channel_drift(values).tolist() == pytest.approx([1 / math.sqrt(3), 3])
    assert channel_skewness(values).tolist() == pytest.approx([2 / math.sqrt(3), 0])
    torch.testing.assert_close(channel_drift(-5 * values), channel_drift(values))
    torch.testing.assert_close(channel_skewness(-5 * values + 1), -channel_skewness(values))


def test_dominance_counts_positions_of_maps() -> None:
    maps = torch.zeros(2, 3, 2, 2)
    maps[0, 1] = 1  # four positions of channel 1
    maps[1, 2, 0] = 1  # two of channel 2; the other two fall to channel 0
    assert dominant_share(maps) == 50
    assert dominant_share(torch.eye(4)) == 25


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.9)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = F.relu(self.norm(self.conv(x)))
        return self.fc(self.drop(maps.mean((2, 3))))


def net() -> Net:
    torch.manual_seed(0)
    network = Net().double()
    network.norm.running_mean.fill_(0.5)
    network.norm.eval()
    return network


def test_layers_come_in_order_with_the_figures_of_their_outputs() -> None:
    network, x = net(), drawn(6, 2, 5, 5)
    conv, fc = layer_figures(network, x)
    assert [(f.name, f.channels) for f in (conv, fc)] == [("conv", 4), ("fc", 3)]
    values = network.conv(x).detach().transpose(0, 1).flatten(1)
    assert values.shape == (4, 6 * 25)
    assert conv.drift == pytest.approx(channel_drift(values).mean().item())
    assert conv.std == pytest.approx(values.std(correction=0).item())
    assert conv.symmetry == pytest.approx(channel_symmetry(values).mean().item())
    assert conv.skewness == pytest.approx(channel_skewness(values).abs().mean().item())
    assert conv.weight_symmetry == weight_symmetry(network.conv.weight)
    assert conv.constant == 0
    logits = network.eval()(x)
    assert fc.dominant == 100 * logits.argmax(1).bincount().max().item() / 6


def test_the_symmetry_of_a_large_map_is_told_from_all_of_its_columns() -> None:
    maps = drawn(64, 1, 16, 16)
    maps[..., 0] = maps[..., 0].abs()  # one column of 16 on one side of zero
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False)).double()
    (found,) = layer_figures(network, maps)
    assert found.symmetry is not None
    assert found.symmetry == pytest.approx(1 - 1 / 16, abs=0.03)


def test_the_network_is_left_as_it_was_found() -> None:
    network = net()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    modes = [m.training for m in network.modules()]
    for batch_statistics in (False, True):
        layer_figures(network, drawn(6, 2, 5, 5), batch_statistics=batch_statistics)
    assert [m.training for m in network.modules()] == modes
    assert list(network.state_dict()) == list(before)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not any(m._forward_hooks for m in network.modules())


def test_batch_statistics_are_those_of_training() -> None:
    network, x = net(), drawn(6, 2, 5, 5)
    seen = [layer_figures(network, x, batch_statistics=b)[1].std for b in (False, True)]
    normalised = F.relu(F.batch_norm(network.conv(x), None, None, training=True)).mean((2, 3))
    expected = network.fc(normalised).std(correction=0).item()
    assert seen[1] == pytest.approx(expected)
    assert seen[0] != pytest.approx(expected)


def test_constant_channels_are_counted_and_not_divided_by() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 1).double())
    with torch.no_grad():
        network[0].weight[:2] = 0
        network[0].bias.fill_(3)
    (found,) = layer_figures(network, drawn(8, 1, 3, 3))
    assert found.constant == 50
    assert found.drift is not None
    nn.init.zeros_(network[0].weight)
    (found,) = layer_figures(network, drawn(8, 1, 3, 3))
    assert (found.constant, found.drift, found.skewness, found.symmetry) == (100, None, None, 0)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_what_is_not_finite_is_none(value: float) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    nn.init.constant_(network[0].weight, value)
    (found,) = layer_figures(network, torch.ones(4, 2))
    assert (found.drift, found.symmetry, found.weight_symmetry) == (None, None, None)


def test_the_kernel_is_what_a_layer_computes_with() -> None:
    class Doubled(nn.Linear):
        def kernel(self) -> torch.Tensor:
            return 2 * self.weight

    layer = Doubled(3, 2)
    assert torch.equal(kernel_of(layer), 2 * layer.weight.detach())
