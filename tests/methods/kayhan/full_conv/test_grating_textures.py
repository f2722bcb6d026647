"""Grating textures: normalised, random, and with the orientation of their class."""

from __future__ import annotations

import math

import pytest
import torch

from thesisbench.errors import UserError
from thesisbench.methods.kayhan.full_conv.grating_textures import (
    grating_textures,
    oriented_texture_splits,
)


def test_textures_have_mean_0_and_deviation_1_and_follow_the_seed() -> None:
    textures = grating_textures(20, side=14, seed=5)
    assert textures.dtype == torch.float32
    assert textures.mean((1, 2, 3)).abs().max() < 1e-5
    assert (textures.std((1, 2, 3), correction=0) - 1).abs().max() < 1e-5
    assert torch.equal(textures, grating_textures(20, side=14, seed=5))
    assert not torch.equal(textures, grating_textures(20, side=14, seed=6))


def test_textures_are_sums_of_gratings_and_no_noise() -> None:
    """A texture's spectrum lies below the highest frequency of a grating, 0.35 cycles a pixel."""
    power = torch.fft.fft2(grating_textures(50, side=64, seed=0)).abs().square().mean((0, 1))
    place = torch.fft.fftfreq(64)
    radius = (place[:, None].square() + place.square()).sqrt()
    assert power[radius > 0.45].sum() < 0.01 * power.sum()
    assert power[radius < 0.36].sum() > 0.9 * power.sum()


def test_the_orientation_of_a_class_is_that_of_its_gradients() -> None:
    """The structure tensor's angle, on average over the textures of a class."""
    images, labels = oriented_texture_splits(data_seed=1, n_train=80, n_val=8, classes=4)["train"]
    dy, dx = torch.gradient(images, dim=(2, 3))
    double = torch.atan2((2 * dx * dy).mean((1, 2, 3)), (dx**2 - dy**2).mean((1, 2, 3)))
    for label in range(4):
        wanted = 2 * math.pi * label / 4
        off = torch.remainder(double[labels == label] - wanted + math.pi, 2 * math.pi) - math.pi
        assert off.mean().abs() < 0.3
        assert off.abs().max() < math.pi / 4 + 0.3


def test_splits_differ_and_need_two_classes() -> None:
    splits = oriented_texture_splits(data_seed=1, n_train=8, n_val=8)
    assert not torch.equal(splits["train"][0], splits["val"][0])
    assert splits["val"][1].tolist() == list(range(8))
    with pytest.raises(UserError, match="classes=1"):
        oriented_texture_splits(data_seed=1, n_train=8, n_val=8, classes=1)
