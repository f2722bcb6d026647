"""Filters and resamplings that act on rows and columns alike, as pairs of small matrices.

A separable linear operation on an image X is A X A^T, borders included; A is what the operation of
SciPy or Pillow makes of the identity, so that a batch is two matrix products and agrees with these
libraries by construction. Blurs along a line are sums of shifted images.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

Border = Literal["nearest", "reflect"]


def both_axes(
    images: Float[Tensor, "*b h w"], matrix: Float[Tensor, "o h"]
) -> Float[Tensor, "*b o o"]:
    """A X A^T of square images."""
    return matrix @ images @ matrix.T


def blur(
    images: Float[Tensor, "*b h w"],
    sigma: float,
    *,
    border: Border = "nearest",
    truncate: float = 4.0,
) -> Float[Tensor, "*b h w"]:
    """Gaussian blur of square images, as `scipy.ndimage.gaussian_filter`.

    Args:
        images: square.
        sigma: standard deviation in pixels.
        border: mode of SciPy.
        truncate: radius of the filter, in standard deviations.
    """
    return both_axes(images, gaussian_matrix(images.shape[-1], sigma, border, truncate))


@lru_cache(maxsize=64)
def gaussian_matrix(
    side: int, sigma: float, border: Border, truncate: float
) -> Float[Tensor, "side side"]:
    """The Gaussian filter along one axis."""
    eye = np.eye(side)
    filtered = ndimage.gaussian_filter1d(eye, sigma, axis=0, mode=border, truncate=truncate)
    return torch.from_numpy(filtered).float()


@lru_cache(maxsize=128)
def zoom_matrix(side: int, factor: float) -> Float[Tensor, "side side"]:
    """Enlarges the middle of an axis by a factor of at least 1, linearly, and keeps its length."""
    inner = math.ceil(side / factor)
    start = (side - inner) // 2
    large = ndimage.zoom(np.eye(side)[start : start + inner], (factor, 1), order=1)
    trim = (len(large) - side) // 2
    return torch.from_numpy(large[trim : trim + side]).float()


@lru_cache(maxsize=32)
def box_matrix(source: int, target: int) -> Float[Tensor, "target source"]:
    """Resizes an axis with Pillow's box filter."""
    eye = Image.fromarray(np.eye(source, dtype=np.float32))
    resized = eye.resize((source, target), Image.Resampling.BOX)
    return torch.from_numpy(np.array(resized))


def motion_blur(
    images: Float[Tensor, "b c h w"], *, radius: int, sigma: float, degrees: Float[Tensor, " b"]
) -> Float[Tensor, "b c h w"]:
    """One-sided Gaussian blur along a line, as ImageMagick's: each pixel trails off one way.

    The 2 * radius + 1 taps lie one pixel apart along the line and are rounded to whole pixels;
    images go on at their border with its value.

    Args:
        images: any.
        radius: of the filter, in pixels.
        sigma: standard deviation of its weights, in pixels.
        degrees: angle of each image's line.
    """
    taps = torch.arange(2 * radius + 1)
    weights = torch.exp(-(taps**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    angle = torch.deg2rad(degrees.double())[:, None]
    down = torch.ceil(taps * angle.sin() - 0.5).long()  # b taps
    right = torch.ceil(taps * angle.cos() - 0.5).long()
    blurred = torch.zeros_like(images)
    for weight, dy, dx in zip(weights.tolist(), down.T, right.T, strict=True):
        blurred.add_(_shifted(images, dy, dx), alpha=weight)
    return blurred


def _shifted(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Each image read so many pixels further down and to the right, held at its border."""
    height, width = images.shape[-2:]
    rows = (torch.arange(height) + down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width) + right[:, None]).clamp(0, width - 1)
    flat = rearrange(rows[:, :, None] * width + columns[:, None, :], "b h w -> b 1 (h w)")
    pixels = rearrange(images, "b c h w -> b c (h w)")
    return pixels.gather(2, flat.expand(-1, images.shape[1], -1)).view_as(images)


def disk(radius: float, alias: float) -> Float[Tensor, "k k"]:
    """A flat disk of weight 1 whose edge is softened, without rows of zeros around it.

    As released, the softening mirrors at the edge of the kernel, which disks of radius 8
    and 10 touch: their weight is about 1.006.

    Args:
        radius: in pixels.
        alias: standard deviation of the softening, over 3 pixels (5 for a radius above 8).
    """
    reach, taps = (8, 1) if radius <= 8 else (int(radius), 2)
    places = np.arange(-reach, reach + 1)
    flat = (places[:, None] ** 2 + places[None] ** 2 <= radius**2).astype(float)
    window = np.exp(-(np.arange(-taps, taps + 1) ** 2) / (2 * alias**2))
    window /= window.sum()
    for axis in (0, 1):
        flat = ndimage.correlate1d(flat / flat.sum(), window, axis=axis, mode="mirror")
    rows = np.nonzero(flat.max(1) > 1e-7)[0]
    return torch.from_numpy(flat[rows[0] : rows[-1] + 1, rows[0] : rows[-1] + 1]).float()


def convolve(
    images: Float[Tensor, "b c h w"], kernel: Float[Tensor, "k k"]
) -> Float[Tensor, "b c h w"]:
    """Correlation with one kernel of odd side, images mirrored at their border pixels."""
    reach = kernel.shape[-1] // 2
    single = rearrange(images, "b c h w -> (b c) 1 h w")
    padded = F.pad(single, (reach,) * 4, mode="reflect")
    return F.conv2d(padded, kernel[None, None]).view_as(images)


def sample(
    images: Float[Tensor, "b c h w"],
    rows: Float[Tensor, "b h w"],
    columns: Float[Tensor, "b h w"],
    *,
    border: str,
    nearest: bool = False,
) -> Float[Tensor, "b c h w"]:
    """Images read at other places, linearly between pixels.

    Args:
        images: any.
        rows: in pixels; 0 is the middle of the first.
        columns: the same.
        border: mirror (at the border pixels), reflect (between them and the next) or zeros.
        nearest: take the nearest pixel instead.
    """
    height, width = images.shape[-2:]
    align = border == "mirror"
    less = 1 if align else 0
    y = (2 * rows + 1 - less) / (height - less) - 1
    x = (2 * columns + 1 - less) / (width - less) - 1
    return F.grid_sample(
        images,
        torch.stack([x, y], dim=-1).to(images.dtype),
        mode="nearest" if nearest else "bilinear",
        padding_mode="zeros" if border == "zeros" else "reflection",
        align_corners=align,
    )
