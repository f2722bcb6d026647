"""Spectral pool: band-limited maps are subsampled, against a slow transform."""

import math

import numpy as np
import pytest
import torch

from thesisbench.layers.pools.spectral import SpectralPool


def _wave(size, frequencies):
    """Sums of cosines of whole frequencies."""
    h, w = size
    rows = torch.arange(h, dtype=torch.float64)[:, None] / h
    columns = torch.arange(w, dtype=torch.float64)[None] / w
    waves = [
        torch.cos(2 * math.pi * (u * rows + v * columns) + phase) for u, v, phase in frequencies
    ]
    return sum(waves)[None, None]


@pytest.mark.parametrize("size", [(12, 16), (10, 12), (14, 6)])
def test_band_limited_maps_are_subsampled(size):
    x = _wave(size, [(0, 0, 0), (1, 0, 0.3), (-2, 1, 1.0), (1, 1, 2.0), (2, 0, 0.5)])
    torch.testing.assert_close(SpectralPool(1)(x), x[:, :, ::2, ::2], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "frequency"),
    [((12, 16), 4), ((12, 16), 6), ((12, 16), 3), ((10, 12), 3), ((10, 12), 5)],
)
def test_what_the_grid_cannot_hold_is_left_out(size, frequency):
    """Above half the new sampling rate, and at it (3 on a grid of 6)."""
    high = _wave(size, [(frequency, 0, 0.1), (frequency, 1, 0.7)])
    y = SpectralPool(1)(high)
    torch.testing.assert_close(y, torch.zeros_like(y), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(8, 12), (10, 6), (2, 4)])
def test_equals_a_slow_sum_over_the_kept_frequencies(size):
    x = np.random.default_rng(0).normal(size=size)
    spectrum = np.fft.fft2(x) / x.size
    h, w = size[0] // 2, size[1] // 2
    y = np.zeros((h, w), complex)
    for u in range(-((h - 1) // 2), (h - 1) // 2 + 1):
        for v in range(-((w - 1) // 2), (w - 1) // 2 + 1):
            for i in range(h):
                for j in range(w):
                    y[i, j] += spectrum[u, v] * np.exp(2j * np.pi * (u * i / h + v * j / w))
    assert np.abs(y.imag).max() < 1e-12
    ours = SpectralPool(1)(torch.from_numpy(x)[None, None])
    np.testing.assert_allclose(ours[0, 0].numpy(), y.real, atol=1e-12)


def test_half_precision_is_widened_and_given_back():
    x = torch.randn(1, 2, 6, 6)
    y = SpectralPool(2)(x.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), SpectralPool(2)(x), rtol=0.05, atol=0.05)
