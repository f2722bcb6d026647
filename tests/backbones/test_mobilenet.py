"""MobileNet-V2: torchvision's network, with shortcuts that follow the border."""

import pytest
import torch
import torchvision
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.backbones.mobilenet import AlignedResidual, mobilenet_v2
from thesisbench.layers.border import convert_border
from thesisbench.weights.published import published


def test_it_has_the_keys_and_numbers_of_torchvision():
    torch.manual_seed(0)
    theirs = torchvision.models.mobilenet_v2(num_classes=7)
    torch.manual_seed(0)
    ours = mobilenet_v2(classes=7)
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    assert all(torch.equal(v, expected[k]) for k, v in ours.state_dict().items())
    x = torch.randn(2, 3, 40, 40)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize(("border", "padding"), [("full", 2), ("valid", 0), ("same", 1)])
@torch.no_grad()
def test_shortcuts_stay_on_the_positions_of_the_main_path(border, padding):
    torch.manual_seed(0)
    block = AlignedResidual(8, 8, 1, 2).eval()
    convert_border(block, border=border)
    expand, depthwise, point, norm = block.conv
    x = torch.randn(1, 8, 9, 10)
    maps = F.conv2d(expand(x), depthwise[0].weight, padding=padding, groups=16)
    maps = norm(point(depthwise[2](depthwise[1](maps))))
    shifted = torch.zeros_like(maps)
    at = padding - 1  # of the first pixel on the main path's grid
    for i in range(9):
        for j in range(10):
            if 0 <= i + at < maps.shape[2] and 0 <= j + at < maps.shape[3]:
                shifted[..., i + at, j + at] = x[..., i, j]
    torch.testing.assert_close(block(x), maps + shifted)


def test_other_widths_and_grey_images():
    with torch.device("meta"):
        small = mobilenet_v2(classes=5, in_channels=1, width=0.5)
    assert small(torch.zeros(2, 1, 64, 64, device="meta")).shape == (2, 5)
    assert small.features[0][0].out_channels == 16
    assert small.features[0][0].stride == (2, 2)


def test_its_weights_have_a_name():
    found = published("imagenet_mobilenet_v2_torchvision")
    assert found.file == "mobilenet_v2-b0353104.pth"
