"""What is done to a decoded image: the usual crops of ImageNet training and testing.

Made of torchvision's transforms, whose random numbers come from torch's global generator;
`ImageFiles` seeds it for each sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torchvision.transforms import v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision's weights


def random_crop(
    *, size: int = 224, mean: Sequence[float] = MEAN, std: Sequence[float] = STD
) -> Any:
    """For training: a random part (8 to 100% of the area) made square, mirrored half of the time.

    Args:
        size: of the result, in pixels.
        mean: subtracted from each channel, whose range is 0 to 1.
        std: that it is then divided by.
    """
    crop = v2.RandomResizedCrop(size, antialias=True)
    return v2.Compose([crop, v2.RandomHorizontalFlip(), *_numbers(mean, std)])


def random_window(
    *,
    resize: int = 256,
    size: int = 224,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
) -> Any:
    """For training: the shorter side made `resize` long, a random window, half of them mirrored.

    Args:
        resize: pixels.
        size: of the window, in pixels.
        mean: subtracted from each channel, whose range is 0 to 1.
        std: that it is then divided by.
    """
    window = [v2.Resize(resize, antialias=True), v2.RandomCrop(size)]
    return v2.Compose([*window, v2.RandomHorizontalFlip(), *_numbers(mean, std)])


def centre_crop(
    *,
    resize: int = 256,
    size: int = 224,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
) -> Any:
    """For tests: the shorter side made `resize` long, then the square in the middle.

    Args:
        resize: pixels.
        size: of the result, in pixels.
        mean: subtracted from each channel, whose range is 0 to 1.
        std: that it is then divided by.
    """
    resized = v2.Resize(resize, antialias=True)
    return v2.Compose([resized, v2.CenterCrop(size), *_numbers(mean, std)])


def _numbers(mean: Sequence[float], std: Sequence[float]) -> list[Any]:
    scaled = v2.ToDtype(torch.float32, scale=True)
    normalized = v2.Normalize(list(mean), list(std))
    return [v2.PILToTensor(), scaled, normalized, v2.ToPureTensor()]
