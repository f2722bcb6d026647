"""DeepLab against torchvision's, its sizes on the meta device, and starts from classifiers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import resnet50
from torchvision.models.segmentation import deeplabv3_resnet50

from thesisbench.backbones.deeplab import deeplab, tiny_deeplab
from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.errors import UserError
from thesisbench.layers.border import convert_border
from thesisbench.layers.lift_pool import LiftDownPool2d
from thesisbench.layers.pool_places import ReplacePooling
from thesisbench.layers.residual_border import residual_blocks

OURS = {"backbone.": "encoder.", "classifier.0.": "pyramid.", "classifier.1.": "decoder.0.0."}
OURS |= {"classifier.2.": "decoder.0.1.", "classifier.4.": "decoder.1."}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_v3_at_stride_8_is_torchvisions() -> None:
    torch.manual_seed(0)
    library = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21).eval()
    network = deeplab(plus=False, output_stride=8).eval()
    state = {}
    for key, value in library.state_dict().items():
        prefix = next(p for p in OURS if key.startswith(p))
        state[OURS[prefix] + key.removeprefix(prefix)] = value
    network.load_state_dict(state)
    images = torch.randn(1, 3, 48, 56)
    with torch.no_grad():
        torch.testing.assert_close(network(images), library(images)["out"])


@pytest.mark.parametrize(("stride", "last"), [(16, 32), (8, 64)])
@pytest.mark.parametrize("plus", [False, True])
def test_sizes_of_the_thesis(stride: int, last: int, plus: bool) -> None:
    with torch.device("meta"):
        network = deeplab(output_stride=stride, plus=plus).eval()
        images = torch.empty(1, 3, 512, 512)
        low, maps = network.features(images)
        assert low.shape == (1, 256, 128, 128)
        assert maps.shape == (1, 2048, last, last)
        assert network(images).shape == (1, 21, 512, 512)


def test_parameters_are_those_of_the_parts() -> None:
    with torch.device("meta"):
        v3, plus = deeplab(plus=False), deeplab()
        library = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21)
        classifier = resnet50()
    assert count(v3) == count(library)
    encoder = count(classifier) - count(classifier.fc)
    assert count(v3.encoder) == count(plus.encoder) == encoder
    low = 256 * 48 + 2 * 48
    decoder = (9 * 304 * 256 + 512) + (9 * 256 * 256 + 512) + 256 * 21 + 21
    assert count(plus) == encoder + count(v3.pyramid) + low + decoder


def test_the_last_stage_is_dilated_at_stride_16_only_there() -> None:
    with torch.device("meta"):
        network = deeplab()
    dilated = {
        name.split(".")[1]
        for name, m in network.named_modules()
        if isinstance(m, nn.Conv2d) and m.dilation[0] > 1 and name.startswith("encoder")
    }
    assert dilated == {"layer4"}
    rates = [m.dilation[0] for m in network.pyramid.modules() if isinstance(m, nn.Conv2d)]
    assert [r for r in rates if r > 1] == [6, 12, 18]


def test_the_tiny_one_has_stride_4_and_learns_everywhere() -> None:
    torch.manual_seed(0)
    network = tiny_deeplab()
    images = torch.randn(2, 3, 32, 40)
    low, maps = network.features(images)
    assert (low.shape[-2:], maps.shape[-2:]) == ((32, 40), (8, 10))
    logits = network(images)
    assert logits.shape == (2, 5, 32, 40)
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("make", [tiny_deeplab, lambda: deeplab(depth=50)])
def test_drop_ins_find_stem_and_blocks(make) -> None:
    from thesisbench.layers.blur_pool import ConvertBlurPool

    with torch.device("meta"):
        network = make()
        names = set(network.state_dict())
        blocks = residual_blocks(network)
        assert ConvertBlurPool()(network) >= 4
        assert set(network.state_dict()) == names
        images = torch.empty(2, 3, 64, 64)
        assert network(images).shape[-2:] == (64, 64)
    assert len(blocks) == (3 if make is tiny_deeplab else 16)
    assert all(name.startswith("encoder.layer") for name in blocks)


@pytest.mark.parametrize("border", ["same", "full", "valid"])
def test_every_border_fits(border) -> None:
    network = tiny_deeplab().eval()
    assert convert_border(network, border=border) > 0
    logits = network(torch.randn(1, 3, 48, 40))
    assert logits.shape == (1, 5, 48, 40)


def test_an_encoder_takes_the_weights_of_a_classifier() -> None:
    torch.manual_seed(1)
    classifier = SmallResNet()
    network = tiny_deeplab()
    before = network.decoder.state_dict()["0.0.weight"].clone()
    assert network.take_classifier(classifier.state_dict()) == ["fc.bias", "fc.weight"]
    for name, value in network.encoder.state_dict().items():
        assert torch.equal(value, classifier.state_dict()[name])
    assert torch.equal(network.decoder.state_dict()["0.0.weight"], before)


@pytest.mark.parametrize("places", ["strides", "block_input"])
def test_a_dilated_stage_leaves_the_pools_of_its_strides(places: str) -> None:
    convert = ReplacePooling(factory=LiftDownPool2d, places=places)  # type: ignore[arg-type]
    classifier, network = resnet50(), deeplab()
    assert convert(classifier) > convert(network)
    left = network.take_classifier(classifier.state_dict())
    assert all(name.startswith(("fc.", "layer4.")) for name in left)
    assert all(".taps" in name or ".mix" in name for name in left if not name.startswith("fc."))
    own = network.encoder.state_dict()
    taps = [name for name in own if name.endswith("taps")]
    assert taps
    assert all(torch.equal(own[name], classifier.state_dict()[name]) for name in taps)


def test_pools_that_only_one_of_the_two_has_are_missed() -> None:
    network = tiny_deeplab()
    ReplacePooling(factory=LiftDownPool2d)(network)
    with pytest.raises(UserError, match="choose the same backbone and pool"):
        network.take_classifier(SmallResNet().state_dict())
    classifier = SmallResNet()
    ReplacePooling(factory=LiftDownPool2d)(classifier)
    with pytest.raises(UserError, match="choose the same backbone and pool"):
        tiny_deeplab().take_classifier(classifier.state_dict())


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (SmallResNet(blocks=(2, 1, 1)).state_dict(), r"only one of the two has layer1\.1\."),
        (SmallResNet(channels=(16, 32, 48)).state_dict(), r"layer3\..* is \(48"),
        ({}, r"DeepLab: only one of the two has bn1\.bias; choose the same backbone and pool"),
    ],
)
def test_weights_of_another_encoder_are_refused(state, said: str) -> None:
    network = tiny_deeplab()
    with pytest.raises(UserError, match=said):
        network.take_classifier(state)


@pytest.mark.parametrize(
    ("given", "said"), [({"depth": 18}, "depth"), ({"output_stride": 32}, "output_stride")]
)
def test_nonsense_is_refused(given: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=f"unknown {said}"):
        deeplab(**given)
