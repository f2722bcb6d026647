"""Fixup: what starts at zero, what everything starts from, its blocks, and WeightAlign in it."""

import math
from functools import partial

import pytest
import timm
import torch
import torchvision
from torch import nn

from thesisbench.backbones.bagnet import BagNet
from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.layers.border import convert_border
from thesisbench.layers.fixup import Fixup
from thesisbench.layers.norms import ReplaceNorms
from thesisbench.layers.reparameterize import ReparameterizeWeights, fold
from thesisbench.tasks.classification import ClassificationTask

KINDS = [None, "align", "weight_norm", "standardised"]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def _fixed(network, kind=None, weight=None, **options):
    """A network without normalisation, with a rule for its weights, and Fixup."""
    ReplaceNorms(name="without")(network)
    if kind:
        ReparameterizeWeights(kind=kind, **(weight or {}))(network)
    return network, Fixup(**options)(network)


@pytest.mark.parametrize(
    ("make", "branches", "zero", "kind"),
    [
        *(("resnet18", 8, zero, kind) for zero in ("gamma", "multiplier") for kind in KINDS),
        ("resnet50", 16, "gamma", None),
        ("resnet50", 16, "gamma", "align"),
    ],
)
def test_branches_and_the_classifier_start_at_zero_and_all_learn(make, branches, zero, kind):
    network, count = _fixed(getattr(torchvision.models, make)(num_classes=3), kind, zero=zero)
    assert count == branches
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(network(x), torch.zeros(2, 3))
    block = network.layer1[1]
    maps = torch.rand(2, block.conv1.in_channels, 8, 8)
    assert torch.equal(block(maps), maps)
    nn.init.normal_(network.fc.weight)
    network(x).square().sum().backward()
    last = block.conv2 if make == "resnet18" else block.conv3
    parts = [block.multiplier, getattr(last, "gamma", None), last.weight]
    assert any(p is not None and p.grad.abs().sum() > 0 for p in parts)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize(
    ("kind", "zero", "silent"),
    [
        (None, "gamma", "weight"),
        (None, "multiplier", "weight"),
        ("align", "gamma", "gamma"),
        ("align", "multiplier", "multiplier"),
        ("weight_norm", "gamma", "gamma"),
        ("standardised", "gamma", "multiplier"),
    ],
)
def test_what_silences_a_branch(kind, zero, silent):
    network, _ = _fixed(SmallResNet(), kind, zero=zero)
    block = network.layer2[0]
    parts = {"weight": block.conv2.weight, "multiplier": block.multiplier}
    if getattr(block.conv2, "gamma", None) is not None:
        parts["gamma"] = block.conv2.gamma
        assert (block.conv1.gamma > 0).all()
    assert {name for name, part in parts.items() if (part == 0).all()} == {silent}


@pytest.mark.parametrize(("make", "power"), [("resnet18", -1 / 2), ("resnet50", -1 / 4)])
@pytest.mark.parametrize("fan", ["out", "in"])
def test_branches_are_scaled_by_their_number(make, power, fan):
    network, branches = _fixed(getattr(torchvision.models, make)(), fan=fan)
    block = network.layer4[1]
    convs = [block.conv1, block.conv2, getattr(block, "conv3", None)]
    for conv in [c for c in convs if c is not None][:-1]:
        n = conv.weight[0].numel() if fan == "in" else conv.out_channels * conv.kernel_size[0] ** 2
        wanted = math.sqrt(2 / n) * branches**power
        assert conv.weight.std().item() == pytest.approx(wanted, rel=0.02)
    shortcut = network.layer4[0].downsample[0]
    n = shortcut.in_channels if fan == "in" else shortcut.out_channels
    assert shortcut.weight.std().item() == pytest.approx(math.sqrt(2 / n), rel=0.02)


def test_aligned_filters_start_as_the_thesis_says_and_others_as_fixup():
    for kind, weight, std in [
        ("align", {}, math.sqrt(2 / 576)),
        ("align", {"center": False}, math.sqrt(2 / 576)),
        ("align", {"scale": False}, math.sqrt(2 / 576) / math.sqrt(3)),  # its scale matters
        ("weight_norm", {}, math.sqrt(2 / 576) / math.sqrt(3)),
    ]:
        network, _ = _fixed(SmallResNet(channels=(64, 64, 64)), kind, weight)
        conv = network.layer2[0].conv1
        assert conv.weight.std().item() == pytest.approx(std, rel=0.05)
        if kind == "weight_norm":
            assert torch.allclose(conv.kernel(), conv.weight)


def _by_hand(block, x):
    """The basic block of the paper, written out."""
    conv1, conv2 = block.conv1, block.conv2
    y = torch.relu(conv1(x + block.bias1a) + block.bias1b)
    y = conv2(y + block.bias2a) * block.multiplier + block.bias2b
    shortcut = x if block.downsample is None else block.downsample[0](x + block.bias1a)
    return torch.relu(y + shortcut)


def test_the_basic_block_computes_what_the_paper_draws():
    network, _ = _fixed(SmallResNet())
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    for block in (network.layer1[0], network.layer2[0]):
        x = torch.randn(2, 16, 8, 8)
        assert torch.allclose(block(x), _by_hand(block, x))
    x = torch.randn(2, 3, 8, 8)
    maps = torch.relu(network.conv1(x) + network.bn1.shift)
    maps = network.layer3(network.layer2(network.layer1(maps)))
    features = network.avgpool(maps).flatten(1) + network.fc.shift
    wanted = features @ network.fc.weight.T + network.fc.bias
    assert torch.allclose(network(x), wanted)


def test_the_bottleneck_computes_what_the_paper_draws():
    network, _ = _fixed(torchvision.models.resnet50(num_classes=2))
    block = network.layer1[0]
    for name, parameter in block.named_parameters():
        nn.init.normal_(parameter, std=0.1 if "conv" in name else 1)
    x = torch.randn(2, 64, 6, 6)
    y = torch.relu(block.conv1(x + block.bias1a) + block.bias1b)
    y = torch.relu(block.conv2(y + block.bias2a) + block.bias2b)
    y = block.conv3(y + block.bias3a) * block.multiplier + block.bias3b
    wanted = torch.relu(y + block.downsample[0](x + block.bias1a))
    assert torch.allclose(block(x), wanted, atol=1e-5)


def test_keys_of_convolutions_and_classifier_stay_and_parameters_are_counted():
    plain = torchvision.models.resnet18(num_classes=5)
    kernels = {k for k, v in plain.named_parameters() if v.dim() > 1}
    network, _ = _fixed(torchvision.models.resnet18(num_classes=5))
    named = dict(network.named_parameters())
    assert kernels | {"fc.bias", "fc.shift", "bn1.shift"} <= named.keys()
    size = sum(v.numel() for k, v in plain.named_parameters() if k in kernels)
    assert sum(v.numel() for v in named.values()) == size + 5 + 8 * 5 + 2


@pytest.mark.parametrize("border", ["full", "same", "valid"])
def test_it_goes_with_borders_in_either_order(border):
    networks = []
    for first in (True, False):
        torch.manual_seed(1)
        network = SmallResNet()
        if first:
            convert_border(network, border=border)
        _fixed(network, "align")
        if not first:
            convert_border(network, border=border)
        torch.manual_seed(2)
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.3)
        networks.append(network)
    x = torch.randn(1, 3, 33, 33)
    assert torch.equal(networks[0](x), networks[1](x))


def test_identity_shortcuts_are_not_shifted_also_where_they_are_padded():
    network = SmallResNet()
    convert_border(network, border="full")
    _fixed(network)
    block = network.layer1[0]
    nn.init.constant_(block.bias1a, 5.0)
    x = torch.rand(1, 16, 6, 6)
    assert torch.equal(block(x), nn.functional.pad(x, [2] * 4))


def test_folding_keeps_the_outputs():
    network, _ = _fixed(SmallResNet(), "align")
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 3, 16, 16)
    wanted = network(x)
    assert fold(network) == 9
    assert torch.equal(network(x), wanted)
    assert type(network.layer1[0].conv1) is nn.Conv2d


def test_bagnets_have_blocks_of_torchvision_too():
    network, branches = _fixed(
        BagNet(blocks=(1, 1), strides=(1, 2), wide=(True, True), planes=(4, 8), stem_channels=8)
    )
    assert branches == 2
    assert network(torch.randn(1, 3, 21, 21)).shape == (1, 1000)


@pytest.mark.parametrize("rate", [0.1, 1.0])
def test_scalars_learn_at_a_rate_of_their_own(rate: float) -> None:
    network, _ = _fixed(torchvision.models.resnet18(num_classes=3), scalar_rate=rate)
    task = ClassificationTask(network, optimizer=partial(torch.optim.SGD, lr=2.0))
    optimizer = task.configure_optimizers()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = {name: before[name] - p for name, p in network.named_parameters()}
    scalars = {name for name, p in before.items() if p.numel() == 1}
    assert len(scalars) == 8 * 5 + 2, "four biases and a multiplier a block, stem, classifier"
    for name, step in moved.items():
        wanted = 2.0 * (rate if name in scalars else 1.0)
        torch.testing.assert_close(step, torch.full_like(step, wanted))
    with pytest.raises(ValueError, match=r"scalar_rate=0\.0 must be above 0"):
        Fixup(scalar_rate=0.0)


def test_networks_it_is_not_for_are_refused():
    with pytest.raises(ValueError, match=r"normalisation \(bn1\).*norm=without"):
        Fixup()(SmallResNet())
    timms = timm.create_model("resnet10t", num_classes=2)
    ReplaceNorms(name="without")(timms)
    with pytest.raises(ValueError, match=r"of torchvision; 'layer1.0' is another"):
        Fixup()(timms)
    with pytest.raises(ValueError, match="of torchvision; it has none"):
        Fixup()(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2)))
    headless, _ = SmallResNet(), None
    ReplaceNorms(name="without")(headless)
    headless.fc = nn.Identity()
    with pytest.raises(ValueError, match="end in a plain linear classifier"):
        Fixup()(headless)
    with pytest.raises(ValueError, match="unknown zero 'weight'; valid: gamma, multiplier"):
        Fixup(zero="weight")
