"""The corner network: what it can and cannot tell apart."""

import pytest
import torch

from thesisbench.layers.border import convert_border
from thesisbench.methods.kayhan.full_conv.corner_net import CornerNet
from thesisbench.methods.kayhan.full_conv.corner_patch import corner_patch_splits


@pytest.fixture
def images():
    return corner_patch_splits(data_seed=0, n_train=2, n_val=2, n_test=40)["test"][0]


def _net(border, mode="zeros", **options):
    torch.manual_seed(0)
    net = CornerNet(filters=3, **options)
    convert_border(net, border=border, pad_mode=mode)
    return net


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("border", "mode"), [("full", "zeros"), ("same", "circular")])
def test_full_and_circular_give_both_corners_the_same_logits(images, border, mode, bias):
    with torch.no_grad():
        logits = _net(border, mode, bias=bias)(images)
    torch.testing.assert_close(logits[::2], logits[1::2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("border", ["same", "valid"])
def test_zero_same_and_valid_tell_the_corners_apart(images, border):
    with torch.no_grad():
        logits = _net(border)(images)
    assert (logits[::2] - logits[1::2]).abs().max() > 1e-3


def test_one_filter_answers_at_one_corner_only():
    """A filter whose single tap lies at its top-left reads pixels two rows and columns before it,
    so same padding never sees the last two rows and columns of the image."""
    net = CornerNet(bias=False)
    with torch.no_grad():
        net.conv.weight.zero_()
        net.conv.weight[..., 0, 0] = 1.0
        net.head.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        net.head.bias.zero_()
        image = torch.zeros(2, 1, 28, 28)
        image[0, 0, 0, 0] = 1.0
        image[1, 0, -1, -1] = 1.0
        assert net(image).tolist() == [[1.0, -1.0], [0.0, 0.0]]
