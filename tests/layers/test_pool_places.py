"""Where pools go: networks against slow references, parameter counts, borders in either order."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torchvision.models import densenet121, mobilenet_v2, resnet18, resnet50, vgg13_bn

from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.backbones.vgg import VGG
from thesisbench.layers.blur_pool import ConvertBlurPool
from thesisbench.layers.border import ConvertBorder
from thesisbench.layers.lift_pool import LiftDownPool2d
from thesisbench.layers.pool_places import ReplacePooling
from thesisbench.layers.pools.global_guided import GaussPool, GuidedPool
from thesisbench.layers.pools.max_average import GatedPool
from thesisbench.layers.pools.plain import AvgPool, MaxPool

PLACES = ["strides", "block_input", "block_output"]


def _network(make=resnet18, **options):
    torch.manual_seed(0)
    network = make(**options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, -0.2, 0.2)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
    return network.eval()


def _pooled(x):
    return F.avg_pool2d(x, 2, ceil_mode=True)


def _block(block, x, places):
    """A torchvision block, its pool put where a word says."""
    strided = block.stride > 1
    x = _pooled(x) if strided and places == "block_input" else x
    convs = [block.conv1, block.conv2, *([block.conv3] if hasattr(block, "conv3") else [])]
    norms = [block.bn1, block.bn2, *([block.bn3] if hasattr(block, "bn3") else [])]
    y = x
    for i, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
        y = norm(F.conv2d(y, conv.weight, padding=conv.weight.shape[-1] // 2))
        y = F.relu(y) if i < len(convs) - 1 else y
        if strided and places == "strides" and i == len(convs) - 2:
            y = _pooled(y)
    if block.downsample is not None:
        conv, norm = block.downsample
        x = norm(F.conv2d(_pooled(x) if strided and places == "strides" else x, conv.weight))
    y = F.relu(y + x)
    return _pooled(y) if strided and places == "block_output" else y


def _resnet(network, x, places):
    x = F.relu(network.bn1(F.conv2d(x, network.conv1.weight, stride=2, padding=3)))
    x = _pooled(x)
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        for block in stage:
            x = _block(block, x, places)
    return network.fc(x.mean((2, 3)))


@pytest.mark.parametrize("make", [resnet18, resnet50])
@pytest.mark.parametrize("places", PLACES)
@torch.no_grad()
def test_resnets_equal_a_slow_reference_with_the_same_weights(make, places):
    source = _network(make, num_classes=5)
    network = copy.deepcopy(source)
    assert ReplacePooling(factory=AvgPool, places=places)(network) == 7
    network.load_state_dict(source.state_dict(), strict=True)
    x = torch.randn(1, 3, 66, 71)
    torch.testing.assert_close(network(x), _resnet(source, x, places), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_mobilenet_pools_behind_each_strided_depthwise_convolution():
    source = _network(mobilenet_v2, num_classes=5)
    network = copy.deepcopy(source)
    assert ReplacePooling(factory=AvgPool)(network) == 4
    network.load_state_dict(source.state_dict(), strict=True)
    x = expected = torch.randn(1, 3, 70, 65)
    for layer in source.features:
        if getattr(layer, "stride", 1) == 2:
            *before, depthwise, pointwise, norm = layer.conv
            for part in before:
                expected = part(expected)
            conv, batch_norm, activation = depthwise
            groups = conv.weight.shape[0]
            expected = F.conv2d(expected, conv.weight, padding=1, groups=groups)
            expected = norm(pointwise(_pooled(activation(batch_norm(expected)))))
        else:
            expected = layer(expected)
    torch.testing.assert_close(network.features(x), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_vgg_has_other_pools_and_with_max_is_itself():
    source = _network(VGG, widths=((4, 4), (8,), (8, 8)))
    network = copy.deepcopy(source)
    assert ReplacePooling(factory=MaxPool)(network) == 3
    x = torch.randn(1, 3, 32, 64)
    assert torch.equal(network(x), source(x))
    other = copy.deepcopy(source)
    ReplacePooling(factory=AvgPool)(other)
    expected = x
    for layer in source.features:
        expected = _pooled(expected) if isinstance(layer, nn.MaxPool2d) else layer(expected)
    torch.testing.assert_close(other.features(x), expected)


def test_average_pools_of_a_densenet_are_replaced():
    with torch.device("meta"):
        network = densenet121(weights=None)
    assert ReplacePooling(factory=GatedPool)(network) == 4
    assert isinstance(network.features.transition1.pool, GatedPool)
    assert network(torch.zeros(2, 3, 64, 64, device="meta")).shape == (2, 1000)


def _count(pool, places):
    with torch.device("meta"):
        network = resnet50(weights=None)
    ReplacePooling(factory=pool, places=places)(network)
    return round(sum(p.numel() for p in network.parameters()) / 1e6, 2)


def test_resnet_50_has_the_parameters_that_the_thesis_prints():
    """25.557 M without; the places of each of the three printed counts are in the module's text."""
    assert _count(LiftDownPool2d, "block_input") == 25.58
    assert _count(GuidedPool, "block_output") == 31.08
    assert _count(GaussPool, "block_output") == 33.85


def test_other_places_have_the_other_counts_of_the_table():
    assert [_count(LiftDownPool2d, p) for p in PLACES] == [25.59, 25.58, 25.60]
    assert [_count(GuidedPool, p) for p in PLACES] == [27.29, 26.95, 31.08]
    assert [_count(GaussPool, p) for p in PLACES] == [28.16, 27.64, 33.85]


def _channels_that_pools_take(make, places):
    sizes = []

    def factory(channels):
        pool = AvgPool(channels)
        pool.register_forward_hook(lambda _, given, __: sizes.append((channels, given[0].shape[1])))
        return pool

    with torch.device("meta"):
        network = make(weights=None)
    ReplacePooling(factory=factory, places=places)(network)
    network(torch.zeros(2, 3, 64, 64, device="meta"))
    return sizes


@pytest.mark.parametrize("make", [resnet18, resnet50, mobilenet_v2, densenet121, vgg13_bn])
@pytest.mark.parametrize("places", PLACES)
def test_pools_are_made_for_the_channels_that_they_get(make, places):
    sizes = _channels_that_pools_take(make, places)
    assert len(sizes) >= 4
    assert all(asked == given for asked, given in sizes)


BORDERS = ["same", "circular", "reflect", "replicate", "full", "valid"]


def _border(name):
    plain = name in ("same", "full", "valid")
    return ConvertBorder(border=name) if plain else ConvertBorder(border="same", pad_mode=name)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("places", PLACES)
@torch.no_grad()
def test_border_and_pool_may_be_set_in_either_order(border, places):
    first, second = _network(SmallResNet), _network(SmallResNet)
    variants = [_border(border), ReplacePooling(factory=GatedPool, places=places)]
    counts = [variant(first) for variant in variants]
    assert [variant(second) for variant in reversed(variants)] == counts[::-1] == [4, 7]
    x = torch.randn(1, 3, 37, 40)
    assert torch.equal(first(x), second(x))


@torch.no_grad()
def test_full_convolutions_keep_both_paths_on_the_same_positions():
    """A dot moved by the stride of the network moves nothing but its place in zero surroundings."""
    network = _network(SmallResNet).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.bias)
            nn.init.zeros_(module.running_mean)
    for variant in (_border("full"), ReplacePooling(factory=AvgPool)):
        variant(network)
    x = torch.zeros(2, 3, 48, 48, dtype=torch.float64)
    x[0, :, 16, 20] = x[1, :, 24, 28] = 1
    a, b = network.layer3(network.layer2(network.layer1(network.conv1(x))))
    rows, columns = ((a != 0).any(0)).nonzero().T
    there = slice(rows.min() + 2, rows.max() + 3), slice(columns.min() + 2, columns.max() + 3)
    here = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    torch.testing.assert_close(a[:, here[0], here[1]], b[:, there[0], there[1]])


@pytest.mark.parametrize("places", PLACES)
def test_parameters_and_keys_of_the_network_stay(places):
    network = _network()
    before = dict(network.named_parameters())
    ReplacePooling(factory=GatedPool, places=places)(network)
    after = dict(network.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())
    new = after.keys() - before.keys()
    assert len(new) == (7 if places == "strides" else 4)
    pools = [name for name, m in network.named_modules() if getattr(m, "starts_anew", False)]
    assert all(name.startswith(tuple(pools)) for name in new)


def test_pools_that_know_their_channels_are_asked():
    network = nn.ModuleDict({"convs": nn.Conv2d(3, 8, 1), "pools": nn.MaxPool2d(2)})
    network["pools"].channels = 5
    asked = []
    ReplacePooling(factory=lambda channels: asked.append(channels) or MaxPool(channels))(network)
    assert asked == [5]
    assert network["pools"].channels == 5


def test_pools_follow_type_and_mode_of_the_network_and_are_copied_with_it():
    network = SmallResNet().double().eval()
    ReplacePooling(factory=GaussPool, places="block_output")(network)
    assert not any(module.training for module in network.modules())
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    copied = copy.deepcopy(network)
    assert torch.equal(copied(x), network(x))
    assert not {id(p) for p in copied.parameters()} & {id(p) for p in network.parameters()}


def test_convolutions_of_a_pool_keep_their_border():
    class ConvPool(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

        def forward(self, x):
            return self.conv(x)

    network = SmallResNet()
    ReplacePooling(factory=ConvPool)(network)
    assert _border("full")(network) == 7
    pools = [m for m in network.modules() if isinstance(m, ConvPool)]
    assert [pool.conv.padding for pool in pools] == [(1, 1)] * 4


class _Alone(nn.Module):
    """A residual block in no sequence."""

    def __init__(self):
        super().__init__()
        network = SmallResNet()
        self.conv, self.only = nn.Conv2d(3, 16, 1), network.layer2[0]

    def forward(self, x):
        return self.only(self.conv(x))


@pytest.mark.parametrize(
    ("network", "places", "message"),
    [
        (nn.Sequential(nn.MaxPool2d(2)), "strides", "'0' comes first"),
        (nn.Sequential(nn.Conv2d(1, 1, 1), nn.MaxPool2d(3)), "strides", "'1' has stride 3"),
        (
            nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3, stride=2)),
            "strides",
            "no activation",
        ),
        (_Alone(), "block_input", "'only' is in no sequence"),
    ],
)
def test_places_that_fit_no_pool_are_refused_by_name_and_nothing_changes(network, places, message):
    before = repr(network)
    with pytest.raises(ValueError, match=message):
        ReplacePooling(factory=AvgPool, places=places)(network)
    assert repr(network) == before


@pytest.mark.parametrize("first", [ConvertBlurPool(), ReplacePooling(factory=AvgPool)])
def test_a_second_pool_is_refused(first):
    network = SmallResNet()
    first(network)
    with pytest.raises(ValueError, match="replaced already"):
        ReplacePooling(factory=AvgPool)(network)


def test_unknown_places_are_refused_and_a_net_without_strides_reports_zero():
    with pytest.raises(ValueError, match="unknown places 'stem'; valid: strides, block_input"):
        ReplacePooling(factory=AvgPool, places="stem")
    assert ReplacePooling(factory=AvgPool)(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())) == 0
