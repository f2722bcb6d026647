"""Frozen features and padding as border, by what they do to outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.errors import UserError
from thesisbench.methods.kayhan.full_conv.location_nets import FirstPadding, FreezeFeatures


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 1)
        )
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc(self.features(x).amax((2, 3)))
        return out


def test_only_the_classifier_learns_and_statistics_still_follow_the_data() -> None:
    net = Net()
    assert FreezeFeatures()(net) == 3  # two convolutions and a normalisation
    before = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(net(torch.randn(4, 1, 6, 6)), torch.tensor([0, 1, 0, 1])).backward()
        optimizer.step()
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    statistics = {f"features.1.{n}" for n in ("running_mean", "running_var", "num_batches_tracked")}
    assert changed == {"fc.weight", "fc.bias"} | statistics


def test_a_network_without_a_linear_layer_cannot_be_frozen() -> None:
    with pytest.raises(ValueError, match="no linear layer"):
        FreezeFeatures()(nn.Sequential(nn.Conv2d(1, 1, 1)))


def test_padding_of_the_first_convolution_is_a_black_border_in_place_of_its_own() -> None:
    """As pixels: an unpadded first convolution on the image with a border of b black pixels."""
    torch.manual_seed(0)
    net, image = Net().eval(), torch.randn(2, 1, 7, 7)
    inner = net.features[1:]
    border = F.conv2d(F.pad(image, [5] * 4), net.features[0].weight, net.features[0].bias)
    wanted = net.fc(inner(border).amax((2, 3)))
    assert FirstPadding(padding=5)(net) == 1
    torch.testing.assert_close(net(image), wanted)


def test_padding_0_leaves_the_network_its_own() -> None:
    net, image = Net().eval(), torch.randn(2, 1, 7, 7)
    before = net(image)
    assert FirstPadding(padding=0)(net) == 1
    assert torch.equal(net(image), before)


def test_what_cannot_be_padded_is_refused() -> None:
    with pytest.raises(UserError, match="padding=-1"):
        FirstPadding(padding=-1)
    with pytest.raises(ValueError, match="no convolution"):
        FirstPadding(padding=1)(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="pads with circular"):
        FirstPadding(padding=1)(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"))
