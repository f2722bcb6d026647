"""VGG13 and VGG16: torchvision's layers, the widths of the theses, heads for both sizes."""

import math

import pytest
import torch
import torchvision
from torch import nn

from thesisbench.backbones.vgg import VGG
from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.instantiate import make


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


def composed(name, **changes):
    words = [f"backbone.{key}={value}" for key, value in changes.items()]
    return make(
        Composer().compose(["kind=analytic", f"backbone={name}", *words]).config["backbone"]
    )


IMAGENET = {"head": "three_layers", "classes": 1000}


@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg16_for_imagenet_is_torchvisions(batch_norm):
    make_theirs = torchvision.models.vgg16_bn if batch_norm else torchvision.models.vgg16
    with torch.device("meta"):
        ours, theirs = composed("vgg16", **IMAGENET, batch_norm=batch_norm), make_theirs()
    shapes = [{k: v.shape for k, v in n.state_dict().items()} for n in (ours, theirs)]
    assert shapes[0] == shapes[1]
    published = {False: 138_357_544, True: 138_365_992}[batch_norm]
    assert sum(p.numel() for p in ours.parameters()) == published
    assert [type(m) for m in ours.classifier] == [type(m) for m in theirs.classifier]


def test_the_large_head_takes_images_of_224_and_draws_as_torchvision():
    torch.manual_seed(0)
    network = VGG(widths=((8,), (8,)), classes=5, head="three_layers").eval()
    assert network(torch.zeros(1, 3, 56, 40)).shape == (1, 5)
    first = network.classifier[0]
    assert first.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert not first.bias.any()


@pytest.mark.parametrize(
    ("name", "convolutions", "parameters"),
    [
        ("vgg16", 13, 14_714_688 + 2 * 4224 + 512 * 100 + 100),
        ("vgg_mini", 6, 9 * (3 * 16 + 16 * 48 + 32 * 96 + 64 * 64) + 3 * 224 + 64 * 10 + 10),
    ],
)
def test_networks_of_liu_have_their_convolutions(name, convolutions, parameters):
    with torch.device("meta"):
        network = composed(name)
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == convolutions
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network.features[0].weight.shape[1] == 3


def test_the_mini_resnet_has_thirteen_convolutions_in_its_main_path():
    network = composed("resnet_mini")
    widths = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    shortcuts = sum(m.kernel_size == (1, 1) for m in network.modules() if hasattr(m, "kernel_size"))
    assert (len(widths), shortcuts) == (1 + 3 * 2 * 2 + 2, 2)
    assert set(widths) == {16, 32, 64}
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(("fan", "channels"), [("in", 64), ("out", 256)])
def test_the_fan_says_what_the_variance_is_two_over(fan, channels):
    torch.manual_seed(0)
    conv = VGG(widths=((64,), (256,)), fan=fan, batch_norm=False).features[3]
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * channels)), rel=0.01)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"head": "small"}, "unknown head 'small'; valid: linear, three_layers"),
        ({"fan": "both"}, "unknown fan 'both'; valid: in, out"),
    ],
)
def test_unknown_choices_are_refused(changes, text):
    with pytest.raises(UserError, match=text):
        VGG(**changes)
