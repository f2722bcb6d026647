"""Weather: snow, frost, fog, brightness and spatter (Hendrycks and Dietterich 2019).

Arguments as in `noise`.

*Deviations*. Frost is drawn by a program, bright ridges of fractal noise, where the release lays
pieces of photographs of frosted glass over the images (which may not be passed on). The water of
spatter has the outline of its drops where the release has Canny's edges, without equalising their
histogram.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.corruptions import linear
from thesisbench.data.corruptions.colours import grey
from thesisbench.data.corruptions.draws import Draws

Images = Float[Tensor, "b c h w"]
Maps = Float[Tensor, "b 1 h w"]
ICE = (0.85, 0.93, 1.0)
WATER, MUD = (175 / 255, 238 / 255, 238 / 255), (63 / 255, 42 / 255, 20 / 255)
EMBOSS = ((-2.0, -1.0, 0.0), (-1.0, 1.0, 1.0), (0.0, 1.0, 2.0))


def snow(images: Images, level: tuple[float, ...], draws: Draws) -> Images:
    """Flakes that fall aslant, over an image made paler.

    The level is: mean and deviation of the noise that flakes are made of, how much it is enlarged,
    what is left of it, radius and deviation of the motion, and how much colour stays.
    """
    mean, deviation, zoom, least, radius, sigma, colour = level
    flakes = flake_map(draws, images.shape[-1], mean=mean, deviation=deviation, zoom=zoom)
    flakes = torch.where(flakes < least, 0.0, flakes)
    degrees = 90 * draws.uniform(1, stream=1)[:, 0] - 135
    return fallen_snow(images, flakes, degrees, radius=int(radius), sigma=sigma, colour=colour)


def flake_map(draws: Draws, side: int, *, mean: float, deviation: float, zoom: float) -> Maps:
    """Enlarged normal noise; flakes are where it is large."""
    noise = mean + deviation * draws.normal(1, side, side)
    return linear.both_axes(noise, linear.zoom_matrix(side, zoom))


def fallen_snow(
    images: Images,
    flakes: Maps,
    degrees: Float[Tensor, " b"],
    *,
    radius: int,
    sigma: float,
    colour: float,
) -> Images:
    """Flakes blurred along their way, twice (once upside down), over an image made paler.

    Args:
        images: from 0 to 1.
        flakes: their brightness.
        degrees: angle of their way.
        radius: of the blur.
        sigma: deviation of the blur.
        colour: share of the image's own colour that stays.
    """
    flakes = (flakes.clamp(0, 1) * 255).floor() / 255
    trails = linear.motion_blur(flakes, radius=radius, sigma=sigma, degrees=degrees)
    pale = torch.maximum(images, 1.5 * grey(images) + 0.5)
    return colour * images + (1 - colour) * pale + trails + trails.flip(-2, -1)


def fog(images: Images, level: tuple[float, float], draws: Draws) -> Images:
    """Adds a share of clouds, whose detail decays by a factor from scale to scale."""
    share, decay = level
    brightest = images.amax((1, 2, 3), keepdim=True)
    clouds = plasma(draws, images.shape[-1], decay)
    return (images + share * clouds) * brightest / (brightest + share)


def plasma(draws: Draws, side: int, decay: float) -> Maps:
    """Clouds from 0 to 1 by the diamond-square rule.

    Args:
        draws: of the images.
        side: of the maps, cut out of ones whose side is a power of two.
        decay: by which the noise shrinks from one scale to the next finer one.
    """
    size = 1 << (side - 1).bit_length()
    field = torch.zeros(len(draws.seeds), size, size)
    step, noise, stream = size, 100.0, 0
    while step >= 2:
        half = step // 2
        squares = _jittered(_around(field[:, ::step, ::step], 1, 1), noise, draws, stream)
        field[:, half::step, half::step] = squares
        corners = field[:, ::step, ::step]
        across = squares + squares.roll(1, 1) + corners + corners.roll(-1, 2)
        field[:, ::step, half::step] = _jittered(across, noise, draws, stream + 1)
        along = squares + squares.roll(1, 2) + corners + corners.roll(-1, 1)
        field[:, half::step, ::step] = _jittered(along, noise, draws, stream + 2)
        step, noise, stream = half, noise / decay, stream + 3
    field -= field.amin((1, 2), keepdim=True)
    field /= field.amax((1, 2), keepdim=True)
    return field[:, None, :side, :side]


def _around(corners: Tensor, down: int, right: int) -> Tensor:
    """Sums over the four corners of each square; the map goes on at its other side."""
    columns = corners + corners.roll(-down, 1)
    return columns + columns.roll(-right, 2)


def _jittered(sums: Tensor, noise: float, draws: Draws, stream: int) -> Tensor:
    """The mean of four, and noise of up to its square either way (as in the release)."""
    drawn = draws.uniform(*sums.shape[1:], stream=stream)
    return sums / 4 + noise * noise * (2 * drawn - 1)


def frost(images: Images, level: tuple[float, float], draws: Draws) -> Images:
    """A share of the image and a share of drawn frost."""
    own, ice = level
    ridges = 1 - (2 * plasma(draws, images.shape[-1], 1.3) - 1).abs()
    return own * images + ice * ridges**3 * _colour(ICE, images)


def brightness(images: Images, amount: float, draws: Draws) -> Images:
    """Adds to the largest of the channels (the value of HSV); hue and saturation stay."""
    del draws
    return brighter(images, amount)


def brighter(images: Images, amount: float) -> Images:
    """As `brightness`; the amount may be negative."""
    value = images.amax(1, keepdim=True)
    wanted = (value + amount).clamp(0, 1)
    return torch.where(value > 0, images * wanted / value.clamp(min=1e-8), wanted)


def spatter(images: Images, level: tuple[float, ...], draws: Draws) -> Images:
    """Drops on the lens.

    The level is: mean and deviation of the noise that drops are made of, its blur, what is left of
    it, the strength of water or the blur of mud, and whether it is mud.
    """
    mean, deviation, sigma, least, strength, mud = level
    side = images.shape[-1]
    liquid = linear.blur(mean + deviation * draws.normal(1, side, side), sigma)
    drops = (liquid >= least).float()
    if mud:
        cover = linear.blur(drops, strength)
        cover = torch.where(cover < 0.8, 0.0, cover)
        return images * (1 - cover) + cover * _colour(MUD, images)
    shine = liquid * drops * _relief(drops)
    shine = strength * shine / shine.amax((2, 3), keepdim=True).clamp(min=1e-8)
    return images + shine * _colour(WATER, images)


def _relief(drops: Maps) -> Maps:
    """Drops lit from one side: how the distance to their outline rises and falls."""
    inside = rearrange(drops, "b 1 h w -> b h w").bool().numpy()
    distance = np.stack([_to_outline(each) for each in inside])
    height = torch.from_numpy(distance).float().clamp(max=20)[:, None]
    soft = F.avg_pool2d(height, 3, stride=1, padding=1, count_include_pad=False)
    lit = linear.convolve(soft, torch.tensor(EMBOSS)).clamp(min=0)
    return F.avg_pool2d(lit, 3, stride=1, padding=1, count_include_pad=False)


def _to_outline(drops: Any) -> Any:
    outline = drops & ~ndimage.binary_erosion(drops)
    if not outline.any():
        return np.zeros(drops.shape)
    return ndimage.distance_transform_edt(~outline)


def _colour(rgb: tuple[float, float, float], images: Images) -> Float[Tensor, "c 1 1"]:
    """A colour for the channels of the images; its grey where they have one."""
    colour = torch.tensor(rgb).view(3, 1, 1)
    return colour if images.shape[1] == 3 else grey(colour[None])[0]
