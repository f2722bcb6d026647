"""Invariance of the Red-Green network under shifts, and its violation by zero padding."""

import pytest
import torch

from thesisbench.layers.border import ConvertBorder, convert_border
from thesisbench.methods.kayhan.full_conv.red_green_net import TOTAL_STRIDE, RedGreenNet

SIZE, OBJECT = 48, 7


def _net(border, mode="zeros", *, strides=True):
    torch.manual_seed(0)
    net = RedGreenNet()
    assert ConvertBorder(border=border, pad_mode=mode)(net) == 4
    if not strides:
        for layer in net.features[::2]:
            layer.stride = (1, 1)
    return net.eval()


def _object_at(row, column, size=SIZE):
    image = torch.zeros(1, 3, size, size)
    generator = torch.Generator().manual_seed(1)
    image[..., row : row + OBJECT, column : column + OBJECT] = torch.randn(
        3, OBJECT, OBJECT, generator=generator
    )
    return image


def _spread(net, images):
    with torch.no_grad():
        logits = net(torch.cat(images))
    return float((logits - logits[:1]).abs().max())


def test_full_convolutions_of_stride_one_ignore_every_shift():
    last = 20 - OBJECT
    images = [_object_at(r, c, 20) for r in (0, 1, 5, last) for c in (0, 2, last)]
    assert _spread(_net("full", strides=False), images) < 1e-6


def test_full_convolutions_ignore_shifts_by_multiples_of_the_total_stride():
    starts = range(0, SIZE - OBJECT + 1, TOTAL_STRIDE)
    images = [_object_at(row, column) for row in starts for column in starts]
    assert _spread(_net("full"), images) < 1e-6


def test_full_convolutions_do_notice_other_shifts_when_strided():
    assert _spread(_net("full"), [_object_at(16, 16), _object_at(19, 16)]) > 1e-4


@pytest.mark.parametrize("shift", [(8, 0), (0, 16), (24, 40), (-8, 8)])
def test_circular_convolutions_ignore_cyclic_shifts_by_multiples_of_the_total_stride(shift):
    torch.manual_seed(2)
    image = torch.randn(1, 3, SIZE, SIZE)
    images = [image, image.roll(shift, (2, 3))]
    assert _spread(_net("same", "circular"), images) < 1e-6


def test_circular_convolutions_do_notice_cyclic_shifts_when_the_size_is_no_multiple():
    torch.manual_seed(2)
    image = torch.randn(1, 3, SIZE + 3, SIZE + 3)
    assert _spread(_net("same", "circular"), [image, image.roll(8, 2)]) > 1e-4


@pytest.mark.parametrize("border", ["same", "valid"])
def test_zero_same_and_valid_notice_an_object_at_the_border(border):
    images = [_object_at(0, 0), _object_at(24, 24), _object_at(40, 40)]
    assert _spread(_net(border), images) > 1e-4


def test_zero_same_ignores_shifts_far_from_the_border():
    """Control: the violation comes from the border alone (receptive field 17, stride 8)."""
    assert _spread(_net("same"), [_object_at(24, 24, 80), _object_at(40, 32, 80)]) < 1e-6


def test_sizes_grow_and_shrink_as_the_border_says():
    sizes = {}
    for border in ("valid", "same", "full"):
        x, heights = torch.zeros(1, 3, 32, 32), []
        for layer in _net(border).features:
            x = layer(x)
            heights.append(x.shape[-1])
        sizes[border] = heights[::2]
    assert sizes == {"valid": [30, 14, 6, 2], "same": [32, 16, 8, 4], "full": [34, 18, 10, 6]}


def test_parameters_are_those_of_the_thesis():
    net = RedGreenNet(classes=2)
    expected = 9 * (3 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 64 * 2 + 2
    assert sum(p.numel() for p in net.parameters()) == expected
    assert all(layer.bias is None for layer in net.features[::2])


def test_borders_share_weights_and_differ_in_their_output():
    torch.manual_seed(3)
    net, image = RedGreenNet(), _object_at(0, 0)
    with torch.no_grad():
        same = net(image)
        convert_border(net, border="full")
        assert not torch.allclose(same, net(image))
