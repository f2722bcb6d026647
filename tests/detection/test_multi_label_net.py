"""Which classes an image has: images of any size, and what is true of a target."""

from __future__ import annotations

import pytest
import torch
from tiny_boxes import target

from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.detection.detector import MEAN, STD
from thesisbench.detection.multi_label import MultiLabelNet, presence
from thesisbench.errors import UserError


def test_only_present_parts_are_present() -> None:
    bike = target(
        [[0, 0, 5, 5], [1, 1, 6, 6], [2, 2, 7, 7], [3, 3, 8, 8]], [0, 2, 3, 4], state=[0, 1, 2, 3]
    )
    crowd = target([[0, 0, 5, 5]], [1], crowd=[True])
    assert presence([bike, crowd, target([], [])], 5).tolist() == [
        *([1, 0, 1, 0, 0], [0] * 5, [0] * 5)
    ]


def test_images_are_normalised_and_resized() -> None:
    torch.manual_seed(0)
    network = MultiLabelNet(SmallResNet(classes=4), classes=4, side=16).eval()
    images = [torch.rand(3, 16, 16), torch.rand(3, 40, 20)]
    found = network(*images)
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (MEAN, STD))
    torch.testing.assert_close(found[:1], network.network(((images[0] - mean) / std)[None]))
    assert found.shape == (2, 4)
    as_they_are = MultiLabelNet(network.network, classes=4, side=None)
    torch.testing.assert_close(as_they_are(images[0]), found[:1])
    with pytest.raises(UserError, match=r"2 sizes: set detector\.side"):
        as_they_are(*images)
    with pytest.raises(UserError, match=r"4 outputs for 7 classes; set backbone\.classes=7"):
        MultiLabelNet(network.network, classes=7)(images[0])
