"""Maps of backbones for detectors: stages found, sizes and places kept under every border."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny_boxes import option
from torch import nn

from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.detection.features import Levels, Pyramid, freeze_norms, padded, train_last
from thesisbench.errors import UserError
from thesisbench.instantiate import make
from thesisbench.layers.border import convert_border

STAGES = {  # strides and channels of the last four stages
    "resnet18": ((4, 8, 16, 32), (64, 128, 256, 512)),
    "resnet50": ((4, 8, 16, 32), (256, 512, 1024, 2048)),
    "vgg16": ((4, 8, 16, 32), (256, 512, 512, 512)),
    "mobilenet_v2": ((4, 8, 16, 32), (24, 32, 96, 1280)),
    "darknet53": ((4, 8, 16, 32), (128, 256, 512, 1024)),
    "tiny_darknet": ((1, 2, 4, 8), (16, 32, 64, 128)),
}


@pytest.mark.parametrize("name", STAGES)
def test_stages_of_backbones_have_their_strides_and_channels(name: str) -> None:
    with torch.device("meta"):
        levels = Levels(make(option("backbone", name)), levels=4)
        maps = levels(torch.zeros(2, 3, 96, 64))
    assert (levels.strides, levels.channels) == STAGES[name]
    for (name, one), stride, channels in zip(
        maps.items(), levels.strides, levels.channels, strict=True
    ):
        assert one.shape == (2, channels, 96 // stride, 64 // stride), name


def test_a_network_whose_parts_do_not_follow_each_other_is_refused() -> None:
    with pytest.raises(UserError, match="cannot take maps from SegNet"):
        Levels(make(option("backbone", "tiny_segnet")), levels=1)
    with pytest.raises(UserError, match="cannot take maps from DeepLab"):
        Levels(make(option("backbone", "tiny_deeplab")), levels=1)
    with pytest.raises(UserError, match=r"levels=4: SmallResNet has stages of strides \[1, 2, 4\]"):
        Levels(SmallResNet(), levels=4)


@pytest.mark.parametrize("border", ["full", "valid"])
@pytest.mark.parametrize("size", [(96, 96), (92, 104)])
def test_maps_lie_where_those_of_same_convolutions_lie(border: str, size: tuple[int, int]) -> None:
    """The inner positions, which no border has reached, are equal: at 25 pixels reach, 4 cells."""
    torch.manual_seed(0)
    same = Levels(SmallResNet(), levels=3).eval()
    other = copy.deepcopy(same)
    convert_border(other, border=border)  # type: ignore[arg-type]
    images = torch.rand(1, 3, *size)
    with torch.no_grad():
        wanted, found = same(images), other(images)
    for name, stride in zip(wanted, same.strides, strict=True):
        assert found[name].shape == wanted[name].shape
        edge = 28 // stride
        inner = (..., slice(edge, -edge), slice(edge, -edge))
        torch.testing.assert_close(found[name][inner], wanted[name][inner])
        assert not torch.equal(found[name], wanted[name]), "the borders differ"


def test_a_pyramid_has_one_width_and_its_convolutions_keep_their_border() -> None:
    torch.manual_seed(0)
    pyramid = Pyramid(SmallResNet(), levels=2, channels=8, extra="p6p7").eval()
    before = [conv.padding for conv in pyramid.modules() if isinstance(conv, nn.Conv2d)]
    maps = pyramid(torch.rand(1, 3, 64, 64))
    assert [tuple(m.shape[1:]) for m in maps.values()] == [(8, n, n) for n in (32, 16, 8, 4)]
    assert (pyramid.count, pyramid.out_channels) == (4, 8)
    assert convert_border(pyramid, border="full") == 7, "those of the backbone"
    after = [conv.padding for conv in pyramid.modules() if isinstance(conv, nn.Conv2d)]
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 7
    full = pyramid(torch.rand(1, 3, 64, 64))
    assert [m.shape for m in full.values()] == [m.shape for m in maps.values()]


def test_without_a_pyramid_the_last_map_is_taken() -> None:
    pyramid = Pyramid(SmallResNet(), levels=1, channels=0, extra="none").eval()
    assert pyramid(torch.rand(1, 3, 32, 32))["0"].shape == (1, 64, 8, 8)
    with pytest.raises(UserError, match="one map without a pyramid"):
        Pyramid(SmallResNet(), levels=2, channels=0, extra="none")
    with pytest.raises(UserError, match="extra"):
        Pyramid(SmallResNet(), levels=2, extra="more")


def test_frozen_normalisations_compute_as_those_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    network = SmallResNet()
    for _ in range(3):
        network(torch.rand(4, 3, 32, 32))
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        wanted = network.eval()(images)
    names = {n for n in network.state_dict() if "num_batches" not in n}
    assert freeze_norms(network, eps=1e-5) == 9
    assert set(network.state_dict()) == names
    torch.testing.assert_close(network.train()(images), wanted)


def test_only_the_last_parts_train() -> None:
    network = SmallResNet()
    train_last(network, 2)
    trained = {n.split(".")[0] for n, p in network.named_parameters() if p.requires_grad}
    assert trained == {"layer3", "fc"}
    with pytest.raises(UserError, match="trainable=-1"):
        train_last(network, -1)


def test_images_of_several_sizes_are_padded_to_a_multiple() -> None:
    images = [torch.ones(3, 5, 9), torch.ones(3, 7, 2)]
    batch = padded(images, 4)
    assert batch.shape == (2, 3, 8, 12)
    assert batch.sum((1, 2, 3)).tolist() == [3 * 45, 3 * 14]
    assert torch.equal(batch[1, :, :7, :2], images[1])
