"""Normalisations by name, and networks that get another one or none."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from thesisbench.backbones.hardnet import HardNet
from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.backbones.vgg import VGG
from thesisbench.layers.norms import ReplaceNorms, make_norm, norm_layers
from thesisbench.layers.pool_places import ReplacePooling
from thesisbench.layers.pools.global_guided import GuidedPool

NAMES = ["without", "batch", "group", "layer", "instance"]
OF_A_SAMPLE = ["group", "layer", "instance"]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def _vgg(**changes):
    return VGG(widths=((8,), (16, 16)), classes=4, **changes)


def _slow(x, groups, eps=1e-5):
    """Each group of channels of each sample by itself."""
    out = torch.empty_like(x)
    width = x.shape[1] // groups
    for b in range(len(x)):
        for g in range(groups):
            part = x[b, g * width : (g + 1) * width]
            out[b, g * width : (g + 1) * width] = (part - part.mean()) / (
                part.var(correction=0) + eps
            ).sqrt()
    return out


@pytest.mark.parametrize(
    ("name", "groups", "of"),
    [("group", 2, 2), ("group", 6, 6), ("layer", 99, 1), ("instance", 0, 6)],
)
def test_statistics_are_those_of_groups_of_channels_of_a_sample(name, groups, of):
    x = torch.randn(3, 6, 4, 5, dtype=torch.float64) * 3 + 1
    norm = make_norm(name, 6, groups).double()
    assert torch.allclose(norm(x), _slow(x, of), atol=1e-10)
    assert norm.weight.shape == norm.bias.shape == (6,)


@pytest.mark.parametrize("name", OF_A_SAMPLE)
def test_other_samples_and_the_mode_make_no_difference(name):
    norm = make_norm(name, 8, 4).double()
    x = torch.randn(4, 8, 5, 5, dtype=torch.float64)
    together = norm(x)
    assert torch.allclose(torch.cat([norm(s[None]) for s in x]), together, atol=1e-12)
    assert torch.equal(norm.eval()(x), together)


def test_batch_normalisation_depends_on_the_other_samples():
    norm, x = make_norm("batch", 8), torch.randn(4, 8, 5, 5)
    assert not torch.allclose(norm(x)[:2], norm(x[:2]))
    assert isinstance(make_norm("without", 8), nn.Identity)


def test_channels_that_have_no_equal_groups_are_refused_with_the_counts_that_fit():
    with pytest.raises(ValueError, match=r"12 channels have no 32 equal groups; valid: \[1, 2, 3"):
        make_norm("group", 12)
    with pytest.raises(ValueError, match="unknown norm 'power'; valid: without, batch, group"):
        make_norm("power", 12)
    with pytest.raises(ValueError, match="no 0 equal groups"):
        ReplaceNorms(name="group", groups=0)


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_new_layer_takes_over_scale_and_shift_with_their_keys(name):
    network = SmallResNet()
    for norm in norm_layers(network).values():
        nn.init.uniform_(norm.weight)
        nn.init.uniform_(norm.bias)
    before = dict(network.named_parameters())
    network.eval()
    assert ReplaceNorms(name=name, groups=4)(network) == 9
    after = dict(network.named_parameters())
    assert list(after) == list(before)
    assert all(after[key] is before[key] for key in before)
    assert not any(m.training for m in network.modules())
    kinds = {type(norm) for norm in norm_layers(network).values()}
    assert kinds == {type(make_norm(name, 4, 4))}
    assert ReplaceNorms(name="batch")(network) == 9  # and back
    assert list(network.state_dict()) == list(SmallResNet().state_dict())


def test_batch_normalisation_that_is_there_keeps_its_settings():
    network = SmallResNet()
    network.bn1.momentum = 0.001
    before = norm_layers(network)
    assert ReplaceNorms(name="batch")(network) == 9
    assert norm_layers(network) == before
    assert network.bn1.momentum == 0.001


def test_without_leaves_the_plain_vgg_with_its_biases():
    network, plain = _vgg(), _vgg(batch_norm=False)
    assert ReplaceNorms(name="without")(network) == 3
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    for ours, theirs in zip(
        convs, (m for m in plain.modules() if isinstance(m, nn.Conv2d)), strict=True
    ):
        theirs.load_state_dict(ours.state_dict())
    plain.classifier.load_state_dict(network.classifier.state_dict())
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(network(x), plain(x))


def test_without_gives_convolutions_in_front_a_bias_that_starts_as_the_shift():
    network = SmallResNet()
    nn.init.constant_(network.layer2[0].bn1.bias, 0.5)
    ReplaceNorms(name="without")(network)
    convs = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    assert all(conv.bias is not None for conv in convs.values())
    assert torch.equal(convs["layer2.0.conv1"].bias, torch.full((32,), 0.5))
    assert convs["conv1"].bias.requires_grad
    assert not norm_layers(network)


def test_only_convolutions_right_before_a_shift_get_a_bias():
    dense = torchvision.models.densenet121(num_classes=3)
    ReplaceNorms(name="without")(dense)
    block = dense.features.denseblock1.denselayer2
    assert block.conv1.bias is not None
    assert block.conv2.bias is None  # the next norm is of the joined maps
    bare = HardNet(width=0.25)  # its normalisation has no shift
    assert ReplaceNorms(name="without")(bare) == 7
    assert all(m.bias is None for m in bare.modules() if isinstance(m, nn.Conv2d))
    assert ReplaceNorms(name="instance")(HardNet(width=0.25)) == 7


@pytest.mark.parametrize("name", ["without", *OF_A_SAMPLE])
def test_a_network_without_batch_statistics_treats_samples_by_themselves(name):
    network = SmallResNet().double()
    ReplaceNorms(name=name, groups=8)(network)
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    together = network(x)
    assert torch.allclose(torch.cat([network(s[None]) for s in x]), together, atol=1e-10)
    assert torch.equal(network.eval()(x), together)


def test_normalisation_inside_pools_stays():
    network = SmallResNet()
    ReplacePooling(factory=GuidedPool)(network)
    inside = sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) - 9
    assert inside > 0
    assert ReplaceNorms(name="group", groups=4)(network) == 9
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == inside


def test_what_cannot_be_replaced_is_named_and_nothing_changes():
    with pytest.raises(ValueError, match=r"no normalisation .* backbone\.batch_norm=true"):
        ReplaceNorms(name="layer")(_vgg(batch_norm=False))
    network = _vgg()
    with pytest.raises(
        ValueError, match=r"layer 'features\.1': 8 channels have no 16 equal groups"
    ):
        ReplaceNorms(name="group", groups=16)(network)
    assert all(isinstance(m, nn.BatchNorm2d) for m in norm_layers(network).values())
    acts = timm.create_model("mobilenetv2_050", num_classes=2)
    with pytest.raises(ValueError, match="a BatchNormAct2d, cannot be replaced"):
        ReplaceNorms(name="layer")(acts)
    with pytest.raises(ValueError, match="layer '1', a BatchNorm1d, cannot"):
        ReplaceNorms(name="layer")(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
