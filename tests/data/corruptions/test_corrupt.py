"""Corruptions: draws of each image alone, facts of each kind, and slow references."""

from __future__ import annotations

import colorsys
import io

import numpy as np
import pytest
import torch
from PIL import Image

from thesisbench.data.corruptions import blurs, digital, noise, weather
from thesisbench.data.corruptions.corrupt import CORRUPTIONS, corrupt
from thesisbench.data.corruptions.draws import Draws
from thesisbench.data.corruptions.severities import EXTRA, LARGE, SEVERITIES, SMALL, STANDARD
from thesisbench.errors import UserError

EVERY = (*STANDARD, *EXTRA)
DRAWN = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "glass_blur"),
    *("motion_blur", "snow", "frost", "fog", "elastic_transform", "spatter"),
)
KEEP_CONSTANTS = (
    *("gaussian_blur", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "contrast"),
    *("pixelate", "jpeg_compression", "elastic_transform"),
)
DRAWS = Draws.of(range(4), 0)


def photos(b: int = 4, side: int = 32, c: int = 3) -> torch.Tensor:
    """Smooth random images in steps of 1/255."""
    coarse = torch.rand(b, c, 6, 6, generator=torch.Generator().manual_seed(3))
    large = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return (large * 255).round() / 255


def test_there_are_fifteen_and_four_more_at_five_severities() -> None:
    assert len(STANDARD) == 15
    assert set(SMALL) == set(LARGE) == set(CORRUPTIONS) == set(EVERY)
    assert all(len(levels) == 5 for table in (SMALL, LARGE) for levels in table.values())


@pytest.mark.parametrize("name", EVERY)
def test_results_are_bytes_of_the_same_shape_and_differ_from_the_image(name: str) -> None:
    x = photos()
    for severity in SEVERITIES:
        out = corrupt(x, name, severity, seed=0, numbers=range(4))
        assert out.shape == x.shape
        assert out.isfinite().all()
        assert (out * 255 - (out * 255).round()).abs().max() < 1e-4
        assert 0 <= out.min() <= out.max() <= 1
    assert (out - x).abs().mean() > 0.002


@pytest.mark.parametrize("name", EVERY)
def test_each_image_is_corrupted_alone(name: str) -> None:
    x = photos()
    together = corrupt(x, name, 3, seed=5, numbers=[7, 8, 9, 10])
    alone = corrupt(x[2:3], name, 3, seed=5, numbers=[9])
    # Sums of a larger batch may round otherwise: by one step at most.
    assert (together[2:3] - alone).abs().max() < 1.5 / 255
    assert torch.equal(together, corrupt(x, name, 3, seed=5, numbers=[7, 8, 9, 10]))


@pytest.mark.parametrize("name", EVERY)
def test_what_is_random_depends_on_seed_number_and_severity(name: str) -> None:
    x = photos(1)
    first = corrupt(x, name, 3, seed=0, numbers=[0])
    others = [corrupt(x, name, 3, seed=1, numbers=[0]), corrupt(x, name, 3, seed=0, numbers=[1])]
    assert all(torch.equal(first, other) != (name in DRAWN) for other in others)


@pytest.mark.parametrize("name", EVERY)
def test_large_images_have_constants_of_their_own_and_grey_ones_work(name: str) -> None:
    grey = corrupt(photos(2, side=80, c=1), name, 5, seed=0, numbers=[0, 1])
    assert grey.shape == (2, 1, 80, 80)
    assert grey.isfinite().all()


@pytest.mark.parametrize("name", KEEP_CONSTANTS)
def test_a_constant_image_stays(name: str) -> None:
    x = torch.full((2, 3, 32, 32), 102 / 255)
    for severity in SEVERITIES:
        out = corrupt(x, name, severity, seed=0, numbers=[0, 1])
        assert (out - x).abs().max() < 1.5 / 255


def test_unknown_names_severities_and_shapes_are_said() -> None:
    x = photos(1)
    with pytest.raises(UserError, match=r"unknown corruption 'fogg'; nearest: .*fog"):
        corrupt(x, "fogg", 1, seed=0, numbers=[0])
    with pytest.raises(UserError, match="severity 6 is not one of 1 to 5"):
        corrupt(x, "fog", 6, seed=0, numbers=[0])
    with pytest.raises(UserError, match="square images, not 20x32"):
        corrupt(x[..., :20, :], "fog", 1, seed=0, numbers=[0])


def test_noise_has_the_moments_it_should() -> None:
    x = torch.full((4, 3, 100, 100), 0.5)
    added = noise.gaussian_noise(x, 0.1, DRAWS) - x
    assert added.std().item() == pytest.approx(0.1, rel=0.01)
    assert added.mean().item() == pytest.approx(0, abs=0.001)
    shot = noise.shot_noise(x, 25, DRAWS)
    assert shot.mean().item() == pytest.approx(0.5, rel=0.01)
    assert shot.var().item() == pytest.approx(0.5 / 25, rel=0.02)  # of a count over 25
    speckle = noise.speckle_noise(x, 0.2, DRAWS) - x
    assert speckle.std().item() == pytest.approx(0.1, rel=0.01)
    impulse = noise.impulse_noise(x, 0.3, DRAWS)
    assert (impulse == 0).float().mean().item() == pytest.approx(0.15, rel=0.03)
    assert (impulse == 1).float().mean().item() == pytest.approx(0.15, rel=0.03)
    assert (impulse == 0.5).float().mean().item() == pytest.approx(0.7, rel=0.01)


def slow_glass(offsets: np.ndarray, reach: int) -> np.ndarray:
    """One pass as it is released: from the last pixel on, each takes a near one's value."""
    side = offsets.shape[-1]
    place = np.arange(side * side).reshape(side, side)
    for row in range(side - reach, reach, -1):
        for column in range(side - reach, reach, -1):
            down, right = offsets[:, row, column]
            place[row, column] = place[row + down, column + right]
    return place.ravel()


@pytest.mark.parametrize(("side", "reach"), [(8, 1), (13, 2), (20, 4)])
def test_glass_blur_takes_pixels_in_the_released_order(side: int, reach: int) -> None:
    offsets = torch.randint(-reach, reach, (3, 2, side, side))
    ours = blurs.taken_from(offsets, reach)
    for k in range(3):
        assert ours[k].tolist() == slow_glass(offsets[k].numpy(), reach).tolist()
    assert (ours != torch.arange(side * side)).float().mean() > 0.2


def in_hsv(image: torch.Tensor, change: object) -> np.ndarray:
    """Changes each pixel in HSV by the standard library."""
    pixels = image.double().permute(1, 2, 0).reshape(-1, 3).tolist()
    made = [colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*p))) for p in pixels]  # type: ignore[operator]
    return np.array(made).reshape(*image.shape[1:], 3).transpose(2, 0, 1)


def colours() -> torch.Tensor:
    x = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(0))
    x[:, 0, 0], x[:, 0, 1], x[:, 0, 2] = 0, 1, 0.4  # black, white, grey
    return x


@pytest.mark.parametrize("amount", [0.3, -0.2])
def test_brightness_adds_to_the_value_of_hsv(amount: float) -> None:
    x = colours()
    slow = in_hsv(x, lambda h, s, v: (h, s, min(max(v + amount, 0), 1)))
    assert np.abs(weather.brighter(x[None], amount)[0].numpy() - slow).max() < 1e-5


@pytest.mark.parametrize("level", [(0.3, 0.0), (2.0, 0.1)])
def test_saturation_is_changed_in_hsv(level: tuple[float, float]) -> None:
    x = colours()
    slow = in_hsv(x, lambda h, s, v: (h, min(max(s * level[0] + level[1], 0), 1), v))
    assert np.abs(digital.saturate(x[None], level, DRAWS)[0].numpy() - slow).max() < 1e-5


def to_pillow(image: torch.Tensor) -> Image.Image:
    return Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())


def test_jpeg_and_pixelate_are_pillows_but_for_a_step_or_two() -> None:
    x = photos(1, side=40)
    file = io.BytesIO()
    to_pillow(x[0]).save(file, "JPEG", quality=40)
    slow = np.array(Image.open(file)).transpose(2, 0, 1) / 255
    ours = digital.jpeg_compression(x, 40, DRAWS)[0].numpy()
    assert np.abs(ours - slow).max() < 2.5 / 255
    box = Image.Resampling.BOX
    slow = np.array(to_pillow(x[0]).resize((26, 26), box).resize((40, 40), box)) / 255
    ours = digital.pixelate(x, 0.65, DRAWS)[0].numpy()
    assert np.abs(ours - slow.transpose(2, 0, 1)).max() < 2.5 / 255


def test_contrast_keeps_the_mean_and_scales_the_distance() -> None:
    x = photos(1)
    out = digital.contrast(x, 0.4, DRAWS)
    assert torch.allclose(out.mean((2, 3)), x.mean((2, 3)), atol=1e-6)
    assert torch.allclose(out.std((2, 3)), 0.4 * x.std((2, 3)), rtol=1e-5)


def test_an_elastic_map_that_moves_nothing_is_the_identity() -> None:
    x = photos()
    assert torch.allclose(digital.elastic_transform(x, (0, 0, 0), DRAWS), x, atol=1e-5)
    moved = digital.elastic_transform(x, (0, 0, 6.0), DRAWS)
    assert (moved - x).abs().mean() > 0.02


def test_clouds_fill_the_range_and_get_smoother_with_the_decay() -> None:
    rough, smooth = (weather.plasma(DRAWS, 64, decay) for decay in (1.3, 3.0))
    for clouds in (rough, smooth):
        assert clouds.shape == (4, 1, 64, 64)
        assert (clouds.amin((1, 2, 3)) == 0).all()
        assert (clouds.amax((1, 2, 3)) == 1).all()
    steps = [(c[..., 1:] - c[..., :-1]).abs().mean() for c in (rough, smooth)]
    assert steps[0] > 2 * steps[1]


def test_clouds_of_other_sides_are_cut_out_of_the_next_power_of_two() -> None:
    field = weather.plasma(DRAWS, 33, 2.0)
    assert torch.equal(field, weather.plasma(DRAWS, 64, 2.0)[..., :33, :33])


def test_the_zoomed_and_the_plain_image_are_averaged() -> None:
    x = photos(1)
    assert torch.allclose(blurs.zoom_blur(x, (1.0, 1.0), DRAWS), x, atol=1e-6)


def test_snow_only_brightens_and_fog_keeps_within_the_brightest() -> None:
    x = photos()
    assert (corrupt(x, "snow", 3, seed=0, numbers=range(4)) >= x - 0.6 / 255).all()
    foggy = corrupt(x, "fog", 5, seed=0, numbers=range(4))
    assert (foggy.amax((1, 2, 3)) <= x.amax((1, 2, 3)) + 0.6 / 255).all()
