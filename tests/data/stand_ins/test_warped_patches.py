"""The stand-in of the Brown patches: spectra, warps, pairs, and what it depends on."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.stand_ins import warped_patches
from thesisbench.data.stand_ins.warped_patches import (
    fractal_textures,
    labelled_pairs,
    matching_pairs,
    random_views,
    warped_patches_splits,
)
from thesisbench.errors import UserError

SMALL = {"n_triplets": 60, "n_points": 12, "n_test": 40}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("slope", [0.0, 0.8, 1.4])
def test_amplitudes_of_a_texture_fall_with_the_slope(slope: float) -> None:
    textures = fractal_textures(300, slope=slope, generator=seeded())
    power = torch.fft.rfft2(textures).abs().square().mean((0, 1))
    low, high = power[0, 4], power[0, 32]  # 3 octaves
    assert float((low / high).log2()) == pytest.approx(2 * slope * 3, abs=0.5)
    torch.testing.assert_close(textures.mean((1, 2, 3)), torch.zeros(300), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        textures.square().mean((1, 2, 3)), torch.ones(300), atol=1e-3, rtol=0
    )


def test_a_view_without_any_change_is_the_middle_of_the_texture_at_half_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ANGLE", "SCALE", "SHIFT", "GAIN", "BIAS"):
        monkeypatch.setattr(warped_patches, name, 0.0)
    textures = fractal_textures(3, slope=1.0, generator=seeded())
    views = random_views(textures, generator=seeded(1), noise=0.0)
    middle = F.avg_pool2d(textures[:, :, 16:80, 16:80], 2)
    torch.testing.assert_close(views, middle, atol=1e-4, rtol=1e-4)


def test_a_view_is_turned_scaled_and_shifted_about_the_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A texture that says where it is: its value at (x, y) is 100 x + y."""
    monkeypatch.setattr(warped_patches, "GAIN", 0.0)
    monkeypatch.setattr(warped_patches, "BIAS", 0.0)
    place = torch.arange(96.0) - 47.5
    texture = (100 * place[None, :] + place[:, None]).expand(500, 1, 96, 96)
    views = random_views(texture, generator=seeded(), noise=0.0)[:, 0]
    right = (views[:, :, -1] - views[:, :, 0]).mean(1) / 62  # along a row, for each pixel
    down = (views[:, -1] - views[:, 0]).mean(1) / 62
    cos, sin = (right * 100 + down) / 10001, (right - down * 100) / 10001
    angle, scale = torch.atan2(sin, cos).rad2deg(), torch.hypot(sin, cos)
    centre = views.mean((1, 2))
    x = (centre / 100).round(decimals=0)
    for found, middle, reach in ((angle, 0.0, 15.0), (scale, 1.0, 0.1)):
        assert float((found - middle).abs().max()) <= reach * 1.001
        assert float((found - middle).abs().max()) > 0.97 * reach
        assert abs(float((found - middle).mean())) < 0.1 * reach
    assert float(centre.abs().max()) <= 303.001
    assert {float(v) for v in x.unique()} == {-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0}


def test_no_view_reaches_beyond_its_texture() -> None:
    """Even a window turned by 15 degrees, at the largest scale and shift."""
    half = 32 * 1.1 * (math.cos(math.radians(15)) + math.sin(math.radians(15))) + 3
    assert half < warped_patches.TEXTURE / 2


def test_gain_bias_and_noise_change_a_view() -> None:
    constant = torch.ones(1, 1, 96, 96).expand(400, 1, 96, 96)
    views = random_views(constant, generator=seeded(), noise=0.0)
    assert float(views.amin()) > 1 - 0.7
    assert float(views.amax()) < 1 + 0.7
    assert float(views.mean((1, 2, 3)).std()) == pytest.approx(
        math.sqrt((0.2**2 + 0.5**2) / 3), rel=0.1
    )
    noisy = random_views(constant, generator=seeded(), noise=0.3)
    assert float((noisy - views).std()) == pytest.approx(0.3, rel=0.02)


def test_matching_pairs_are_two_views_of_the_point_that_they_say() -> None:
    first, second, point = matching_pairs(900, points=12, views=3, generator=seeded()).T
    assert bool((first != second).all())
    assert torch.equal(first // 3, point)
    assert torch.equal(second // 3, point)
    seen = {(int(a), int(b)) for a, b in zip(first, second, strict=True)}
    assert len(seen) == 12 * 3 * 2, "every ordered pair occurs"


def test_fewer_pairs_are_the_first_of_more() -> None:
    many = matching_pairs(2000, points=500, views=4, generator=seeded())
    for n in (1, 250, 1000):
        few = matching_pairs(n, points=500, views=4, generator=seeded())
        assert torch.equal(few, many[:n])


def test_labelled_pairs_are_half_of_one_point_and_half_of_two() -> None:
    first, second, label = labelled_pairs(801, points=5, views=2, generator=seeded()).T
    assert label.tolist() == [1, 0] * 400 + [1]
    same = first // 2 == second // 2
    assert torch.equal(same, label == 1)
    assert bool((first != second).all())
    others = {(int(a) // 2, int(b) // 2) for a, b in zip(first[1::2], second[1::2], strict=True)}
    assert len(others) == 5 * 4


def test_each_scene_is_trained_on_once_and_tested_on_twice() -> None:
    def scenes(train_set: int) -> dict[str, torch.Tensor]:
        splits = warped_patches_splits(train_set=train_set, data_seed=3, **SMALL)
        return {name: patches for name, (patches, _) in splits.items()}

    one, two, three = scenes(1), scenes(2), scenes(3)
    assert torch.equal(one["train"], two["test_a"])
    assert torch.equal(one["train"], three["test_a"])
    assert torch.equal(two["train"], one["test_a"])
    assert torch.equal(two["train"], three["test_b"])
    assert torch.equal(three["train"], one["test_b"])
    assert torch.equal(three["train"], two["test_b"])
    assert one["train"].shape == (48, 1, 32, 32)
    roughness = [float(x["train"].diff(dim=-1).square().mean()) for x in (one, two, three)]
    assert len(set(roughness)) == 3


def test_the_data_depend_on_their_seed_alone() -> None:
    def made(**changes: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        return warped_patches_splits(**{"train_set": 1, "data_seed": 4, **SMALL, **changes})

    before = made()
    torch.manual_seed(99)
    for name, (patches, pairs) in made().items():
        assert torch.equal(patches, before[name][0])
        assert torch.equal(pairs, before[name][1])
    assert not torch.equal(made(data_seed=5)["train"][0], before["train"][0])
    fewer = made(n_triplets=10)
    assert torch.equal(fewer["train"][1], before["train"][1][:10])
    assert torch.equal(fewer["test_b"][1], before["test_b"][1])


def test_views_of_a_point_are_more_alike_than_those_of_others() -> None:
    splits = warped_patches_splits(train_set=2, data_seed=0, noise=0.0, **SMALL)
    patches, pairs = splits["test_a"]
    flat = F.normalize((patches - patches.mean((2, 3), keepdim=True)).flatten(1))
    first, second, label = pairs.T
    alike = (flat[first] * flat[second]).sum(1)
    assert float(alike[label == 1].mean()) > float(alike[label == 0].mean()) + 0.2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"train_set": 0}, "train_set=0 must be 1, 2 or 3"),
        ({"train_set": None}, "train_set=None must be 1, 2 or 3"),
        ({"n_triplets": 0}, "n_triplets=0 makes no pairs: at least 1"),
        ({"views": 1}, "views=1 makes no pairs: at least 2"),
    ],
)
def test_what_makes_no_pairs_is_refused(changes: dict[str, int], text: str) -> None:
    with pytest.raises(UserError, match=text):
        warped_patches_splits(**{"train_set": 1, "data_seed": 0, **SMALL, **changes})
