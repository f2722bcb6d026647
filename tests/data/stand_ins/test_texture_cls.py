"""Texture classes: what tells a class is in the image, and nothing else is."""

import math

import numpy as np
import pytest
import torch

from thesisbench.data.stand_ins.texture_cls import (
    HIGHEST,
    LOWEST,
    Textures,
    class_textures,
    texture_cls_splits,
)
from thesisbench.errors import UserError

SMALL = {"data_seed": 1003, "n_train": 64, "n_test": 48}


@pytest.fixture(scope="module")
def splits():
    return texture_cls_splits(**SMALL, n_val=16)


def test_splits_have_classes_in_turn_and_bytes(splits):
    for name, count, side in (
        ("train", 64, 32),
        ("val", 16, 32),
        ("test", 48, 32),
        ("wide", 48, 40),
    ):
        images, labels = splits[name]
        assert images.shape == (count, 3, side, side)
        assert images.dtype == torch.uint8
        assert labels.tolist() == [i % 16 for i in range(count)]
    assert "val" not in texture_cls_splits(**SMALL)


def test_test_images_are_the_middle_of_wide_ones(splits):
    assert torch.equal(splits["wide"][0][..., 4:36, 4:36], splits["test"][0])


def test_seeds_tell_the_images_and_splits_share_none(splits):
    again, other = texture_cls_splits(**SMALL), texture_cls_splits(**{**SMALL, "data_seed": 4})
    assert torch.equal(again["train"][0], splits["train"][0])
    assert not torch.equal(other["train"][0], splits["train"][0])
    seen = [
        image.numpy().tobytes() for name in ("train", "val", "test") for image in splits[name][0]
    ]
    assert len(set(seen)) == 64 + 16 + 48


@pytest.mark.parametrize("classes", [12, 16, 20])
def test_classes_differ_in_angle_or_frequency_within_the_range(classes):
    textures = class_textures(classes)
    assert len({tuple(t) for t in textures.tolist()}) == classes
    assert textures[:, 1].min() == pytest.approx(LOWEST)
    assert textures[:, 1].max() == pytest.approx(HIGHEST)
    assert (textures[:, 1] > 0.25).double().mean() >= 0.5  # of these a half-size image has no room


def test_the_spectrum_peaks_at_the_texture_of_the_class():
    make = Textures(classes=16, side=32, difficulty=0.0)
    images, labels = make(64, seed=3)
    grey = images.double().mean(1)
    spectrum = torch.fft.fft2(grey - grey.mean((1, 2), keepdim=True)).abs()
    fy, fx = np.meshgrid(*[np.fft.fftfreq(32)] * 2, indexing="ij")
    spectrum[:, torch.from_numpy(np.hypot(fy, fx) < 0.1)] = 0  # blob and background
    for image, label in zip(spectrum, labels.tolist(), strict=True):
        peak = int(image.argmax())
        angle, frequency = class_textures(16)[label].tolist()
        across, down = frequency * math.cos(angle), frequency * math.sin(angle)
        seen = np.array([fx.flat[peak], fy.flat[peak]])
        wanted = np.array([across, down])
        away = min(np.abs(seen - s * wanted - np.round(seen - s * wanted)).max() for s in (1, -1))
        assert away < 0.05, (label, seen, wanted)


def test_colour_and_brightness_tell_nothing():
    images, labels = Textures(classes=16, side=32, difficulty=1.0)(3200, seed=9)
    means = images.double().mean((2, 3))
    by_class = torch.stack([means[labels == k].mean(0) for k in range(16)])
    standard_error = means.std(0) / math.sqrt(200)
    assert (by_class.std(0) < 1.6 * standard_error).all()


def test_a_tint_colours_the_blob_by_its_class_and_changes_nothing_else():
    labels = torch.arange(1600) % 8
    drawn = {}
    for tint in (0.0, 0.2):
        make = Textures(classes=8, side=32, difficulty=0.5, tint=tint)
        drawn[tint] = make.render(labels, torch.Generator().manual_seed(3))
    tinted = (drawn[0.2] - drawn[0.0]).double()
    assert tinted[..., 0, 0].abs().max() < 0.01, "the corner is background"
    centre = tinted[..., 15:17, 15:17].mean((2, 3))
    assert centre.sum(1).abs().max() < 1e-5, "a hue: as bright as before"
    for label in range(8):
        angles = [2 * math.pi * (label / 8 + k / 3) for k in range(3)]
        # The hue strays by half a radian (one standard deviation): the mean shrinks by exp(-1/8).
        wanted = [0.2 * math.exp(-1 / 8) * math.cos(angle) for angle in angles]
        assert centre[labels == label].mean(0).tolist() == pytest.approx(wanted, abs=0.02)
    plain = texture_cls_splits(**SMALL)
    same = texture_cls_splits(**SMALL, tint=0.0)
    assert all(torch.equal(plain[name][0], same[name][0]) for name in plain)
    with pytest.raises(UserError, match=r"tint=-0\.1 must be at least 0"):
        texture_cls_splits(data_seed=0, tint=-0.1)


def test_difficulty_adds_noise():
    def roughness(difficulty):
        images, _ = Textures(classes=16, side=32, difficulty=difficulty)(64, seed=1)
        corner = images[..., :4, :4].double()
        return (corner[..., 1:] - corner[..., :-1]).abs().mean().item()

    easy, usual, hard = map(roughness, (0.0, 1.0, 2.0))
    assert easy < 3
    assert hard > 1.7 * usual > 10 * easy / 3


def test_a_style_changes_every_split():
    plain = texture_cls_splits(**SMALL)
    dark = texture_cls_splits(**SMALL, style=lambda images: images / 2)
    for name in plain:
        halved = (plain[name][0].double() / 2).round()
        assert (dark[name][0].double() - halved).abs().max() <= 1


def test_bad_arguments_are_said():
    with pytest.raises(UserError, match="classes=7 must be an even number from 4 to 40"):
        texture_cls_splits(data_seed=0, classes=7)
    with pytest.raises(UserError, match="reach=3 must be an even number"):
        texture_cls_splits(data_seed=0, reach=3)
    with pytest.raises(UserError, match="at least 1"):
        texture_cls_splits(data_seed=0, n_train=0)
    with pytest.raises(UserError, match="difficulty=-1"):
        texture_cls_splits(data_seed=0, difficulty=-1)
