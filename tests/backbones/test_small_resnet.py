"""Small ResNets: the last pool as a mean, and as a sum that black around an object leaves alone."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.backbones.small_resnet import GlobalSum, SmallResNet
from thesisbench.errors import UserError


def test_divided_by_its_positions_the_sum_is_the_mean():
    maps = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    assert torch.allclose(GlobalSum(35)(maps), maps.mean((2, 3), keepdim=True), atol=1e-15)


def test_black_around_a_map_changes_the_mean_and_not_the_sum():
    maps = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    wide = F.pad(maps, (3, 3, 3, 3))
    assert torch.allclose(GlobalSum(16)(wide), GlobalSum(16)(maps), atol=1e-14)
    assert torch.allclose(wide.mean((2, 3)), maps.mean((2, 3)) * 16 / 100)


def test_a_network_with_the_positions_of_its_map_is_the_one_with_the_mean():
    torch.manual_seed(0)
    mean = SmallResNet(in_channels=1).double().eval()
    fixed = SmallResNet(in_channels=1, positions=49).double().eval()
    fixed.load_state_dict(mean.state_dict())
    images = torch.rand(3, 1, 28, 28, dtype=torch.float64)
    assert torch.allclose(mean(images), fixed(images), atol=1e-12)
    larger = torch.rand(3, 1, 40, 40, dtype=torch.float64)
    assert not torch.allclose(mean(larger), fixed(larger))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"positions": 0}, "positions=0 must be at least 1"),
        ({"positions": 9, "global_pool": "max"}, "positions=9 goes with global_pool=avg, not max"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, text):
    with pytest.raises(UserError, match=text):
        SmallResNet(**changes)
