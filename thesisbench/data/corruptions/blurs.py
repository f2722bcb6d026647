"""Blurs: Gaussian, defocus, glass, motion and zoom (Hendrycks and Dietterich 2019).

Arguments as in `noise`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from thesisbench.data.corruptions import linear
from thesisbench.data.corruptions.draws import Draws

Images = Float[Tensor, "b c h w"]


def gaussian_blur(images: Images, sigma: float, draws: Draws) -> Images:
    """A Gaussian filter of a standard deviation in pixels."""
    del draws
    return linear.blur(images, sigma)


def defocus_blur(images: Images, level: tuple[float, float], draws: Draws) -> Images:
    """A disk of a radius, softened by a deviation, in pixels."""
    del draws
    return linear.convolve(images, linear.disk(*level))


def motion_blur(images: Images, level: tuple[int, float], draws: Draws) -> Images:
    """A trail of a radius and a deviation in pixels, at an angle from -45 to 45 degrees."""
    radius, sigma = level
    degrees = 90 * draws.uniform(1)[:, 0] - 45
    return linear.motion_blur(images, radius=radius, sigma=sigma, degrees=degrees)


def zoom_blur(images: Images, factors: Sequence[float], draws: Draws) -> Images:
    """The mean of the image and of its middle enlarged by each of some factors."""
    del draws
    total = images.clone()
    for factor in factors:
        total += linear.both_axes(images, linear.zoom_matrix(images.shape[-1], factor))
    return total / (len(factors) + 1)


def glass_blur(images: Images, level: tuple[float, int, int], draws: Draws) -> Images:
    """A Gaussian blur before and after pixels take the place of near ones.

    The level is a deviation, how far a pixel goes at most, both in pixels, and how many passes
    there are. From the last pixel to the first, each takes the value that another one near has by
    then. (The release means to exchange the two, but its exchange of array views copies.)
    """
    sigma, reach, passes = level
    blurred = (linear.blur(images, sigma).clamp(0, 1) * 255).floor() / 255
    pixels = rearrange(blurred, "b c h w -> b c (h w)")
    side = images.shape[-1]
    for number in range(passes):
        offsets = (draws.uniform(2, side, side, stream=number) * 2 * reach).long() - reach
        places = taken_from(offsets, reach)[:, None].expand_as(pixels)
        pixels = pixels.gather(2, places)
    return linear.blur(pixels.view_as(images), sigma)


def taken_from(offsets: Int[Tensor, "b 2 s s"], reach: int) -> Int[Tensor, "b ss"]:
    """Where each pixel's value comes from after one pass of the glass blur.

    A pixel takes the value of the one at its offset. That one has been served already if it comes
    later in the image, so its own source counts: chains that are followed by doubling.

    Args:
        offsets: rows and columns from each pixel to the one it takes, from -reach to reach - 1.
        reach: pixels so near to a border stay as they are.
    """
    side = offsets.shape[-1]
    own = torch.arange(side * side).view(side, side)
    served = torch.zeros(side, side, dtype=torch.bool)
    served[reach + 1 : side - reach + 1, reach + 1 : side - reach + 1] = True
    first = torch.where(served, own + offsets[:, 0] * side + offsets[:, 1], own).flatten(1)
    own = own.flatten()
    # A chain ends at a pixel whose source comes before it, or which is its own source.
    link = torch.where(first > own, first, own)
    while not torch.equal(further := link.gather(1, link), link):
        link = further
    return first.gather(1, link)
