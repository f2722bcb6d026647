"""What cameras and files do: contrast, saturation, warps, large pixels, JPEG.

Hendrycks and Dietterich 2019; arguments as in `noise`.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from thesisbench.data.corruptions import linear
from thesisbench.data.corruptions.colours import resaturated
from thesisbench.data.corruptions.draws import Draws

Images = Float[Tensor, "b c h w"]


def contrast(images: Images, share: float, draws: Draws) -> Images:
    """What is left of the distance of each value to the mean of its channel."""
    del draws
    mean = images.mean((2, 3), keepdim=True)
    return (images - mean) * share + mean


def saturate(images: Images, level: tuple[float, float], draws: Draws) -> Images:
    """Multiplies the saturation and adds to it; images of one channel have none."""
    del draws
    return resaturated(images, *level) if images.shape[1] == 3 else images


def pixelate(images: Images, share: float, draws: Draws) -> Images:
    """Smaller by a share of the side and back, with box filters and bytes in between."""
    del draws
    side = images.shape[-1]
    few = int(side * share)
    small = linear.both_axes(images, linear.box_matrix(side, few))
    small = (small * 255).round() / 255
    return linear.both_axes(small, linear.box_matrix(few, side))


def jpeg_compression(images: Images, quality: int, draws: Draws) -> Images:
    """JPEG of a quality from 1 to 100, colours at half the resolution."""
    del draws
    pixels = rearrange((images * 255).round().to(torch.uint8), "b c h w -> b h w c").numpy()
    coded = np.stack([_through_jpeg(image, quality) for image in pixels])
    return rearrange(torch.from_numpy(coded), "b h w c -> b c h w").float() / 255


def _through_jpeg(image: Any, quality: int) -> Any:
    """The bytes [h, w, c] of an image after it was stored."""
    file = BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)


def elastic_transform(images: Images, level: tuple[float, ...], draws: Draws) -> Images:
    """A random affine map, then pixels moved by smooth noise.

    The level is: how far pixels move at most before smoothing, the deviation of the smoothing, and
    how far the three points go that tell the affine map; all in pixels.
    """
    most, sigma, affine = level
    warped = _affine(images, affine, draws)
    if not most:
        return warped
    side = images.shape[-1]
    noise = 2 * draws.uniform(2, side, side, stream=1) - 1
    moves = most * linear.blur(noise, sigma, border="reflect", truncate=3.0)
    place = torch.arange(side, dtype=torch.float32)
    rows, columns = place[:, None] + moves[:, 0], place + moves[:, 1]
    return linear.sample(warped, rows, columns, border="reflect")


def _affine(images: Images, reach: float, draws: Draws) -> Images:
    """Moves three points around the middle by up to `reach` along each axis, and all with them."""
    side = images.shape[-1]
    middle, out = float(side // 2), float(side // 3)
    points = middle + out * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])  # x, y
    moved = points + reach * (2 * draws.uniform(3, 2) - 1)
    one = torch.ones(len(images), 3, 1)
    # [x y 1] of the result times this is x, y of the source
    back = torch.linalg.solve(torch.cat([moved, one], 2), points.expand_as(moved))
    place = torch.arange(side, dtype=torch.float32)
    y, x = torch.meshgrid(place, place, indexing="ij")
    grid = torch.stack([x, y, torch.ones_like(x)], -1)
    source = rearrange(grid, "h w three -> 1 (h w) three") @ back
    columns, rows = rearrange(source, "b (h w) two -> two b h w", h=side)
    return linear.sample(images, rows, columns, border="mirror")
