"""BagNet: receptive field, unpadded sizes, both crops of the shortcut."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.backbones.bagnet import BagNet
from thesisbench.errors import UserError
from thesisbench.layers.border import convert_border

TINY = {
    "blocks": (1, 1, 1),
    "strides": (2, 2, 1),
    "wide": (True, True, False),
    "planes": (8, 16, 32),
    "stem_channels": 16,
    "classes": 2,
}
LEAN = {"planes": (4, 4, 4, 4), "stem_channels": 4, "classes": 2}  # BagNet-33 with few channels


def _maps(network, x):
    """The last map before the global pool."""
    found = []
    handle = network.avgpool.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    network(x)
    handle.remove()
    return found[0]


def _field(network, size):
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.1)
    x = torch.ones(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    maps = _maps(network.double().eval(), x)
    middle = maps.shape[-1] // 2
    (gradient,) = torch.autograd.grad(maps[0, :, middle, middle].sum(), x)
    rows = gradient[0].abs().sum((0, 2)).nonzero()
    return int(rows.max() - rows.min()) + 1


@pytest.mark.parametrize("crop", ["centre", "end"])
@pytest.mark.parametrize(("options", "field"), [(LEAN, 33), (TINY, 9)])
@pytest.mark.parametrize("border", [None, "full", "same"])
def test_an_output_sees_33_or_9_pixels_under_every_border(options, field, crop, border):
    network = BagNet(**options, crop=crop)
    if border:
        convert_border(network, border=border)
    assert _field(network, 96) == field


@pytest.mark.parametrize(
    ("border", "side"),
    # n - 2, then (n - 3) // 2 + 1 three times, then n - 2; grown: n + 2, (n + 1) // 2 + 1, n + 2
    [(None, 24), ("valid", 24), ("same", 28), ("full", 32)],
)
def test_maps_of_bagnet_33_have_the_computed_sizes(border, side):
    with torch.device("meta"):
        network = BagNet(**LEAN)
    if border:
        convert_border(network, border=border)
    maps = _maps(network, torch.zeros(1, 3, 224, 224, device="meta"))
    assert maps.shape == (1, 16, side, side)


@pytest.mark.parametrize(("crop", "cut"), [("centre", slice(1, -1)), ("end", slice(0, -2))])
@torch.no_grad()
def test_shortcuts_are_cropped_at_the_centre_or_at_the_end(crop, cut):
    torch.manual_seed(0)
    block = BagNet(**LEAN, crop=crop).eval().layer2[0]
    x = torch.randn(1, 16, 11, 12)
    y = F.relu(block.bn1(block.conv1(x)))
    y = block.bn2(F.conv2d(y, block.conv2.weight, stride=2))
    y = block.bn3(block.conv3(F.relu(y)))
    conv, norm = block.downsample
    shortcut = norm(F.conv2d(x[:, :, cut, cut], conv.weight, stride=2))
    torch.testing.assert_close(block(x), F.relu(y + shortcut))


def test_parameters_are_named_as_in_the_released_code():
    with torch.device("meta"):
        network = BagNet()
    keys = set(network.state_dict())
    assert {"conv2.weight", "layer4.2.bn3.bias", "layer1.0.downsample.0.weight", "fc.bias"} <= keys
    assert sum(p.numel() for p in network.parameters()) == 18_310_184
    assert network.layer4[1].conv2.kernel_size == (1, 1)


def test_unknown_crops_are_refused():
    with pytest.raises(UserError, match="unknown crop 'start'; valid: centre, end"):
        BagNet(crop="start")
