"""Residual networks with other borders: sizes, slow references, invariances, refusals."""

import copy

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torchvision.models import densenet121, resnet18, resnet50
from torchvision.models.video import r2plus1d_18, r3d_18

from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.layers.border import convert_border
from thesisbench.layers.residual_border import PadShortcut
from thesisbench.ops.border import PAD_MODES

STAGES = ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4")


def _on_meta(make, **options):
    with torch.device("meta"):
        return make(**options)


def _sizes(network, size):
    x = torch.zeros(1, 3, size, size, device="meta")
    sizes = [size]
    for name in STAGES:
        x = network.get_submodule(name)(x)
        sizes.append(x.shape[-1])
    return sizes


@pytest.mark.parametrize("library", ["torchvision", "timm"])
@pytest.mark.parametrize(
    ("depth", "full"),
    [(18, [224, 115, 57, 65, 40, 27, 21]), (50, [224, 115, 57, 63, 39, 31, 21])],
)
def test_maps_of_full_resnets_have_the_published_sizes(library, depth, full):
    make = {18: resnet18, 50: resnet50}[depth]
    if library == "torchvision":
        network = _on_meta(make, weights=None)
    else:
        network = _on_meta(timm.create_model, model_name=f"resnet{depth}")
    same = [224, 112, 56, 56, 28, 14, 7]
    assert _sizes(network, 224) == same
    convert_border(network, border="full")
    assert _sizes(network, 224) == full
    convert_border(network, border="same")
    assert _sizes(network, 224) == same


def test_valid_resnets_crop_their_shortcuts_until_the_map_is_used_up():
    network = _on_meta(resnet50, weights=None)
    convert_border(network, border="valid")
    # 317, 158; 3 blocks of -2; then (n-1)//2 and -2 a block
    assert _sizes(network, 640) == [640, 317, 158, 152, 69, 24, 7]


@pytest.mark.parametrize("make", [r3d_18, r2plus1d_18])
def test_video_networks_grow_in_space_alone_where_time_is_same(make):
    network = _on_meta(make, weights=None)
    convert_border(network, border="full", temporal_border="same")
    x = network.stem(torch.zeros(1, 3, 16, 56, 56, device="meta"))
    sizes = [tuple(x.shape[2:])]
    for name in STAGES[2:]:
        x = network.get_submodule(name)(x)
        sizes.append(tuple(x.shape[2:]))
    # stem (56+12-7)//2+1; stage 1: two blocks of +4; then (n+1)//2+3 and +4
    assert sizes == [(16, 31, 31), (16, 39, 39), (8, 27, 27), (4, 21, 21), (2, 18, 18)]
    convert_border(network, border="full")
    assert network.layer1(torch.zeros(1, 64, 16, 31, 31, device="meta")).shape[2:] == (24, 39, 39)


def _trained_looking(network):
    """A network in evaluation whose normalisations do something."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.2 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
            nn.init.uniform_(module.bias, -0.2, 0.2, generator=generator)
    return network.eval()


def _network(make, **options):
    torch.manual_seed(0)
    return _trained_looking(make(**options))


def _padded(x, amount, conv):
    """An unpadded convolution of an input that is padded in plain sight."""
    return F.conv2d(F.pad(x, (amount,) * 4), conv.weight, stride=conv.stride)


def _full_block(block, x):
    """A block with full convolutions, shortcut paddings typed from the released code."""
    strided = block.stride > 1
    if hasattr(block, "conv3"):
        y = F.relu(block.bn1(_padded(x, 0, block.conv1)))
        y = F.relu(block.bn2(_padded(y, 2, block.conv2)))
        y, around = block.bn3(_padded(y, 0, block.conv3)), 1
    else:
        y = F.relu(block.bn1(_padded(x, 2, block.conv1)))
        y, around = block.bn2(_padded(y, 2, block.conv2)), 3 if strided else 2
    shortcut = F.pad(x, (around,) * 4)
    if block.downsample is not None:
        conv, norm = block.downsample
        shortcut = norm(F.conv2d(shortcut, conv.weight, stride=conv.stride))
    return F.relu(y + shortcut)


def _full_resnet(network, x):
    x = F.max_pool2d(F.relu(network.bn1(_padded(x, 6, network.conv1))), 2)
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        for block in stage:
            x = _full_block(block, x)
    return network.fc(x.mean((2, 3)))


@pytest.mark.parametrize("make", [resnet18, resnet50])
@torch.no_grad()
def test_full_resnet_equals_a_slow_reference_with_the_same_weights(make):
    source = _network(make, weights=None, num_classes=5)
    network = make(weights=None, num_classes=5).eval()
    convert_border(network, border="full")
    network.load_state_dict(source.state_dict(), strict=True)
    x = torch.randn(2, 3, 41, 38)
    torch.testing.assert_close(network(x), _full_resnet(source, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [resnet18, resnet50])
@torch.no_grad()
def test_same_resnet_is_the_one_of_torchvision_bit_by_bit_also_after_a_detour(make):
    network = _network(make, weights=None, num_classes=5)
    x = torch.randn(2, 3, 40, 40)
    expected = network(x)
    convert_border(network, border="same")
    assert torch.equal(network(x), expected)
    convert_border(network, border="full")
    convert_border(network, border="valid")
    convert_border(network, border="same")
    assert torch.equal(network(x), expected)


@pytest.mark.parametrize("mode", PAD_MODES)
@torch.no_grad()
def test_pad_modes_change_what_same_convolutions_see_and_no_shortcut(mode):
    source = _network(SmallResNet)
    network = copy.deepcopy(source)
    convert_border(network, border="same", pad_mode=mode)
    assert not any(isinstance(m, PadShortcut) for m in network.modules())
    x = torch.randn(2, 3, 12, 12)
    fill = "constant" if mode == "zeros" else mode

    def conv(x, layer):
        return F.conv2d(F.pad(x, (1,) * 4, mode=fill), layer.weight, stride=layer.stride)

    y = F.relu(source.bn1(conv(x, source.conv1)))
    for block in (source.layer1[0], source.layer2[0], source.layer3[0]):
        shortcut = y if block.downsample is None else block.downsample(y)
        inner = F.relu(block.bn1(conv(y, block.conv1)))
        y = F.relu(block.bn2(conv(inner, block.conv2)) + shortcut)
    expected = source.fc(y.mean((2, 3)))
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_valid_blocks_add_the_centre_of_their_input():
    network = _network(SmallResNet)
    block = network.layer3[0]
    plain = copy.deepcopy(block)
    convert_border(network, border="valid")
    x = torch.randn(1, 32, 12, 13)
    y = F.relu(plain.bn1(_padded(x, 0, plain.conv1)))
    y = plain.bn2(_padded(y, 0, plain.conv2))
    conv, norm = plain.downsample
    expected = F.relu(y + norm(F.conv2d(x[:, :, 3:-3, 3:-3], conv.weight, stride=2)))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("border", ["full", "valid"])
@pytest.mark.parametrize("make", [resnet18, resnet50, lambda: timm.create_model("resnet26")])
def test_parameters_and_keys_stay_and_weights_load_across(border, make):
    network = _on_meta(make)
    keys, parameters = list(network.state_dict()), dict(network.named_parameters())
    convert_border(network, border=border)
    assert list(network.state_dict()) == keys
    assert all(p is parameters[name] for name, p in network.named_parameters())
    assert [n for n, _ in network.named_parameters()] == list(parameters)


def _object_at(top, left, size=40):
    image = torch.zeros(1, 3, size, size)
    shape = torch.rand(3, 7, 6, generator=torch.Generator().manual_seed(3))
    image[0, :, top : top + 7, left : left + 6] = shape
    return image


def _change(network, first, second):
    """Change of the logits, relative to their size."""
    return ((network(first) - network(second)).norm() / network(first).norm()).item()


def _pooled(kind, border):
    """ResNet-8 as initialised: its normalisations map zero to zero in evaluation."""
    torch.manual_seed(0)
    network = SmallResNet(global_pool=kind, classes=4).eval()
    convert_border(network, border=border)
    return network


@pytest.mark.parametrize("kind", ["max", "avg"])
@torch.no_grad()
def test_full_resnet_is_invariant_to_shifts_by_multiples_of_its_stride(kind):
    network = _pooled(kind, "full")
    corner = _object_at(0, 0)
    for top, left in ((4, 0), (0, 32), (16, 8), (32, 32)):
        assert _change(network, corner, _object_at(top, left)) < 1e-5
    assert _change(network, corner, _object_at(1, 2)) > 1e-3  # not a multiple of the stride


@pytest.mark.parametrize("border", ["same", "valid"])
@torch.no_grad()
def test_same_and_valid_resnets_see_the_border(border):
    network = _pooled("max", border)
    assert _change(network, _object_at(0, 0), _object_at(16, 16)) > 1e-2


@torch.no_grad()
def test_full_imagenet_resnet_is_invariant_to_shifts_by_its_stride():
    torch.manual_seed(0)
    network = resnet18(weights=None, num_classes=4).eval()
    first, second = (F.pad(_object_at(0, 0), (16 + t, 72 - t, 16, 72)) for t in (0, 32))
    assert _change(network, first, second) > 1e-3
    convert_border(network, border="full")
    assert _change(network, first, second) < 1e-5


@torch.no_grad()
def test_full_stages_commute_with_translation_on_the_enlarged_canvas():
    network = _pooled("max", "full")
    stages = nn.Sequential(network.conv1, network.layer1, network.layer2, network.layer3)
    here, there = stages(_object_at(4, 8)), stages(_object_at(12, 28))
    torch.testing.assert_close(there, here.roll((2, 5), (2, 3)), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_full_breaks_invariance_less_than_same_where_normalisation_shifts_zero():
    change = {}
    for border in ("same", "full"):
        network = _network(SmallResNet, global_pool="max", classes=4)
        convert_border(network, border=border)
        moves = ((16, 16), (32, 0), (0, 32), (32, 32))
        change[border] = sum(_change(network, _object_at(0, 0), _object_at(*m)) for m in moves)
    assert 0 < change["full"] < 0.7 * change["same"]


@torch.no_grad()
def test_circular_resnet_is_invariant_to_cyclic_shifts_by_its_stride():
    network = _network(SmallResNet, classes=4)
    convert_border(network, border="same", pad_mode="circular")
    x = torch.randn(2, 3, 24, 32)
    for shift in ((4, 0), (0, 8), (12, 20)):
        assert _change(network, x, x.roll(shift, (2, 3))) < 1e-5
    assert _change(network, x, x.roll((1, 0), (2, 3))) > 1e-4
    convert_border(network, border="same")
    assert _change(network, x, x.roll((4, 0), (2, 3))) > 1e-4


@pytest.mark.parametrize("border", ["full", "valid"])
def test_dense_blocks_are_refused_with_the_reason_and_left_alone(border):
    network = _on_meta(densenet121, weights=None)
    with pytest.raises(ValueError, match=r"'features.denseblock1' concatenates maps"):
        convert_border(network, border=border)
    assert network.features.conv0.padding == (3, 3)
    assert convert_border(network, border="same", pad_mode="circular") > 0


def test_shortcuts_that_no_padding_aligns_are_refused_by_name_and_nothing_changes():
    network = _on_meta(timm.create_model, model_name="resnet26d")  # averages 2x2 in the shortcut
    with pytest.raises(ValueError, match=r"residual block 'layer2.0': .*half a position"):
        convert_border(network, border="full")
    assert network.conv1[0].padding == (1, 1)
    assert convert_border(network, border="same", pad_mode="circular") > 0


def test_attention_over_positions_is_refused():
    network = _on_meta(timm.create_model, model_name="ecaresnet26t")
    with pytest.raises(ValueError, match="attention"):
        convert_border(network, border="full")


def test_pad_shortcut_pads_and_crops_each_axis():
    x = torch.arange(1.0, 13.0).reshape(1, 1, 3, 4)
    assert torch.equal(PadShortcut({}, (1, 0))(x), F.pad(x, (0, 0, 1, 1)))
    assert torch.equal(PadShortcut({}, (-1, -1))(x), x[:, :, 1:-1, 1:-1])
    assert PadShortcut({}, (0, 0))(x) is x
    assert list(PadShortcut({"0": nn.Conv2d(1, 1, 1)}, (1, 1)).state_dict()) == [
        "0.weight",
        "0.bias",
    ]
