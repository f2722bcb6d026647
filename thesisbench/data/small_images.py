"""Transforms of small images in memory, whole batches at a time: crop, flip, normalise.

What is random about a sample is drawn from (seed, epoch, index); no loop runs over samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.arrays import Batch, Key
from thesisbench.data.draws import uniform


def crop(
    images: Shaped[Tensor, "b c h w"], top: Tensor, left: Tensor, *, padding: int
) -> Shaped[Tensor, "b c h w"]:
    """A window of the images' own size out of each image in a frame of zeros.

    Args:
        images: of any type.
        top: row of each window in the framed image, 0 to 2 * padding.
        left: its column.
        padding: width of the frame in pixels.
    """
    height, width = images.shape[-2:]
    framed = F.pad(images, (padding,) * 4)
    windows = framed.unfold(2, height, 1).unfold(3, width, 1)  # b c rows columns h w, not copied
    return windows[torch.arange(len(images)), :, top, left]


class CropAndFlip:
    """The usual augmentation of CIFAR: a random crop of the image in a black frame, and a flip.

    Args:
        padding: width of the frame in pixels. flip: mirror half of the images.
    """

    def __init__(self, *, padding: int = 4, flip: bool = True) -> None:
        self.padding, self.flip = padding, flip

    def __call__(self, batch: Batch, keys: Sequence[Key], seed: int) -> Batch:
        """Augments the first input of a batch."""
        (images, *others), targets = batch
        drawn = uniform(seed, keys, 3)
        top, left = (drawn[:, :2] * (2 * self.padding + 1)).long().T
        images = crop(images, top, left, padding=self.padding)
        if self.flip:
            mirrored = (drawn[:, 2] < 0.5).view(-1, 1, 1, 1)
            images = torch.where(mirrored, images.flip(-1), images)
        return (images, *others), targets


class Normalize:
    """Bytes to numbers: (value / 255 - mean) / standard deviation, for each channel.

    Args:
        mean: of each channel, in units of the full range. std: its standard deviation.
    """

    def __init__(self, *, mean: Sequence[float], std: Sequence[float]) -> None:
        self.scale = (1 / (255 * torch.tensor(std, dtype=torch.float64))).float().view(-1, 1, 1)
        self.shift = (torch.tensor(mean) / torch.tensor(std)).view(-1, 1, 1)

    def __call__(self, images: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The images as floats."""
        return images.float().mul_(self.scale).sub_(self.shift)
