"""ResNets and DenseNet: torchvision's networks, with the stems and pools asked for."""

import pytest
import torch
import torchvision
from torch import nn

from thesisbench.backbones.densenet import densenet121
from thesisbench.backbones.resnet import DEPTHS, resnet
from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.errors import UserError


@pytest.mark.parametrize("depth", DEPTHS)
def test_resnets_have_the_keys_and_shapes_of_torchvision(depth):
    with torch.device("meta"):
        ours, theirs = resnet(depth=depth), getattr(torchvision.models, f"resnet{depth}")()
    shapes = [{k: v.shape for k, v in n.state_dict().items()} for n in (ours, theirs)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("depth", [18, 50])
@torch.no_grad()
def test_resnet_computes_what_torchvision_computes(depth):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, f"resnet{depth}")(num_classes=7).eval()
    ours = resnet(depth=depth, classes=7).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 3, 40, 40)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize(("stem", "size"), [("imagenet", 8), ("imagenet_pool2", 9), ("cifar", 32)])
def test_stems_leave_maps_of_their_size(stem, size):
    network = resnet(depth=18, classes=3, in_channels=1, stem=stem)
    x = network.maxpool(network.conv1(torch.zeros(1, 1, 32, 32)))
    assert x.shape == (1, 64, size, size)
    assert network.eval()(torch.zeros(1, 1, 32, 32)).shape == (1, 3)


@torch.no_grad()
def test_global_pool_takes_the_mean_or_the_maximum():
    x = torch.randn(2, 3, 12, 12)
    for kind, reduce in (("avg", lambda m: m.mean((2, 3))), ("max", lambda m: m.amax((2, 3)))):
        network = SmallResNet(global_pool=kind).eval()
        maps = []
        network.layer3.register_forward_hook(lambda *call, maps=maps: maps.append(call[-1]))
        torch.testing.assert_close(network(x), network.fc(reduce(maps[0])))
    assert isinstance(resnet(depth=18, global_pool="max").avgpool, nn.AdaptiveMaxPool2d)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 20}, "unknown depth '20'; valid: 101, 152, 18, 34, 50"),
        ({"depth": 18, "stem": "small"}, "unknown stem 'small'; valid: cifar"),
        ({"depth": 18, "global_pool": "sum"}, "unknown global_pool 'sum'; valid: avg, max"),
    ],
)
def test_unknown_choices_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        resnet(**options)


def test_densenet_is_that_of_torchvision():
    with torch.device("meta"):
        ours, theirs = densenet121(classes=9), torchvision.models.densenet121(num_classes=9)
        grey = densenet121(classes=2, in_channels=1)
    shapes = [{k: v.shape for k, v in n.state_dict().items()} for n in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert grey(torch.zeros(1, 1, 64, 64, device="meta")).shape == (1, 2)


def _field(network, size):
    """Side of the input region that the middle of the last map depends on."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.1)
    x = torch.ones(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    maps = []
    network.layer3.register_forward_hook(lambda *call: maps.append(call[-1]))
    network.double().eval()(x)
    middle = maps[0].shape[-1] // 2
    (gradient,) = torch.autograd.grad(maps[0][0, :, middle, middle].sum(), x)
    rows = gradient[0].abs().sum((0, 2)).nonzero()
    return int(rows.max() - rows.min()) + 1


@pytest.mark.parametrize(("blocks", "field"), [((1, 1, 1), 25), ((2, 3, 2), 61)])
def test_small_resnets_see_as_far_as_they_say(blocks, field):
    assert _field(SmallResNet(blocks=blocks), 80) == field


@pytest.mark.parametrize("size", [28, 48, 33])
def test_small_resnets_take_grey_images_of_any_size(size):
    network = SmallResNet(in_channels=1, classes=10)
    assert network(torch.zeros(2, 1, size, size)).shape == (2, 10)
    assert [n for n, _ in network.named_children()][:3] == ["conv1", "bn1", "relu"]
