"""Crops of given boxes: nothing outside of them matters, and the logits are the classifier's."""

from __future__ import annotations

import pytest
import torch
from tiny_boxes import squares, target
from torch import nn
from torch.nn import functional as F  # noqa: N812

from thesisbench.backbones.alexnet import AlexNet
from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.detection.crop_classifier import CropClassifier
from thesisbench.detection.detector import MEAN, STD
from thesisbench.detection.hide import hide_background
from thesisbench.errors import UserError


def classifier(side: int = 16) -> CropClassifier:
    torch.manual_seed(0)
    return CropClassifier(SmallResNet(classes=5), classes=5, side=side).eval()


BOXES = torch.tensor(
    [[3.0, 4, 20, 30], [3.4, 4.6, 20.5, 30.49], [0, 0, 64, 48], [10.2, 10.2, 10.9, 10.9]]
)


def test_a_crop_is_the_normalised_resized_box() -> None:
    image = torch.rand(3, 48, 64)
    found = classifier().crop(image, BOXES[0])
    piece = (image[None, :, 4:30, 3:20] - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(
        STD
    ).view(3, 1, 1)
    wanted = F.interpolate(piece, size=(16, 16), mode="bilinear", antialias=True)[0]
    torch.testing.assert_close(found, wanted)
    whole = classifier(20).crop(image[:, :20, :20], torch.tensor([0.0, 0, 20, 20]))
    back = whole * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    torch.testing.assert_close(back, image[:, :20, :20])


def test_logits_do_not_change_whatever_surrounds_the_boxes() -> None:
    """Bit by bit, for boxes between pixels, too (claim 1 of chapter 3)."""
    network, image = classifier(), torch.rand(3, 48, 64)
    (wanted,) = network.classify([image], [BOXES])
    for pixels in (0, 5, 100):
        hidden = hide_background(image, BOXES[:3], torch.full((3,), pixels))
        found = network.classify(list(hidden), list(BOXES[:3].split(1)))
        assert torch.equal(torch.cat(found), wanted[:3])
    outside = torch.rand_like(image)
    outside[:, 4:30, 3:20] = image[:, 4:30, 3:20]
    (found_outside,) = network.classify([outside], [BOXES[:1]])
    torch.testing.assert_close(found_outside, wanted[:1])


def test_a_box_without_a_pixel_takes_the_nearest_and_one_outside_does_not_fail() -> None:
    network, image = classifier(), torch.rand(3, 48, 64)
    odd = torch.tensor([[10.2, 10.2, 10.4, 10.4], [-20.0, 5, -10, 9], [70, 50, 90, 60]])
    (found,) = network.classify([image], [odd])
    assert found.shape == (3, 5)
    assert torch.isfinite(found).all()
    corner = network.crop(image, odd[2])
    assert (corner == corner[:, :1, :1]).all(), "one pixel, the last"


def test_logits_come_image_by_image() -> None:
    network = classifier()
    images, targets = squares()
    found = network.classify(images, [one["boxes"] for one in targets])
    assert [one.shape for one in found] == [(2, 5), (1, 5)]
    alone = network.classify(images[1:], [targets[1]["boxes"]])
    torch.testing.assert_close(found[1], alone[0])
    none = network.classify(images, [torch.zeros(0, 4)] * 2)
    assert [one.shape for one in none] == [(0, 5), (0, 5)]
    assert network(*images).shape == (2, 5)


def test_the_loss_is_the_mean_over_boxes_that_train() -> None:
    network = classifier()
    images, targets = squares()
    logits = torch.cat(network.classify(images, [one["boxes"] for one in targets]))
    wanted = F.cross_entropy(logits, torch.tensor([0, 1, 2]))
    crowd = target([[0, 0, 60, 60]], [4], crowd=[True])
    more = [
        {name: torch.cat([targets[0][name], crowd[name]]) for name in crowd},
        {name: targets[1][name] for name in crowd},
    ]
    for given in (targets, more):
        torch.testing.assert_close(network.losses(images, given)["loss_class"], wanted)
    network.losses(images, targets)["loss_class"].backward()
    assert all(p.grad is not None for p in network.parameters())


def test_a_batch_without_a_box_trains() -> None:
    network = classifier().train()
    loss = network.losses(squares()[0], [target([], [])] * 2)["loss_class"]
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(p.grad is not None and not p.grad.any() for p in network.parameters())


def test_alexnet_takes_crops_of_227() -> None:
    with torch.device("meta"):
        network = CropClassifier(AlexNet(classes=80), classes=80)
        assert network.network(torch.zeros(1, 3, network.side, network.side)).shape == (1, 80)
    assert isinstance(network.varied, AlexNet)
    with pytest.raises(UserError, match="side=0"):
        CropClassifier(nn.Identity(), classes=2, side=0)


def test_other_outputs_than_classes_are_refused() -> None:
    network = CropClassifier(SmallResNet(classes=5), classes=4, side=16)
    with pytest.raises(UserError, match=r"5 outputs for 4 classes; set backbone\.classes=4"):
        network(torch.rand(3, 20, 20))
