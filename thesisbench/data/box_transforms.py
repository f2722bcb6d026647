"""What is done to an image and its boxes together: resizing and mirroring.

Random numbers come from torch's global generator; `BoxFiles` seeds it for each sample. Images come
as bytes and leave as numbers from 0 to 1: detectors normalise them.

*Deviations*. A square keeps the proportions of the image and is filled up with grey on the right
and below, so that boxes are only scaled; darknet, the program of YOLOv3, centres the image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.detection_files import BoxTransform
from thesisbench.data.targets import Target
from thesisbench.errors import UserError

GREY = 0.5
Sides = Callable[[int, int], tuple[int, int]]


def as_it_is(*, flip: float = 0.0) -> BoxTransform:
    """The image in its own size.

    Args:
        flip: probability that it is mirrored left to right.
    """
    return _transform(lambda height, width: (height, width), flip)


def to_shorter_side(*, shorter: int = 800, longest: int = 1333, flip: float = 0.0) -> BoxTransform:
    """The shorter side made `shorter` long, or the longer one `longest` where that is less.

    Args:
        shorter: pixels.
        longest: pixels.
        flip: probability that it is mirrored left to right.

    Raises:
        UserError: sides below 1, or the longest below the shorter one.
    """
    if not 1 <= shorter <= longest:
        raise UserError(f"shorter={shorter} must be at least 1 and at most longest={longest}")

    def sides(height: int, width: int) -> tuple[int, int]:
        factor = min(shorter / min(height, width), longest / max(height, width))
        return max(1, round(factor * height)), max(1, round(factor * width))

    return _transform(sides, flip)


def to_square(*, side: int = 416, stretch: bool = False, flip: float = 0.0) -> BoxTransform:
    """The image in a square.

    Args:
        side: of the square, in pixels.
        stretch: fill it without keeping the proportions; else the longer side is made `side` long
            and the rest is grey.
        flip: probability that the image is mirrored left to right, before it is filled up.

    Raises:
        UserError: a side below 1.
    """
    if side < 1:
        raise UserError(f"side={side} must be at least 1")

    def sides(height: int, width: int) -> tuple[int, int]:
        if stretch:
            return side, side
        factor = side / max(height, width)
        return max(1, round(factor * height)), max(1, round(factor * width))

    return _transform(sides, flip, square=side)


def _transform(sides: Sides, flip: float, square: int | None = None) -> BoxTransform:
    if not 0 <= flip <= 1:
        raise UserError(f"flip={flip} is a probability, from 0 to 1")

    def apply(image: UInt8[Tensor, "3 h w"], target: Target) -> tuple[Tensor, Target]:
        image, target = resized(image, target, sides(*image.shape[-2:]))
        if flip and float(torch.rand(())) < flip:
            image, target = mirrored(image, target)
        numbers: Float[Tensor, "3 h2 w2"] = image.float() / 255
        return (numbers, target) if square is None else filled_up(numbers, target, square)

    return apply


def resized(image: Tensor, target: Target, sides: tuple[int, int]) -> tuple[Tensor, Target]:
    """Image, boxes and masks of another height and width."""
    height, width = image.shape[-2:]
    if (height, width) == tuple(sides):
        return image, target
    scale = torch.tensor([sides[1] / width, sides[0] / height])
    new = target | {
        "boxes": target["boxes"] * scale.repeat(2),
        "scale": target["scale"] * scale,
        "size": torch.tensor(sides),
    }
    if "masks" in target:
        nearest = InterpolationMode.NEAREST
        new["masks"] = F.resize(target["masks"], list(sides), interpolation=nearest)
    return F.resize(image, list(sides), antialias=True), new


def mirrored(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    """Image, boxes and masks, left and right exchanged."""
    x1, y1, x2, y2 = target["boxes"].unbind(1)
    width = image.shape[-1]
    new = target | {"boxes": torch.stack([width - x2, y1, width - x1, y2], 1)}
    if "masks" in target:
        new["masks"] = target["masks"].flip(-1)
    return image.flip(-1), new


def filled_up(image: Tensor, target: Target, side: int) -> tuple[Tensor, Target]:
    """Image and masks with more on the right and below, up to a square; boxes stay."""
    height, width = image.shape[-2:]
    around = [0, 0, side - width, side - height]
    new = target | {"size": torch.tensor([side, side])}
    if "masks" in target:
        new["masks"] = F.pad(target["masks"], around)
    return F.pad(image, around, fill=GREY), new
