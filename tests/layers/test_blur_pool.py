"""BlurPool: the blur by hand, networks against slow references, borders in either order."""

import copy

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torchvision.models import densenet121, resnet18, resnet50

from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.layers.blur_pool import Blur, ConvertBlurPool
from thesisbench.layers.border import ConvertBorder, convert_border

TRI_3 = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16


def _blurred(x, padding, mode="constant"):
    """Tri-3 and every second position, written out."""
    padded = F.pad(x, (padding,) * 4, mode=mode)
    return F.conv2d(padded, TRI_3.expand(x.shape[1], 1, 3, 3), stride=2, groups=x.shape[1])


@pytest.mark.parametrize(
    ("border", "mode", "fixed", "padding", "fill"),
    [
        ("same", "zeros", None, 1, "reflect"),
        ("same", "circular", None, 1, "circular"),
        ("same", "replicate", None, 1, "replicate"),
        ("full", "zeros", None, 2, "constant"),
        ("valid", "zeros", None, 0, "constant"),
        ("full", "zeros", "same", 1, "reflect"),
        ("same", "circular", "full", 2, "constant"),
    ],
)
def test_blur_is_tri_3_with_the_padding_of_the_border(border, mode, fixed, padding, fill):
    x = torch.randn(2, 3, 7, 8)
    blur = Blur(fixed=fixed)
    blur.follow_border(border, mode)
    torch.testing.assert_close(blur(x), _blurred(x, padding, fill))
    assert blur.state_dict() == {}


def test_full_blur_keeps_a_quarter_of_the_mass_wherever_a_dot_lies():
    blur = Blur()
    blur.follow_border("full", "zeros")
    for at in range(6):
        x = torch.zeros(1, 1, 6, 6)
        x[..., at, 0] = 1.0
        assert blur(x).sum().item() == pytest.approx(0.25)


def _trained_looking(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, -0.2, 0.2)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
    return network.eval()


def _network(make=resnet18, **options):
    torch.manual_seed(0)
    return _trained_looking(make(**options))


def _block(block, x, *, conv, blur, around):
    """A torchvision block, its strided convolution blurred behind the activation."""
    strided = block.stride > 1
    convs = [block.conv1, block.conv2, *([block.conv3] if hasattr(block, "conv3") else [])]
    norms = [block.bn1, block.bn2, *([block.bn3] if hasattr(block, "bn3") else [])]
    at = len(convs) - 2  # conv1 of a basic block, conv2 of a bottleneck
    y = x
    for i, (layer, norm) in enumerate(zip(convs, norms, strict=True)):
        y = norm(conv(y, layer, 1))
        if i < len(convs) - 1:
            y = F.relu(y)
        if strided and i == at:
            y = blur(y)
    shortcut = F.pad(x, (around(block, strided),) * 4)
    if block.downsample is not None:
        layer, norm = block.downsample
        shortcut = norm(F.conv2d(blur(shortcut) if strided else shortcut, layer.weight))
    return F.relu(y + shortcut)


def _resnet(network, x, *, pool, **parts):
    x = F.relu(network.bn1(parts["conv"](x, network.conv1, 2)))
    x = pool(x)
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        for block in stage:
            x = _block(block, x, **parts)
    return network.fc(x.mean((2, 3)))


def _released_full(network, x):
    """F-Conv with BlurPool, paddings typed from the released code."""
    return _resnet(
        network,
        x,
        conv=lambda x, c, s: F.conv2d(F.pad(x, (c.weight.shape[-1] - 1,) * 4), c.weight, stride=s),
        blur=lambda x: _blurred(x, 2),
        pool=lambda x: _blurred(F.max_pool2d(x, 2, stride=1), 2),
        around=lambda block, strided: 1 if hasattr(block, "conv3") else 3 if strided else 2,
    )


def _zhang(network, x):
    """S-Conv with BlurPool."""
    return _resnet(
        network,
        x,
        conv=lambda x, c, s: F.conv2d(x, c.weight, padding=c.weight.shape[-1] // 2, stride=s),
        blur=lambda x: _blurred(x, 1, "reflect"),
        pool=lambda x: _blurred(F.max_pool2d(x, 3, stride=1, padding=1), 1, "reflect"),
        around=lambda *_: 0,
    )


@pytest.mark.parametrize("make", [resnet18, resnet50])
@pytest.mark.parametrize(("border", "reference"), [("same", _zhang), ("full", _released_full)])
@torch.no_grad()
def test_blurred_resnets_equal_a_slow_reference_with_the_same_weights(make, border, reference):
    source = _network(make, num_classes=5)
    network = copy.deepcopy(source)
    convert_border(network, border=border)
    assert ConvertBlurPool()(network) == 7  # pool, and main path and shortcut of three stages
    network.load_state_dict(source.state_dict(), strict=True)
    x = torch.randn(1, 3, 65, 70)
    torch.testing.assert_close(network(x), reference(source, x), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_options_blur_the_stem_and_shrink_the_pool():
    network = _network(num_classes=5)
    x = F.relu(network.bn1(F.conv2d(torch.randn(1, 3, 32, 32), network.conv1.weight, padding=3)))
    expected = _blurred(F.max_pool2d(_blurred(x, 1, "reflect"), 2, stride=1), 1, "reflect")
    assert ConvertBlurPool(stem="blur", pool_kernel=2)(network) == 8
    assert network.conv1.stride == (1, 1)
    torch.testing.assert_close(network.maxpool(x), expected)


def test_average_pools_of_a_densenet_become_blurs():
    with torch.device("meta"):
        network = densenet121(weights=None)
    assert ConvertBlurPool()(network) == 4
    assert isinstance(network.features.transition1.pool, Blur)
    assert network(torch.zeros(1, 3, 64, 64, device="meta")).shape == (1, 1000)


BORDERS = [
    ("same", "zeros"),
    ("same", "circular"),
    ("same", "reflect"),
    ("same", "replicate"),
    ("full", "zeros"),
    ("valid", "zeros"),
]


@pytest.mark.parametrize(("border", "mode"), BORDERS)
@pytest.mark.parametrize("padding", [None, "same", "full"])
@torch.no_grad()
def test_border_and_blur_may_be_set_in_either_order(border, mode, padding):
    first, second = _network(SmallResNet), _network(SmallResNet)
    variants = [ConvertBorder(border=border, pad_mode=mode), ConvertBlurPool(padding=padding)]
    counts = [variant(first) for variant in variants]
    assert [variant(second) for variant in reversed(variants)] == counts[::-1] == [4, 7]
    x = torch.randn(1, 3, 36, 37)
    assert torch.equal(first(x), second(x))


@pytest.mark.parametrize("border", ["same", "full", "valid"])
def test_stem_pools_come_out_the_same_in_either_order(border):
    forms = []
    for variants in ((ConvertBorder(border=border), ConvertBlurPool()),) * 2:
        with torch.device("meta"):
            network = resnet18(weights=None)
        for variant in variants if not forms else reversed(variants):
            variant(network)
        pool, blur = network.maxpool
        forms.append((pool.kernel_size, pool.padding, pool.stride, blur.padding))
    assert forms[0] == forms[1]


def test_parameters_and_keys_stay():
    network = _network()
    keys, parameters = list(network.state_dict()), dict(network.named_parameters())
    ConvertBlurPool()(network)
    assert list(network.state_dict()) == keys
    assert all(p is parameters[name] for name, p in network.named_parameters())


def test_blurs_follow_the_type_and_device_of_the_network_and_are_copied_with_it():
    network = SmallResNet().double()
    ConvertBlurPool()(network)
    assert copy.deepcopy(network)(torch.zeros(2, 3, 8, 8, dtype=torch.float64)).shape == (2, 10)


@torch.no_grad()
def test_blurred_circular_resnet_is_invariant_to_cyclic_shifts_by_its_stride():
    network = _network(SmallResNet)
    ConvertBlurPool()(network)
    convert_border(network, border="same", pad_mode="circular")
    x = torch.randn(1, 3, 24, 32)
    torch.testing.assert_close(network(x), network(x.roll((4, 12), (2, 3))), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_blur_brings_single_pixel_shifts_closer_to_invariance():
    changes = []
    for blur in (False, True):
        network = _network(SmallResNet)
        convert_border(network, border="same", pad_mode="circular")
        if blur:
            ConvertBlurPool()(network)
        x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        moved = network(x.roll((1, 1), (2, 3)))
        changes.append(((network(x) - moved).norm() / network(x).norm()).item())
    assert changes[1] < 0.5 * changes[0]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3, stride=2)), "'1': no activation"),
        (nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3, stride=(1, 2))), "equal strides"),
        (nn.Sequential(nn.Conv3d(1, 1, 1), nn.Conv3d(1, 1, 3, stride=2)), "for images"),
        (nn.ModuleDict({"a": nn.Conv2d(1, 1, 1), "b": nn.Conv2d(1, 1, 3, stride=2)}), "no place"),
    ],
)
def test_strided_layers_without_a_place_are_refused_by_name(network, message):
    with pytest.raises(ValueError, match=message):
        ConvertBlurPool()(network)


def test_a_second_blur_is_refused_and_a_net_without_strides_reports_zero():
    network = SmallResNet()
    ConvertBlurPool()(network)
    with pytest.raises(ValueError, match="BlurPool already"):
        ConvertBlurPool()(network)
    assert ConvertBlurPool()(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"filter_size": 4}, "3 or 5"), ({"padding": "valid"}, "padding"), ({"stem": "x"}, "stem")],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ConvertBlurPool(**options)


@pytest.mark.parametrize("border", ["same", "full"])
def test_timm_nets_with_blurs_of_their_own_take_borders_and_no_second_blur(border):
    with torch.device("meta"):
        network = timm.create_model("resnetblur18")
    convert_border(network, border=border)
    assert network(torch.zeros(1, 3, 64, 65, device="meta")).shape == (1, 1000)
    with pytest.raises(ValueError, match="BlurPool already"):
        ConvertBlurPool()(network)
