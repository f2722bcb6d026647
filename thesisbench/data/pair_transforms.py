"""What is done to an image and its mask together, for semantic segmentation.

Made of torchvision's transforms, whose random numbers come from torch's global generator;
`MaskFiles` seeds it for each sample. Images are interpolated, masks take the nearest label; what is
added around is the mean colour, which becomes 0, and label 255, which does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.image_transforms import MEAN, STD
from thesisbench.data.mask_files import IGNORED, Mask
from thesisbench.errors import UserError

Pair = tuple[Tensor, Tensor]


def scale_crop_flip(
    *,
    size: int = 512,
    scales: tuple[float, float] = (0.5, 2.0),
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
) -> Callable[[Image.Image, Mask], Pair]:
    """For training: scaled by chance, a random square of it, mirrored half of the time.

    Args:
        size: of the square, in pixels; smaller images are filled up.
        scales: smallest and largest factor, all alike probable.
        mean: subtracted from each channel, whose range is 0 to 1.
        std: that it is then divided by.
    """
    low, high = scales
    if not 0 < low <= high:
        raise UserError(f"scales={list(scales)} must be positive, the smaller first")
    fill = {tv_tensors.Image: _bytes(mean), tv_tensors.Mask: IGNORED}
    cut = v2.RandomCrop(size, pad_if_needed=True, fill=fill)
    flip = v2.RandomHorizontalFlip()

    def apply(image: Image.Image, mask: Mask) -> Pair:
        factor = low + (high - low) * float(torch.rand(()))
        sides = [max(1, round(factor * side)) for side in mask.shape]
        picture, labels = (F.resize(part, sides, antialias=True) for part in _pair(image, mask))
        picture, labels = flip(*cut(picture, labels))
        return _numbers(picture, labels, mean, std)

    return apply


def fill_up(
    *, size: int = 512, mean: Sequence[float] = MEAN, std: Sequence[float] = STD
) -> Callable[[Image.Image, Mask], Pair]:
    """For tests: the image as it is, filled up to a square on the right and below.

    Args:
        size: of the square, in pixels.
        mean: subtracted from each channel, whose range is 0 to 1.
        std: that it is then divided by.
    """
    fill = {tv_tensors.Image: _bytes(mean), tv_tensors.Mask: IGNORED}

    def apply(image: Image.Image, mask: Mask) -> Pair:
        height, width = mask.shape
        if max(height, width) > size:
            text = f"an image of {width}x{height} is larger than dataset.test.size={size}"
            raise UserError(f"{text}; set it to the longest side there is")
        pad = v2.Pad([0, 0, size - width, size - height], fill=fill)
        picture, labels = pad(*_pair(image, mask))
        return _numbers(picture, labels, mean, std)

    return apply


def _bytes(mean: Sequence[float]) -> list[int]:
    return [round(255 * value) for value in mean]


def _pair(image: Image.Image, mask: Mask) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    return tv_tensors.Image(F.pil_to_tensor(image)), tv_tensors.Mask(torch.from_numpy(mask))


def _numbers(image: Tensor, mask: Tensor, mean: Sequence[float], std: Sequence[float]) -> Pair:
    scaled = F.to_dtype(image.as_subclass(Tensor), torch.float32, scale=True)
    labels = mask.as_subclass(Tensor).contiguous()
    return F.normalize(scaled, list(mean), list(std)), labels
