"""Turning, moving, scaling and tilting images about their middle; black comes in at the border."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from thesisbench.data.corruptions.linear import sample

Images = Float[Tensor, "b c h w"]


def warped(images: Images, back: Float[Tensor, "3 3"], *, nearest: bool = False) -> Images:
    """Images seen through a projective map.

    Args:
        images: any.
        back: takes (x, y, 1) of the result to the source, in pixels from the middle of the image.
        nearest: take the nearest pixel, without interpolation.
    """
    height, width = images.shape[-2:]
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    y, x = torch.meshgrid(
        torch.arange(height) - middle_y, torch.arange(width) - middle_x, indexing="ij"
    )
    source = torch.stack([x, y, torch.ones_like(x)], -1).double() @ back.T
    source = (source[..., :2] / source[..., 2:]).float()
    rows, columns = source[..., 1] + middle_y, source[..., 0] + middle_x
    shape = (len(images), height, width)
    return sample(
        images, rows.expand(shape), columns.expand(shape), border="zeros", nearest=nearest
    )


def translation(right: float) -> Float[Tensor, "3 3"]:
    """Moves an image to the right by so many pixels."""
    return torch.tensor([[1, 0, -right], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)


def rotation(degrees: float) -> Float[Tensor, "3 3"]:
    """Turns an image clockwise."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, s, 0], [-s, c, 0], [0, 0, 1]], dtype=torch.float64)


def scaling(factor: float) -> Float[Tensor, "3 3"]:
    """Enlarges an image by a factor; below 1 it gets smaller."""
    return torch.diag(torch.tensor([1 / factor, 1 / factor, 1], dtype=torch.float64))


def tilt(degrees: float, height: int, width: int) -> Float[Tensor, "3 3"]:
    """Turns an image in space about both its axes, seen from as far as its diagonal is long.

    Args:
        degrees: of both turns.
        height: of the images.
        width: of the images.
    """
    angle, far = math.radians(degrees), math.hypot(height, width)
    c, s = math.cos(angle), math.sin(angle)
    about_x = torch.tensor([[1, 0, 0], [0, c, -s], [0, s, c]], dtype=torch.float64)
    about_y = torch.tensor([[c, 0, -s], [0, 1, 0], [s, 0, c]], dtype=torch.float64)
    # A point of the image lies at (x, y, 1): the release puts the picture plane at depth 1.
    turned = about_x @ about_y
    shown = torch.diag(torch.tensor([far, far, 1], dtype=torch.float64))
    away = torch.tensor([[0, 0, 0], [0, 0, 0], [0, 0, far]], dtype=torch.float64)
    return torch.linalg.inv(shown @ (turned + away))
