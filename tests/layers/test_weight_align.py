"""Layers with computed kernels: what the thesis says of them, and rewritten networks."""

import copy
import math
import pickle
from functools import partial

import pytest
import timm
import torch
from timm.layers.std_conv import StdConv2d
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from thesisbench.backbones.hardnet import HardNet
from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.layers.border import convert_border
from thesisbench.layers.lift_pool import LiftDownPool2d
from thesisbench.layers.pool_places import ReplacePooling
from thesisbench.layers.reparameterize import ReparameterizeWeights, fold
from thesisbench.layers.weight_align import Reparameterized, WAConv2d, WALinear
from thesisbench.layers.weight_rules import Align, WeightNorm
from thesisbench.tasks.classification import ClassificationTask

KINDS = ["align", "weight_norm", "standardised"]


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def _small():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=4, bias=False, padding=1, padding_mode="circular"),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 6),
        nn.ReLU(),
        nn.Linear(6, 4),
    )


def _layers(network):
    return [m for m in network.modules() if isinstance(m, Reparameterized)]


@pytest.mark.parametrize("stride", [1, 2])
def test_a_constant_added_to_all_channels_changes_nothing_without_padding(stride):
    conv = WAConv2d(4, 6, 3, stride=stride)
    x = torch.randn(2, 4, 9, 9)
    assert torch.allclose(conv(x + 10), conv(x), atol=1e-12)
    flat = conv(torch.full_like(x, 3.0))
    assert torch.allclose(flat, conv.bias.reshape(1, -1, 1, 1).expand_as(flat), atol=1e-12)
    moved = WAConv2d(4, 6, 3, center=False)
    assert not torch.allclose(moved(x + 10), moved(x), atol=1)


def test_a_linear_layer_is_aligned_as_a_convolution_of_one_tap():
    linear = WALinear(5, 3, scale_mult=2.0)
    conv = WAConv2d(5, 3, 1, scale_mult=2.0)
    conv.load_state_dict({n: v.reshape(conv.state_dict()[n].shape) for n, v in _items(linear)})
    x = torch.randn(4, 5)
    assert torch.allclose(conv(x[:, :, None, None]).flatten(1), linear(x), atol=1e-12)


def _items(module):
    return module.state_dict().items()


def test_filters_are_drawn_with_the_standard_deviation_of_the_thesis():
    conv = WAConv2d(32, 64, 3, groups=2)
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (16 * 9)), rel=0.05)
    assert conv.weight.mean().abs() < 0.01
    assert torch.equal(conv.gamma, torch.ones(64))
    assert WAConv2d(3, 4, 3, gamma_per="layer").gamma.shape == (1,)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_comes_out_the_same_alone_in_a_batch_and_in_evaluation(kind):
    network = _small()
    ReparameterizeWeights(kind=kind)(network)
    x = torch.randn(5, 3, 8, 8)
    together = network(x)
    assert torch.equal(network.eval()(x), together)
    alone = torch.cat([network(sample[None]) for sample in x])
    assert torch.allclose(alone, together, atol=1e-13)


@pytest.mark.parametrize("training", [True, False])
def test_batch_normalisation_behind_it_takes_away_a_positive_gamma(training):
    block = nn.Sequential(WAConv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=1e-12)).train()
    x = torch.randn(8, 3, 6, 6)
    first = block(x)
    block[0].gamma.data.uniform_(0.5, 4)
    block[1].reset_running_stats()
    block[1].momentum = None  # the mean of all batches seen, here of one
    second = block(x)
    assert torch.allclose(first, second, atol=1e-9)
    if not training:
        count = x.shape[0] * 16
        factor = math.sqrt((count - 1) / count)  # running variances are unbiased
        assert torch.allclose(block.eval()(x), second * factor, atol=1e-9)


def test_a_random_relu_layer_loses_the_variance_of_the_mean_and_keeps_its_mean():
    """1 - 1/pi of the variance is left: a filter of mean 0 takes out the mean of its input."""
    z = torch.randn(400, 2000)
    aligned, plain = WALinear(2000, 1500, bias=False), nn.Linear(2000, 1500, bias=False)
    nn.init.normal_(plain.weight, std=math.sqrt(2 / 2000))
    x, kept = aligned(z.relu()), plain(z.relu())
    assert x.var(0).mean().item() == pytest.approx(1 - 1 / math.pi, abs=0.02)
    assert x.mean(0).abs().mean() < 0.1 < 0.3 < kept.mean(0).abs().mean()
    assert kept.square().mean().item() == pytest.approx(1, abs=0.05)


def test_weight_norm_equals_that_of_torch():
    conv, theirs = nn.Conv2d(3, 5, 3), nn.Conv2d(3, 5, 3)
    theirs.load_state_dict(conv.state_dict())
    ReparameterizeWeights(kind="weight_norm", filters="kept", skip_classifier=False)(conv)
    weight_norm(theirs, dim=0)
    x = torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        conv.gamma.mul_(1.7)
        theirs.parametrizations.weight.original0.mul_(1.7)
    assert torch.allclose(conv(x), theirs(x), atol=1e-12)
    for layer in (conv, theirs):
        layer(x).square().sum().backward()
    originals = theirs.parametrizations.weight
    assert torch.allclose(conv.gamma.grad, originals.original0.grad.flatten(), atol=1e-10)
    assert torch.allclose(conv.weight.grad, originals.original1.grad, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_rewriting_keeps_parameters_and_leaves_the_classifier(kind):
    network = _small()
    before, keys = dict(network.named_parameters()), list(network.state_dict())
    assert ReparameterizeWeights(kind=kind, filters="kept")(network) == 3
    after = dict(network.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())
    gammas = set() if kind == "standardised" else {"0.gamma", "2.gamma", "6.gamma"}
    assert after.keys() == before.keys() | gammas
    assert set(network.state_dict()) == set(keys) | gammas
    assert type(network[8]) is nn.Linear
    network = _small()
    assert ReparameterizeWeights(kind=kind, skip_classifier=False)(network) == 4


def test_the_named_classes_come_out_and_copies_and_pickles_compute_the_same():
    network = _small()
    ReparameterizeWeights()(network)
    assert [type(network[i]) for i in (0, 2, 6)] == [WAConv2d, WAConv2d, WALinear]
    x = torch.randn(2, 3, 8, 8)
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(twin(x), network(x))
    assert "Align(center=True" in repr(network)


@pytest.mark.parametrize("kind", KINDS)
def test_folded_networks_are_plain_and_compute_the_same(kind):
    network = _small()
    plain = {name: type(m) for name, m in network.named_modules()}
    keys = list(network.state_dict())
    ReparameterizeWeights(kind=kind)(network)
    for layer in _layers(network):
        if layer.gamma is not None:
            layer.gamma.data.uniform_(0.5, 2)
    x = torch.randn(2, 3, 8, 8)
    wanted = network(x)
    assert fold(network) == 3
    assert torch.equal(network(x), wanted)
    assert {name: type(m) for name, m in network.named_modules()} == plain
    assert list(network.state_dict()) == keys
    assert fold(network) == 0
    network(x).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_the_plain_network_load_and_gamma_starts_from_them(kind):
    source, network = _small(), _small()
    ReparameterizeWeights(kind=kind)(network)
    for layer in _layers(network):
        if layer.gamma is not None:
            layer.gamma.data.fill_(5.0)
    network.load_state_dict(source.state_dict())
    assert torch.equal(network[0].weight, source[0].weight)
    if kind == "align":
        assert torch.equal(network[0].gamma, torch.ones(8))
    if kind == "weight_norm":
        x = torch.randn(2, 3, 8, 8)
        assert torch.allclose(network(x), source(x), atol=1e-12)
    other = copy.deepcopy(network)
    for parameter in other.parameters():
        nn.init.constant_(parameter, 0.3)
    other.load_state_dict(network.state_dict())  # its own weights, gamma with them
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(other(x), network(x))


def test_other_convolutions_and_their_borders_are_rewritten_too():
    network = nn.Sequential(nn.Conv1d(2, 4, 3), nn.Unflatten(1, (2, 2)), nn.Conv2d(2, 3, 2))
    assert ReparameterizeWeights(skip_classifier=False)(network) == 2
    for border in ("full", "same"):
        conv = nn.Conv3d(2, 4, 3)
        ReparameterizeWeights(skip_classifier=False)(conv)
        assert convert_border(conv, border=border) == 1
        sums = conv.kernel().flatten(1).sum(1)
        assert sums.abs().max() < 1e-12
        assert conv(torch.randn(1, 2, 5, 5, 5)).shape[-1] == (7 if border == "full" else 5)


def test_convolutions_inside_pools_stay_as_they_are():
    network = SmallResNet()
    count = ReparameterizeWeights()(SmallResNet())
    ReplacePooling(factory=LiftDownPool2d)(network)
    assert ReparameterizeWeights()(network) == count == 9
    pools = [m for m in network.modules() if isinstance(m, LiftDownPool2d)]
    assert len(pools) == 4
    assert not any(_layers(pool) for pool in pools)


def test_a_convolution_that_checks_its_input_first_is_rewritten():
    network = HardNet(width=0.25)
    ReparameterizeWeights(skip_classifier=False)(network)
    head = network.features[-2]
    assert isinstance(head, Reparameterized)
    maps = torch.randn(1, head.in_channels, 8, 8)
    assert torch.allclose(head(maps), nn.functional.conv2d(maps, head.kernel()), atol=1e-12)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), StdConv2d(4, 4, 3)), "layer '1' is a StdConv2d, which"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1, groups=4)), "'1' has filters of one"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), WAConv2d(4, 4, 3)), "'1' has its weights computed"),
    ],
)
def test_what_cannot_be_rewritten_is_named_and_nothing_changes(network, message):
    with pytest.raises(ValueError, match=message):
        ReparameterizeWeights(skip_classifier=False)(network)
    assert type(network[0]) is nn.Conv2d


def test_attention_is_left_alone_and_networks_of_timm_are_rewritten():
    attention = nn.Sequential(nn.MultiheadAttention(4, 2), nn.Linear(4, 4), nn.Linear(4, 2))
    assert ReparameterizeWeights()(attention) == 1
    with torch.device("meta"):
        network = timm.create_model("resnet26", num_classes=3)
    convs = sum(isinstance(m, nn.Conv2d) for m in network.modules())
    assert ReparameterizeWeights()(network) == convs
    network(torch.zeros(1, 3, 64, 64, device="meta"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "spectral"}, "unknown kind 'spectral'; valid: align, weight_norm, standardised"),
        ({"filters": "old"}, "unknown filters 'old'; valid: drawn, kept"),
        ({"gamma_per": "weight"}, "unknown gamma_per 'weight'; valid: filter, layer"),
        ({"scale_mult": 0.0}, "scale_mult=0.0 must be positive"),
        ({"scale_mult": 2.0, "scale": False}, "scale_mult=2.0 needs scale=true"),
        ({"kind": "weight_norm", "center": False}, "are options of kind=align"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ReparameterizeWeights(**options)


def test_rules_say_whether_the_size_of_a_filter_matters():
    assert Align().scale_free
    assert not Align(scale=False).scale_free
    assert not WeightNorm().scale_free
    with pytest.raises(ValueError, match="filters have one weight each"):
        WAConv2d(4, 4, 1, groups=4)


def test_weight_decay_spares_gamma_where_it_is_told_to() -> None:
    for decays in (True, False):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))
        ReparameterizeWeights(gamma_decay=decays)(network)
        make = partial(torch.optim.SGD, lr=1.0, weight_decay=0.5)
        task = ClassificationTask(copy.deepcopy(network), optimizer=make)
        optimizer = task.configure_optimizers()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        before = [parameter.detach().clone() for parameter in parameters]
        optimizer.step()
        kept = [torch.equal(p, q) for p, q in zip(parameters, before, strict=True) if q.any()]
        assert len(parameters) == 5, "two weights, two biases and gamma"
        assert sum(kept) == (0 if decays else 1)
