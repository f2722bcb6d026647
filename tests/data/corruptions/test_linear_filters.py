"""Filters as matrices against SciPy and Pillow; blur along a line against a slow loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from thesisbench.data.corruptions import linear

SIDE = 13


def images(b: int = 2, c: int = 3, side: int = SIDE) -> torch.Tensor:
    return torch.rand(b, c, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0, 20.0])
@pytest.mark.parametrize(("border", "truncate"), [("nearest", 4.0), ("reflect", 3.0)])
def test_blur_is_that_of_scipy(sigma: float, border: str, truncate: float) -> None:
    x = images()
    slow = ndimage.gaussian_filter(
        x.double().numpy(), (0, 0, sigma, sigma), mode=border, truncate=truncate
    )
    ours = linear.blur(x, sigma, border=border, truncate=truncate)  # type: ignore[arg-type]
    assert np.abs(ours.numpy() - slow).max() < 1e-5


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.25, 2.0, 4.5])
def test_zoom_is_scipys_zoom_of_the_middle(factor: float) -> None:
    x = images(1, 1)[0, 0].double().numpy()
    inner = math.ceil(SIDE / factor)
    start = (SIDE - inner) // 2
    part = x[start : start + inner, start : start + inner]
    large = ndimage.zoom(part, factor, order=1)
    trim = (len(large) - SIDE) // 2
    slow = large[trim : trim + SIDE, trim : trim + SIDE]
    matrix = linear.zoom_matrix(SIDE, factor).double()
    assert np.abs(linear.both_axes(torch.from_numpy(x), matrix).numpy() - slow).max() < 1e-6


def test_the_box_filter_is_pillows() -> None:
    grey = (images(1, 1)[0, 0] * 255).numpy()
    slow = np.array(Image.fromarray(grey).resize((9, 9), Image.Resampling.BOX))
    ours = linear.both_axes(torch.from_numpy(grey), linear.box_matrix(SIDE, 9))
    assert np.abs(ours.numpy() - slow).max() < 1e-3


def slow_motion_blur(x: np.ndarray, radius: int, sigma: float, degrees: float) -> np.ndarray:
    height, width = x.shape
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(2 * radius + 1)]
    out = np.zeros_like(x)
    for i, weight in enumerate(weights):
        down = math.ceil(i * math.sin(math.radians(degrees)) - 0.5)
        right = math.ceil(i * math.cos(math.radians(degrees)) - 0.5)
        for r in range(height):
            for c in range(width):
                row = min(max(r + down, 0), height - 1)
                column = min(max(c + right, 0), width - 1)
                out[r, c] += weight / sum(weights) * x[row, column]
    return out


def test_motion_blur_equals_a_slow_loop_at_the_angle_of_each_image() -> None:
    x, degrees = images(3, 2), torch.tensor([0.0, 37.0, -120.0])
    ours = linear.motion_blur(x, radius=3, sigma=1.5, degrees=degrees)
    for k, angle in enumerate(degrees.tolist()):
        slow = slow_motion_blur(x[k, 1].double().numpy(), 3, 1.5, angle)
        assert np.abs(ours[k, 1].numpy() - slow).max() < 1e-5


def test_motion_along_a_row_takes_from_one_side_only() -> None:
    x = torch.zeros(1, 1, 5, 9)
    x[..., 2, 6] = 1
    out = linear.motion_blur(x, radius=2, sigma=1.0, degrees=torch.zeros(1))[0, 0]
    assert out[[0, 1, 3, 4]].abs().max() == 0
    assert (out[2] > 0).nonzero().flatten().tolist() == [2, 3, 4, 5, 6]
    assert out[2].argmax() == 6
    assert out.sum().item() == pytest.approx(1)


def test_disks() -> None:
    assert linear.disk(3, 0.1).sum().item() == pytest.approx(1, abs=1e-6)
    flat = linear.disk(3, 0.1)
    assert flat.shape[0] % 2 == 1
    assert (flat > flat.max() / 2).sum() == 29  # whole pixels within a circle of radius 3
    assert torch.equal(flat, flat.T)
    for radius in (8, 10):  # mirrored where they touch the edge of the kernel, as released
        assert linear.disk(radius, 0.5).sum().item() == pytest.approx(1.006, abs=1e-3)


def test_convolution_is_scipys_correlation_with_mirrored_borders() -> None:
    x, kernel = images(), torch.arange(25.0).view(5, 5) / 300
    slow = ndimage.correlate(x.numpy(), kernel.numpy()[None, None], mode="mirror")
    assert np.abs(linear.convolve(x, kernel).numpy() - slow).max() < 1e-5


@pytest.mark.parametrize("border", ["mirror", "reflect"])
def test_sampling_is_scipys_linear_interpolation(border: str) -> None:
    x = images(1, 1)
    generator = torch.Generator().manual_seed(2)
    rows, columns = 20 * torch.rand(2, 1, SIDE, SIDE, generator=generator) - 4
    slow = ndimage.map_coordinates(
        x[0, 0].double().numpy(), torch.stack([rows[0], columns[0]]).numpy(), order=1, mode=border
    )
    ours = linear.sample(x, rows, columns, border=border)[0, 0]
    assert np.abs(ours.numpy() - slow).max() < 1e-4


def test_sampling_outside_gives_black_and_whole_places_their_pixels() -> None:
    x = images(1, 2)
    place = torch.arange(SIDE).float()
    rows, columns = torch.meshgrid(place, place, indexing="ij")
    same = linear.sample(x, rows[None], columns[None], border="zeros")
    assert torch.allclose(same, x, atol=1e-5)
    away = linear.sample(x, rows[None] + 3, columns[None], border="zeros", nearest=True)
    assert torch.equal(away[..., :-3, :], x[..., 3:, :])
    assert away[..., -3:, :].abs().max() == 0
