"""Perturbation sequences: which frames there are, what moves, and draws of each image alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from thesisbench.data.corruptions import warps
from thesisbench.data.corruptions.perturb import perturb
from thesisbench.data.corruptions.sequences import (
    PERTURBATIONS,
    STANDARD,
    chosen_steps,
    frame_count,
    is_noise,
    level_of,
)
from thesisbench.errors import UserError

MIDDLE = {"brightness", "rotate"}  # of these the middle frame is the image itself


def photos(b: int = 3, side: int = 32) -> torch.Tensor:
    coarse = torch.rand(b, 3, 6, 6, generator=torch.Generator().manual_seed(3))
    large = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return (large * 255).round() / 255


def frames_of(x: torch.Tensor, name: str, **more: object) -> torch.Tensor:
    return perturb(x, name, seed=0, numbers=range(len(x)), **more)  # type: ignore[arg-type]


def test_there_are_ten_and_the_lengths_are_the_published_ones() -> None:
    assert len(STANDARD) == 10
    small = {name: frame_count(name, 32) for name in STANDARD}
    assert {small.pop("motion_blur"), small.pop("translate")} == {21, 16}
    assert set(small.values()) == {31}
    large = {name: frame_count(name, 224) for name in STANDARD}
    assert large.pop("translate") == 41
    assert set(large.values()) == {31}
    assert [level_of(f"shot_noise{x}", 224) for x in ("", "_2", "_3")] == [300, 120, 60]


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_frames_are_bytes_and_the_noise_starts_with_the_image(name: str) -> None:
    x = photos(2)
    frames = frames_of(x, name)
    assert frames.shape == (2, frame_count(name, 32), 3, 32, 32)
    assert (frames * 255 - (frames * 255).round()).abs().max() < 1e-4
    assert 0 <= frames.min() <= frames.max() <= 1
    first_is_clean = torch.equal(frames[:, 0], x)
    assert first_is_clean == (is_noise(name) or name == "zoom_blur")
    assert (frames[:, 1:] != frames[:, :-1]).flatten(2).any(2).all(), "each frame is another"


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_fewer_frames_are_some_of_all(name: str) -> None:
    x = photos(1)
    few, whole = frames_of(x, name, frames=4), frames_of(x, name)
    assert torch.equal(few, whole[:, chosen_steps(whole.shape[1], 4)])


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_each_sequence_is_made_alone(name: str) -> None:
    x = photos()
    together = perturb(x, name, seed=4, numbers=[5, 6, 7], frames=5)
    alone = perturb(x[1:2], name, seed=4, numbers=[6], frames=5)
    assert (together[1:2] - alone).abs().max() < 1.5 / 255
    other = perturb(x[1:2], name, seed=5, numbers=[6], frames=5)
    assert torch.equal(alone, other) != (is_noise(name) or name == "snow")


@pytest.mark.parametrize("name", sorted(MIDDLE))
def test_the_middle_frame_is_the_image(name: str) -> None:
    x = photos(1)
    assert (frames_of(x, name)[:, 15] - x).abs().max() < 0.6 / 255


def test_translation_moves_by_a_pixel_a_frame_and_brings_in_black() -> None:
    x = photos(1) * 0.5 + 0.25
    x = (x * 255).round() / 255
    frames = frames_of(x, "translate")[0]
    assert torch.equal(frames[7], x[0])
    assert torch.equal(frames[10][..., 3:], x[0][..., :-3])
    assert frames[10][..., :3].max() == 0
    assert torch.equal(frames[0][..., :-7], x[0][..., 7:])


def test_a_margin_moves_in_instead_of_black() -> None:
    wide = photos(1, side=48) * 0.5 + 0.25
    frames = frames_of(wide, "translate", crop=32)[0]
    assert frames.shape == (16, 3, 32, 32)
    assert frames.min() > 0
    place = (wide * 255).round() / 255
    assert torch.equal(frames[10], place[0, :, 8:40, 5:37])


def test_rotation_is_that_of_pillow() -> None:
    x = photos(1, side=33)
    turned = warps.warped(x, warps.rotation(20.0))[0, 0, 8:25, 8:25]
    grey = Image.fromarray((x[0, 0] * 255).numpy())
    slow = torch.from_numpy(np.array(grey.rotate(-20, Image.Resampling.BILINEAR)))
    assert (turned * 255 - slow[8:25, 8:25]).abs().max() < 1


def test_scaling_shrinks_towards_the_middle() -> None:
    x = torch.ones(1, 1, 32, 32)
    small = warps.warped(x, warps.scaling(0.5))[0, 0]
    assert small[8:24, 8:24].min() > 0.99
    assert small[:7].abs().max() == 0


def test_tilt_zero_only_moves_the_plane_away_and_signs_mirror() -> None:
    far = math.hypot(32, 32)
    still = warps.tilt(0.0, 32, 32)
    point = still @ torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)
    assert (point[:2] / point[2]).tolist() == pytest.approx([(1 + far) / far, 2 * (1 + far) / far])
    # A point above the middle comes nearer under one sign and goes away under the other.
    x = photos(1)
    assert not torch.allclose(*(warps.warped(x, warps.tilt(s, 32, 32)) for s in (10.0, -10.0)))


def test_zoom_blur_is_a_running_mean() -> None:
    x = photos(1)
    frames = frames_of(x, "zoom_blur")
    second = (x + warps.warped(x, warps.scaling(1.004))) / 2
    assert (frames[:, 1] - second).abs().max() < 0.6 / 255


def test_bad_names_sizes_and_counts_are_said() -> None:
    x = photos(1)
    with pytest.raises(UserError, match="unknown perturbation 'tilts'"):
        frames_of(x, "tilts")
    with pytest.raises(UserError, match="frames=1 must be at least 2"):
        frames_of(x, "tilt", frames=1)
    with pytest.raises(UserError, match="square images of at least 40 pixels, not 32x32"):
        frames_of(x, "tilt", crop=40)
