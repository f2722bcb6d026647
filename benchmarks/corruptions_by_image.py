"""The corruptions of ImageNet-C one image at a time, plainly, with scikit-image, SciPy and Pillow.

What the benchmark of our batched ones is measured against. Blurs, salt and pepper, and colours are
scikit-image's, the rest has no function there. Pixels [h, w, 3] from 0 to 1; draws come from a
generator that goes on from image to image.
"""

from __future__ import annotations

import math
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import hsv2rgb, rgb2hsv
from skimage.filters import gaussian
from skimage.util import random_noise

from thesisbench.data.corruptions.linear import disk
from thesisbench.data.corruptions.severities import level

Pixels = Any
RNG = np.random.default_rng(0)


def by_image(pixels: Pixels, name: str, severity: int) -> Pixels:
    """One corrupted image as bytes."""
    made = globals()[f"_{name}"](pixels, level(name, severity, len(pixels)))
    return np.uint8(np.clip(made, 0, 1) * 255)


def _gaussian_noise(x: Pixels, c: float) -> Pixels:
    return x + RNG.normal(size=x.shape, scale=c)


def _shot_noise(x: Pixels, c: float) -> Pixels:
    return RNG.poisson(x * c) / c


def _impulse_noise(x: Pixels, c: float) -> Pixels:
    return random_noise(x, mode="s&p", amount=c, rng=RNG)


def _blurred(x: Pixels, sigma: float, **how: Any) -> Pixels:
    return gaussian(x, sigma, channel_axis=-1 if x.ndim == 3 else None, **how)


def _defocus_blur(x: Pixels, c: Any) -> Pixels:
    kernel = disk(*c).numpy()[:, :, None]
    return ndimage.correlate(x, kernel, mode="mirror")


def _glass_blur(x: Pixels, c: Any) -> Pixels:
    sigma, reach, passes = c
    x = np.uint8(np.clip(_blurred(x, sigma), 0, 1) * 255)
    side = len(x)
    for _ in range(passes):
        for h in range(side - reach, reach, -1):
            for w in range(side - reach, reach, -1):
                dx, dy = RNG.integers(-reach, reach, size=2)
                x[h, w] = x[h + dy, w + dx]
    return _blurred(x / 255, sigma)


def _moved(x: Pixels, radius: int, sigma: float, degrees: float) -> Pixels:
    """Motion blur as a sum of shifted images."""
    width = 2 * radius + 1
    weights = np.exp(-(np.arange(width) ** 2) / (2 * sigma**2))
    padded = np.pad(x, [(width, width)] * 2 + [(0, 0)] * (x.ndim - 2), mode="edge")
    height, length = x.shape[:2]
    total = np.zeros(x.shape)
    angle = math.radians(degrees)
    for i, weight in enumerate(weights / weights.sum()):
        top = width + math.ceil(i * math.sin(angle) - 0.5)
        left = width + math.ceil(i * math.cos(angle) - 0.5)
        total += weight * padded[top : top + height, left : left + length]
    return total


def _motion_blur(x: Pixels, c: Any) -> Pixels:
    return _moved(x, *c, RNG.uniform(-45, 45))


def _zoomed(x: Pixels, factor: float) -> Pixels:
    side = len(x)
    inner = math.ceil(side / factor)
    top = (side - inner) // 2
    axes = (factor, factor, 1) if x.ndim == 3 else factor
    large = ndimage.zoom(x[top : top + inner, top : top + inner], axes, order=1)
    trim = (len(large) - side) // 2
    return large[trim : trim + side, trim : trim + side]


def _zoom_blur(x: Pixels, c: Any) -> Pixels:
    return (x + sum(_zoomed(x, factor) for factor in c)) / (len(c) + 1)


def _snow(x: Pixels, c: Any) -> Pixels:
    layer = _zoomed(RNG.normal(size=x.shape[:2], loc=c[0], scale=c[1]), c[2])
    layer[layer < c[3]] = 0
    layer = _moved(np.clip(layer, 0, 1), c[4], c[5], RNG.uniform(-135, -45))[..., None]
    grey = (x @ [0.299, 0.587, 0.114])[..., None]
    pale = c[6] * x + (1 - c[6]) * np.maximum(x, grey * 1.5 + 0.5)
    return pale + layer + np.rot90(layer, k=2)


def _plasma(side: int, decay: float) -> Pixels:
    size = 1 << (side - 1).bit_length()
    field, step, noise = np.zeros((size, size)), size, 100.0
    while step >= 2:
        half = step // 2
        corners = field[::step, ::step]
        total = corners + np.roll(corners, -1, 0)
        total = total + np.roll(total, -1, 1)
        field[half::step, half::step] = total / 4 + noise * RNG.uniform(-noise, noise, total.shape)
        middle, corners = field[half::step, half::step], field[::step, ::step]
        across = middle + np.roll(middle, 1, 0) + corners + np.roll(corners, -1, 1)
        field[::step, half::step] = across / 4 + noise * RNG.uniform(-noise, noise, across.shape)
        along = middle + np.roll(middle, 1, 1) + corners + np.roll(corners, -1, 0)
        field[half::step, ::step] = along / 4 + noise * RNG.uniform(-noise, noise, along.shape)
        step, noise = half, noise / decay
    field -= field.min()
    return (field / field.max())[:side, :side, None]


def _frost(x: Pixels, c: Any) -> Pixels:
    ridges = 1 - np.abs(2 * _plasma(len(x), 1.3) - 1)
    return c[0] * x + c[1] * ridges**3 * np.array([0.85, 0.93, 1.0])


def _fog(x: Pixels, c: Any) -> Pixels:
    brightest = x.max()
    return (x + c[0] * _plasma(len(x), c[1])) * brightest / (brightest + c[0])


def _brightness(x: Pixels, c: float) -> Pixels:
    hsv = rgb2hsv(x)
    hsv[..., 2] = np.clip(hsv[..., 2] + c, 0, 1)
    return hsv2rgb(hsv)


def _contrast(x: Pixels, c: float) -> Pixels:
    mean = x.mean((0, 1), keepdims=True)
    return (x - mean) * c + mean


def _picture(x: Pixels) -> Image.Image:
    return Image.fromarray(np.uint8(x * 255))


def _pixelate(x: Pixels, c: float) -> Pixels:
    side, box = len(x), Image.Resampling.BOX
    few = int(side * c)
    return np.asarray(_picture(x).resize((few, few), box).resize((side, side), box)) / 255


def _jpeg_compression(x: Pixels, c: int) -> Pixels:
    file = BytesIO()
    _picture(x).save(file, "JPEG", quality=c)
    return np.asarray(Image.open(file)) / 255


def _elastic_transform(x: Pixels, c: Any) -> Pixels:
    side = len(x)
    middle, out = side // 2, side // 3
    points = middle + out * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = points + RNG.uniform(-c[2], c[2], (3, 2))
    back = np.linalg.solve(np.c_[moved, np.ones(3)], points)
    rows, columns = np.mgrid[:side, :side]
    source = np.stack([columns, rows, np.ones_like(rows)], -1) @ back
    x = _read(x, source[..., 1], source[..., 0], "mirror")
    down, right = (
        c[0] * _blurred(RNG.uniform(-1, 1, (side, side)), c[1], mode="reflect", truncate=3)
        for _ in range(2)
    )
    return _read(x, rows + down, columns + right, "reflect")


def _read(x: Pixels, rows: Pixels, columns: Pixels, mode: str) -> Pixels:
    read = [
        ndimage.map_coordinates(x[..., k], (rows, columns), order=1, mode=mode) for k in range(3)
    ]
    return np.stack(read, -1)
