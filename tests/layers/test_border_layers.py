"""conv_nd against torch on explicitly padded input, and the rewriting of networks."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.border import ConvertBorder, conv_nd, convert_border
from thesisbench.layers.conv_border import network_border
from thesisbench.ops.border import PAD_MODES, output_size

CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
KINDS = [("valid", "zeros"), ("full", "zeros"), *(("same", mode) for mode in PAD_MODES)]


def _input(dims, size=7):
    return torch.randn(2, 4, *(size + axis for axis in range(dims)))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("border", "mode"), KINDS)
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_conv_nd_equals_a_plain_convolution_of_the_padded_input(
    dims, border, mode, stride, dilation
):
    torch.manual_seed(0)
    x = _input(dims)
    conv = conv_nd(
        4, 6, 3, stride=stride, dilation=dilation, groups=2, border=border, pad_mode=mode, dims=dims
    )
    per_side = {"valid": 0, "same": dilation, "full": 2 * dilation}[border]
    fill = "constant" if mode == "zeros" else mode
    padded = F.pad(x, (per_side,) * (2 * dims), mode=fill)
    expected = CONVOLVE[dims](
        padded, conv.weight, conv.bias, stride=stride, dilation=dilation, groups=2
    )
    y = conv(x)
    torch.testing.assert_close(y, expected)
    sizes = [
        output_size(n, 3, stride=stride, dilation=dilation, border=border) for n in x.shape[2:]
    ]
    assert list(y.shape[2:]) == sizes


@pytest.mark.parametrize(("border", "mode"), [("full", "zeros"), ("same", "circular")])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_full_and_circular_keep_the_mass_in_double(dims, border, mode):
    torch.manual_seed(0)
    x = torch.randn(1, 1, *(6,) * dims, dtype=torch.float64)
    conv = conv_nd(1, 1, 5, bias=False, border=border, pad_mode=mode, dims=dims).double()
    torch.testing.assert_close(conv(x).sum(), x.sum() * conv.weight.sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("border", ["same", "valid"])
def test_zero_same_and_valid_lose_mass_at_the_border(border):
    torch.manual_seed(0)
    x = torch.randn(1, 1, 6, 6, dtype=torch.float64)
    conv = conv_nd(1, 1, 5, bias=False, border=border).double()
    assert abs(conv(x).sum() - x.sum() * conv.weight.sum()) > 1e-3


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_full_convolution_commutes_with_translation_on_the_enlarged_canvas(dims):
    torch.manual_seed(0)
    x = torch.zeros(1, 1, *(9,) * dims)
    x[(..., *(slice(0, 4),) * dims)] = torch.randn(*(4,) * dims)  # at the very corner
    axes = tuple(range(2, 2 + dims))
    conv = conv_nd(1, 3, 3, bias=False, border="full", dims=dims)
    for shift in range(1, 6):
        moved = conv(x.roll((shift,) * dims, axes))
        torch.testing.assert_close(moved, conv(x).roll((shift,) * dims, axes), rtol=0, atol=1e-6)


def test_zero_same_convolution_does_not_commute_with_translation_at_the_border():
    torch.manual_seed(0)
    x = torch.zeros(1, 1, 9)
    x[..., 0] = 1.0
    conv = conv_nd(1, 1, 3, bias=False, dims=1)
    assert not torch.allclose(conv(x.roll(3, 2)), conv(x).roll(3, 2))


def test_temporal_border_pads_time_and_space_differently():
    spatial = conv_nd(1, 1, 3, border="full", temporal_border="same", dims=3)
    stem = conv_nd(3, 4, 7, stride=(1, 2, 2), border="full", temporal_border="same", dims=3)
    assert spatial.padding == (1, 2, 2)
    assert stem.padding == (3, 6, 6)
    assert spatial(torch.zeros(1, 1, 4, 8, 8)).shape[2:] == (4, 10, 10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"border": "full", "pad_mode": "circular"}, "takes pad_mode 'zeros' only"),
        ({"border": "valid", "pad_mode": "reflect"}, "takes pad_mode 'zeros' only"),
        (
            {"pad_mode": "circular", "temporal_border": "valid", "dims": 3},
            "takes pad_mode 'zeros' only",
        ),
        ({"kernel_size": 4}, "odd kernel"),
        ({"temporal_border": "same"}, "needs 3 axes"),
        ({"dims": 4}, "dims must be"),
        ({"kernel_size": (3, 3, 3)}, "3 numbers for 2 axes"),
    ],
)
def test_impossible_convolutions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        conv_nd(1, 1, **{"kernel_size": 3, **options})


class _Scaled(nn.Conv2d):
    """A subclass, as other drop-in layers are."""

    def forward(self, x):
        return 2 * super().forward(x)


def _network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding="same"),
        nn.ReLU(),
        nn.Conv2d(4, 4, 1, padding=0),
        nn.Sequential(_Scaled(4, 5, (1, 5), stride=2, padding=(0, 2)), nn.BatchNorm2d(5)),
    ).eval()


@pytest.mark.parametrize(("border", "mode"), KINDS)
def test_convert_border_keeps_parameters_keys_and_untouched_layers(border, mode):
    network = _network()
    keys, parameters = list(network.state_dict()), dict(network.named_parameters())
    one_tap = copy.deepcopy(network[2])
    assert convert_border(network, border=border, pad_mode=mode) == 2
    assert list(network.state_dict()) == keys
    assert all(p is parameters[name] for name, p in network.named_parameters())
    assert network[2].padding == one_tap.padding
    assert network[2].padding_mode == "zeros"
    assert type(network[3][0]) is _Scaled


@pytest.mark.parametrize(("border", "mode"), KINDS)
def test_a_converted_network_computes_as_one_built_so(border, mode):
    network = _network()
    x = torch.randn(2, 3, 9, 10)
    convert_border(network, border=border, pad_mode=mode)
    per_side = {"valid": 0, "same": 1, "full": 2}[border]
    fill = "constant" if mode == "zeros" else mode
    first, last = network[0], network[3][0]
    y = F.relu(F.conv2d(F.pad(x, (per_side,) * 4, mode=fill), first.weight, first.bias))
    y = F.pad(network[2](y), (2 * per_side, 2 * per_side, 0, 0), mode=fill)
    y = network[3][1](2 * F.conv2d(y, last.weight, last.bias, stride=2))
    torch.testing.assert_close(network(x), y)


def test_converting_back_restores_the_output_bitwise():
    network = _network()
    x = torch.randn(2, 3, 9, 10)
    before = network(x)
    convert_border(network, border="full")
    assert network(x).shape != before.shape
    convert_border(network, border="same")
    assert torch.equal(network(x), before)


def test_weights_of_a_same_network_load_into_a_full_one():
    source, target = _network(), _network()
    ConvertBorder(border="full")(target)
    nn.init.constant_(source[0].weight, 0.5)
    assert target.load_state_dict(source.state_dict()).missing_keys == []


def test_networks_without_spatial_convolutions_report_zero():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Linear(4, 2))
    assert convert_border(network, border="full") == 0
    assert ConvertBorder(border="full", temporal_border="same")(network) == 0


def test_a_lone_convolution_is_converted_and_video_takes_a_temporal_border():
    conv = nn.Conv3d(1, 1, 3)
    assert ConvertBorder(border="full", temporal_border="same")(conv) == 1
    assert conv.padding == (1, 2, 2)
    with pytest.raises(ValueError, match="3D convolutions"):
        convert_border(nn.Conv2d(1, 1, 3), border="full", temporal_border="same")


def test_convolutions_that_keep_their_border_are_left_alone():
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 8))
    network[1].keeps_border = True
    assert convert_border(network, border="same") == 1
    assert network[1].padding == (0, 0)


@pytest.mark.parametrize(("border", "mode"), KINDS)
def test_network_border_reads_the_border_off_the_convolutions(border, mode):
    network = _network()
    convert_border(network, border=border, pad_mode=mode)
    assert network_border(network) == (border, mode)


def test_network_border_of_mixed_borders_is_same():
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, padding=2))
    assert network_border(network) == ("same", "zeros")
    assert network_border(nn.Sequential(nn.Conv2d(1, 1, 1))) == ("same", "zeros")


def test_padded_max_pools_take_their_form_and_get_it_back():
    pool, bare = nn.MaxPool2d(3, stride=2, padding=1), nn.MaxPool2d(3, stride=2)
    network = nn.Sequential(nn.Conv2d(1, 1, 3), pool, bare)
    for border, form in {"full": (2, 0), "valid": (3, 0), "same": (3, 1)}.items():
        convert_border(network, border=border)
        assert (pool.kernel_size, pool.padding, pool.stride) == (*form, 2)
        assert (bare.kernel_size, bare.padding) == (3, 0)


def test_a_pool_without_a_full_form_is_refused_by_name_and_nothing_changes():
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(5, stride=2, padding=2))
    with pytest.raises(ValueError, match="max pool '1': a padded 5x5"):
        convert_border(network, border="full")
    assert network[0].padding == (0, 0)


def test_a_convolution_that_cannot_be_converted_is_named_and_nothing_changes():
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Sequential(nn.Conv2d(1, 1, 4)))
    with pytest.raises(ValueError, match=r"convolution '1.0': .*odd kernel"):
        convert_border(network, border="same")
    assert network[0].padding == (0, 0)


def test_convert_border_checks_its_options_when_made():
    with pytest.raises(ValueError, match="takes pad_mode 'zeros' only"):
        ConvertBorder(border="full", pad_mode="circular")
