"""HardNet: unit descriptors, the three heads, borders and what does not fit."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.backbones.hardnet import HardNet, normalise_patches
from thesisbench.errors import UserError
from thesisbench.layers.blur_pool import ConvertBlurPool
from thesisbench.layers.border import convert_border


def _patches(n=3, size=32):
    return torch.randn(n, 1, size, size, generator=torch.Generator().manual_seed(0))


def test_patches_are_normalised_one_by_one_and_flat_ones_become_zero():
    patches = _patches() * torch.tensor([1.0, 5, 0])[:, None, None, None] + 2
    normal = normalise_patches(patches)
    torch.testing.assert_close(normal.mean((1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(normal[:2].std((1, 2, 3)), torch.ones(2))
    assert torch.equal(normal[2], torch.zeros(1, 32, 32))


@torch.no_grad()
def test_hardnet_equals_its_layers_written_out():
    network = HardNet().eval()
    x = normalise_patches(_patches())
    convs = [m for m in network.features if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convs] == [32, 32, 64, 64, 128, 128, 128]
    for conv, stride in zip(convs[:-1], (1, 1, 2, 1, 2, 1), strict=True):
        x = F.relu(F.conv2d(x, conv.weight, stride=stride, padding=1) / (1 + 1e-5) ** 0.5)
    x = F.conv2d(x, convs[-1].weight).flatten(1)
    torch.testing.assert_close(network(_patches()), x / x.norm(dim=1, keepdim=True))


def test_weights_are_orthogonal_with_gain():
    network = HardNet(width=0.25)
    for conv in (m for m in network.features if isinstance(m, nn.Conv2d)):
        flat = conv.weight.detach().flatten(1)
        short = min(flat.shape)
        product = flat @ flat.T if len(flat) == short else flat.T @ flat
        torch.testing.assert_close(product, 0.36 * torch.eye(short), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("head", "border", "size"),
    [
        ("gap", "same", 128),
        ("gap", "full", 128),
        ("flatten", "same", 128),
        ("flatten", "full", 6272),
        ("kernel_match", "same", 128),
        ("kernel_match", "full", 128),
    ],
)
def test_descriptors_have_unit_length_and_their_size(head, border, size):
    network = HardNet(head=head, width=0.25, map_size=14 if border == "full" else 8).eval()
    assert convert_border(network, border=border) == 6
    y = network(_patches())
    assert y.shape == (3, size)
    torch.testing.assert_close(y.norm(dim=1), torch.ones(3))


@torch.no_grad()
def test_heads_agree_on_a_map_of_one_output():
    networks = [
        HardNet(head=head, width=0.25).eval() for head in ("gap", "flatten", "kernel_match")
    ]
    for network in networks[1:]:
        network.load_state_dict(networks[0].state_dict())
        torch.testing.assert_close(network(_patches()), networks[0](_patches()))


@torch.no_grad()
def test_gap_of_a_grown_map_is_the_mean_of_its_outputs():
    flat, mean = (HardNet(head=head, width=0.25).eval() for head in ("flatten", "gap"))
    mean.load_state_dict(flat.state_dict())
    for network in (flat, mean):
        convert_border(network, border="full")
    outputs = flat.features(normalise_patches(_patches()))
    assert outputs.shape == (3, 128, 7, 7)
    torch.testing.assert_close(mean(_patches()), F.normalize(outputs.mean((2, 3))))


def test_maps_that_do_not_fit_the_head_are_refused_in_one_line():
    network = HardNet(width=0.25).eval()
    convert_border(network, border="valid")
    with pytest.raises(UserError, match=r"3x3, smaller than its 8x8 head; use border same or full"):
        network(_patches())
    assert network(_patches(size=64)).shape == (3, 128)
    match = HardNet(head="kernel_match", width=0.25)
    convert_border(match, border="full")
    with pytest.raises(UserError, match=r"14x14; set backbone.map_size=14"):
        match(_patches())
    with pytest.raises(UserError, match=r"unknown head 'max'; valid: flatten, gap"):
        HardNet(head="max")


def test_blur_takes_both_strides_and_keeps_the_keys():
    network = HardNet(width=0.25)
    keys = list(network.state_dict())
    assert ConvertBlurPool()(network) == 2
    assert list(network.state_dict()) == keys
    assert network(_patches()).shape == (3, 128)
