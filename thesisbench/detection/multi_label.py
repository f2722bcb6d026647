"""Which classes are in an image, without boxes: the multi-label network of chapter 4.

Kayhan, chapter 4, "MCML": a ResNet-50 with a sigmoid for each of the 22 parts, trained to say which
are present.

*Deviations*. The thesis does not say the size of images: they are resized to 224x224, whatever
their ratio (`side`; null takes them as they are, all of one size).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.targets import Target
from thesisbench.detection.detector import MEAN, STD, check_outputs, trained_on
from thesisbench.errors import UserError


class MultiLabelNet(nn.Module):
    """Logits of the presence of each class.

    Args:
        network: a classifier of images to logits.
        classes: number of classes; that of the network.
        side: that images are resized to; None for images of one size.
    """

    batch_free = True
    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, *, classes: int, side: int | None = 224) -> None:
        super().__init__()
        self.network, self.classes, self.side = network, classes, side
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    @property
    def varied(self) -> nn.Module:
        """The part that drop-ins rewrite: the classifier."""
        return self.network

    def forward(self, *images: Float[Tensor, "3 h w"]) -> Float[Tensor, "b k"]:
        """Logits for images in [0, 1], given one by one.

        Images may be on any device; the logits come back there.

        Raises:
            UserError: images of several sizes without a side, or another number of logits.
        """
        inside = next(self.parameters()).device
        sizes = {tuple(image.shape[1:]) for image in images}
        if self.side is None and len(sizes) > 1:
            raise UserError(f"images of {len(sizes)} sizes: set detector.side to resize them")
        batch = torch.stack([self._resized(image.to(inside)) for image in images])
        logits: Tensor = self.network((batch - self.mean) / self.std)
        check_outputs(logits, self.classes)
        return logits.to(images[0].device)

    def _resized(self, image: Tensor) -> Tensor:
        if self.side is None or image.shape[1:] == (self.side, self.side):
            return image
        size = (self.side, self.side)
        return F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]


def presence(targets: Sequence[Target], classes: int) -> Float[Tensor, "b k"]:
    """1 for each class of which an image has an object to train on, else 0."""
    truth = torch.zeros(len(targets), classes, device=targets[0]["boxes"].device)
    for row, target in zip(truth, targets, strict=True):
        row[trained_on(target)["labels"].long()] = 1
    return truth
