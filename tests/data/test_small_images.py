"""Crop, flip and normalisation of whole batches, against a loop over samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from thesisbench.data.arrays import ArrayDataset, Loading, make_loader
from thesisbench.data.draws import uniform
from thesisbench.data.small_images import CropAndFlip, Normalize, crop

KEYS = [(2, 5), (2, 0), (3, 5), (2, 11), (0, 1)]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (5, 3, 8, 6), generator=torch.Generator().manual_seed(0)).byte()


def test_crops_are_those_of_torchvision(images: torch.Tensor) -> None:
    top, left = torch.tensor([0, 4, 2, 1, 3]), torch.tensor([4, 0, 1, 2, 2])
    found = crop(images, top, left, padding=2)
    for image, y, x, ours in zip(images, top.tolist(), left.tolist(), found, strict=True):
        assert torch.equal(ours, tv.crop(tv.pad(image, [2]), y, x, 8, 6))


def test_augmentation_is_a_loop_over_samples(images: torch.Tensor) -> None:
    labels = torch.arange(5)
    (found,), targets = CropAndFlip(padding=2)(((images,), labels), KEYS, 8)
    assert found.dtype == torch.uint8
    assert torch.equal(targets, labels)
    turned = []
    for image, key, ours in zip(images, KEYS, found, strict=True):
        y, x, flip = uniform(8, [key], 3)[0].tolist()
        expected = tv.crop(tv.pad(image, [2]), int(5 * y), int(5 * x), 8, 6)
        turned.append(flip < 0.5)
        assert torch.equal(ours, tv.hflip(expected) if turned[-1] else expected)
    assert len(set(turned)) == 2, "the keys show both"


def test_all_places_and_both_sides_are_equally_likely() -> None:
    image = torch.zeros(1, 1, 3, 3, dtype=torch.uint8)
    image[0, 0, 1, 1] = 1
    images, keys = image.expand(9000, 1, 3, 3), [(0, i) for i in range(9000)]
    (found,), _ = CropAndFlip(padding=1)(((images,), torch.zeros(9000)), keys, 0)
    share = found.float().mean(0)[0]
    assert (share - 1 / 9).abs().max() < 0.015


def test_padding_of_none_leaves_images_as_they_are(images: torch.Tensor) -> None:
    (found,), _ = CropAndFlip(padding=0, flip=False)(((images,), torch.arange(5)), KEYS, 8)
    assert torch.equal(found, images)


def test_normalised_numbers_are_those_of_torchvision(images: torch.Tensor) -> None:
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
    expected = tv.normalize(tv.to_dtype(images, torch.float32, scale=True), mean, std)
    assert torch.allclose(Normalize(mean=mean, std=std)(images), expected, atol=1e-6)


def batches(workers: int, images: Any, labels: Any) -> list[torch.Tensor]:
    dataset = ArrayDataset(
        images,
        labels,
        transform=CropAndFlip(padding=2),
        finish=Normalize(mean=[0.5] * 3, std=[0.2] * 3),
        seed=3,
    )
    loader = make_loader(dataset, Loading(batch_size=2, seed=3, workers=workers), train=True)
    return [x for (x,), _ in loader]


def test_loader_processes_load_the_same_as_none(images: torch.Tensor) -> None:
    alone, two = (batches(w, images, torch.arange(5)) for w in (0, 2))
    assert all(torch.equal(a, b) for a, b in zip(alone, two, strict=True))
    assert all(a.dtype == torch.float32 for a in alone)


def test_finish_is_applied_after_augmentation(images: torch.Tensor) -> None:
    found = np.concatenate([x.numpy() for x in batches(0, images, torch.arange(5))])
    black = (0 - 0.5) / 0.2
    assert np.isclose(found, black, atol=1e-5).any(), "the frame is black before normalisation"
