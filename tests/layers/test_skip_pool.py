"""Strides in place of pools: which convolution gets them, and what is refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.backbones.vgg import VGG
from thesisbench.layers.skip_pool import StridesForPools


@torch.no_grad()
def test_the_convolution_before_each_pool_takes_its_stride():
    torch.manual_seed(0)
    network = VGG(widths=((4, 5), (6,)), classes=3).eval()
    keys = list(network.state_dict())
    x = torch.randn(1, 3, 11, 14)
    a, b, c = (m for m in network.features if isinstance(m, nn.Conv2d))
    norms = [m.eval() for m in network.features if isinstance(m, nn.BatchNorm2d)]
    assert StridesForPools()(network) == 2
    assert list(network.state_dict()) == keys
    expected = x
    for conv, norm, stride in zip((a, b, c), norms, (1, 2, 2), strict=True):
        maps = F.conv2d(expected, conv.weight, conv.bias, stride=stride, padding=1)
        expected = F.relu(norm(maps))
    torch.testing.assert_close(network.features(x), expected)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.MaxPool2d(2)],
        [nn.Conv2d(1, 1, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(1, 1, 3), nn.MaxPool2d(2), nn.ReLU(), nn.MaxPool2d(2)],
    ],
)
def test_pools_without_a_convolution_to_take_their_stride_are_refused(layers):
    network = nn.Sequential(*layers)
    before = repr(network)
    with pytest.raises(ValueError, match="comes right before pool"):
        StridesForPools()(network)
    assert repr(network) == before


def test_networks_without_pools_report_zero():
    assert StridesForPools()(SmallResNet()) == 0
