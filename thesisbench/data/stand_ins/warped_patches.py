"""Warped patches: random textures, each seen under a few small warps; stands for Brown patches.

Kayhan, chapter 2 (Figure 2.7, right) trains a patch descriptor on one of three scenes (Liberty,
Notre Dame, Yosemite) and tests it on the two others. Here a point of a scene is a texture of
fractal noise whose amplitude falls as frequency^-slope, a scene has a slope of its own, and a patch
is a view of 64x64 pixels of the texture: turned, scaled, shifted, with its own gain, bias and
noise, at 32x32. How much noise was chosen on pilots (seeds >= 1000), so that S-Conv finds the task
neither too easy nor too hard.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.arrays import mix
from thesisbench.errors import UserError

SLOPES = (0.8, 1.1, 1.4)  # of the three scenes
TEXTURE, WINDOW = 96, 64  # pixels; a turned and scaled window with its shift fits the texture
ANGLE, SCALE, SHIFT = math.radians(15), 0.1, 3.0  # largest turn, change of scale, shift in pixels
GAIN, BIAS = 0.2, 0.5

Split = tuple[Tensor, Tensor]


def fractal_textures(
    n: int, *, slope: float, generator: torch.Generator, size: int = TEXTURE
) -> Float[Tensor, "n 1 s s"]:
    """Periodic noise whose amplitude falls as frequency^-slope, with mean 0 and deviation 1.

    Args:
        n: number of textures.
        slope: 0 for white noise; larger is smoother.
        generator: of the noise.
        size: their side s.
    """
    white = torch.fft.rfft2(torch.randn(n, 1, size, size, generator=generator))
    frequency = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size))
    frequency[0, 0] = 1.0
    amplitude = frequency**-slope
    amplitude[0, 0] = 0.0  # no constant
    textures = torch.fft.irfft2(white * amplitude, s=(size, size))
    return textures / textures.std(dim=(-2, -1), keepdim=True, correction=0)


def random_views(
    textures: Float[Tensor, "n 1 s s"], *, generator: torch.Generator, noise: float
) -> Float[Tensor, "n 1 32 32"]:
    """One view of each texture: warped, at half its resolution, with gain, bias and noise.

    Args:
        textures: of side 96.
        generator: of the warps and the noise.
        noise: its deviation, where a texture's is 1.
    """
    n = len(textures)
    angle, scale, right, down, gain, bias = 2 * torch.rand(6, n, generator=generator) - 1
    factor = (1 + SCALE * scale) * WINDOW / TEXTURE
    cos, sin = factor * torch.cos(ANGLE * angle), factor * torch.sin(ANGLE * angle)
    reach = 2 * SHIFT / TEXTURE  # sides of a texture are 2 long for grid_sample
    matrix = torch.stack([cos, -sin, reach * right, sin, cos, reach * down])
    theta = rearrange(matrix, "(row column) n -> n row column", row=2)
    grid = F.affine_grid(theta, [n, 1, WINDOW, WINDOW], align_corners=False)
    views = F.avg_pool2d(F.grid_sample(textures, grid, align_corners=False), 2)
    gain, bias = (rearrange(x, "n -> n 1 1 1") for x in (1 + GAIN * gain, BIAS * bias))
    return gain * views + bias + noise * torch.randn(views.shape, generator=generator)


def matching_pairs(
    n: int, *, points: int, views: int, generator: torch.Generator
) -> Int[Tensor, "n 3"]:
    """Two different views of a random point, and the point; the first n are those of a larger n.

    Args:
        n: number of pairs.
        points: number of points; patch number = point * views + view.
        views: of each point, at least 2.
        generator: of the choice.
    """
    drawn = torch.rand(n, 3, generator=generator)
    point = (drawn[:, 0] * points).long()
    first = (drawn[:, 1] * views).long()
    second = (first + 1 + (drawn[:, 2] * (views - 1)).long()) % views
    return torch.stack([point * views + first, point * views + second, point], dim=1)


def labelled_pairs(
    n: int, *, points: int, views: int, generator: torch.Generator
) -> Int[Tensor, "n 3"]:
    """Matching pairs (1) and pairs of two different points (0) in turn.

    Args:
        n: number of pairs.
        points: number of points, at least 2.
        views: of each point, at least 2.
        generator: of the choice.
    """
    pairs = matching_pairs(n, points=points, views=views, generator=generator)
    label = 1 - torch.arange(n) % 2
    away = torch.randint(1, points, (n,), generator=generator) * views
    other = (pairs[:, 1] + away) % (points * views)
    return torch.stack([pairs[:, 0], torch.where(label == 1, pairs[:, 1], other), label], dim=1)


def _scene(number: int, *, data_seed: int, points: int, views: int, noise: float) -> Tensor:
    """All patches of a scene, view after view of point after point."""
    generator = torch.Generator().manual_seed(mix(data_seed, number))
    textures = fractal_textures(points, slope=SLOPES[number], generator=generator)
    repeated = repeat(textures, "n 1 h w -> (n views) 1 h w", views=views)
    return random_views(repeated, generator=generator, noise=noise)


def warped_patches_splits(
    *,
    train_set: int,
    data_seed: int,
    n_triplets: int,
    n_points: int = 500,
    n_test: int = 2000,
    views: int = 4,
    noise: float = 1.0,
) -> dict[str, Split]:
    """The splits of patch matching: one of three scenes to train on, the others to test on.

    Args:
        train_set: scene to train on: 1, 2 or 3.
        data_seed: of all scenes.
        n_triplets: matching pairs to train on; the first of those of a larger number.
        n_points: points of each scene.
        n_test: pairs of each test scene, half of them matching.
        views: patches of each point.
        noise: deviation of the noise on a patch.

    Returns:
        train, test_a and test_b (the other scenes in order), each patches and pairs (patch, patch,
        point or label).

    Raises:
        UserError: no such scene, or numbers that make no pairs.
    """
    if train_set not in (1, 2, 3):
        raise UserError(f"train_set={train_set} must be 1, 2 or 3 (it follows split=1)")
    least = {"n_triplets": 1, "n_points": 2, "n_test": 2, "views": 2}
    for name, given in zip(least, (n_triplets, n_points, n_test, views), strict=True):
        if given < least[name]:
            raise UserError(f"{name}={given} makes no pairs: at least {least[name]}")
    splits: dict[str, Split] = {}
    others = [number for number in (1, 2, 3) if number != train_set]
    for name, number in zip(("train", "test_a", "test_b"), (train_set, *others), strict=True):
        patches = _scene(number - 1, data_seed=data_seed, points=n_points, views=views, noise=noise)
        generator = torch.Generator().manual_seed(mix(data_seed, number - 1, name == "train"))
        draw = matching_pairs if name == "train" else labelled_pairs
        n = n_triplets if name == "train" else n_test
        splits[name] = patches, draw(n, points=n_points, views=views, generator=generator)
    return splits
