"""VGG13: torchvision's layers, the widths of the thesis, a head for small images."""

import pytest
import torch
import torchvision
from torch import nn

from thesisbench.backbones.vgg import VGG


def test_vgg13_has_the_convolutions_of_torchvision():
    with torch.device("meta"):
        ours, theirs = VGG(), torchvision.models.vgg13_bn()
    shapes = [{k: v.shape for k, v in n.features.state_dict().items()} for n in (ours, theirs)]
    assert shapes[0] == shapes[1]
    widths = [m.out_channels for m in ours.features if isinstance(m, nn.Conv2d)]
    assert widths == [64, 64, 128, 128, 256, 256, 512, 512, 512, 512]
    assert sum(isinstance(m, nn.MaxPool2d) for m in ours.features) == 5


@torch.no_grad()
def test_vgg13_computes_what_torchvision_computes_before_its_head():
    torch.manual_seed(0)
    theirs = torchvision.models.vgg13_bn().features.eval()
    ours = VGG(classes=7).eval()
    ours.features.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(1, 3, 64, 32)
    expected = ours.classifier(theirs(x).mean((2, 3)))
    torch.testing.assert_close(ours(x), expected)


def test_parameters_by_hand():
    pairs = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    pairs += [(256, 512), (512, 512), (512, 512), (512, 512)]
    convs = sum(9 * a * b + b + 2 * b for a, b in pairs)
    with torch.device("meta"):
        network = VGG()
    assert sum(p.numel() for p in network.parameters()) == convs + 512 * 100 + 100


@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 32), (3, 48)])
def test_small_vggs_take_images_of_any_size_and_colour(channels, size):
    network = VGG(widths=((4,), (8,)), classes=6, in_channels=channels, batch_norm=False)
    assert network(torch.zeros(2, channels, size, size)).shape == (2, 6)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
