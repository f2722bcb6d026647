"""A classifier of crops: the second half of R-CNN, whose boxes are given.

Kayhan, chapter 3, Crop-Input on COCO ("a variation of R-CNN where we use a softmax classifier based
on an ImageNet pretrained AlexNet", crops of 227x227); paper: Girshick et al., arXiv 1311.2524. The
true boxes crop the image, so what is outside of them cannot matter.

*Deviations*. No background class and no proposals, as in the thesis. R-CNN warps a crop with 16
pixels of context around it; the thesis's crops have none. A crop has the pixels whose centres lie
in the box, as `thesisbench.detection.hide` shows them, resized bilinearly with smoothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.targets import Target
from thesisbench.detection.detector import MEAN, STD, check_outputs, trained_on
from thesisbench.errors import UserError


class CropClassifier(nn.Module):
    """Class logits of given boxes.

    Where a batch is trained on, the loss is the mean over its boxes.

    Args:
        network: a classifier of images to logits.
        classes: number of classes; that of the network.
        side: that crops are resized to.

    Raises:
        UserError: a side below 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, *, classes: int, side: int = 227) -> None:
        super().__init__()
        if side < 1:
            raise UserError(f"side={side} must be at least 1")
        self.network, self.classes, self.side = network, classes, side
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    @property
    def varied(self) -> nn.Module:
        """The part that drop-ins rewrite: the classifier."""
        return self.network

    def classify(self, images: Iterable[Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Logits Float[n k] of the boxes of each image.

        Images may be on any device; the logits come back there.

        Args:
            images: Float[3 h w] in [0, 1].
            boxes: Float[n 4] of each.
        """
        pairs = zip(images, boxes, strict=True)
        crops = [self.crop(image, box) for image, each in pairs for box in each]
        inside = next(self.parameters())
        logits = inside.new_zeros(0, self.classes)
        if crops:
            logits = self.network(torch.stack(crops).to(inside.device)).to(crops[0].device)
            check_outputs(logits, self.classes)
        return list(logits.split([len(each) for each in boxes]))

    def crop(
        self, image: Float[Tensor, "3 h w"], box: Float[Tensor, " 4"]
    ) -> Float[Tensor, "3 side side"]:
        """The normalised, resized pixels of a box; one pixel at least."""
        x1, x2 = _pixels(box[0::2], image.shape[2])
        y1, y2 = _pixels(box[1::2], image.shape[1])
        size = (self.side, self.side)
        piece = image[None, :, y1:y2, x1:x2]
        resized = F.interpolate(piece, size=size, mode="bilinear", antialias=True)[0]
        return (resized - self.mean.to(image.device)) / self.std.to(image.device)

    def losses(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """`loss_class`: cross-entropy, the mean over the boxes of a batch; 0 without a box."""
        trained = [trained_on(target) for target in targets]
        logits = torch.cat(self.classify(images, [one["boxes"] for one in trained]))
        labels = torch.cat([one["labels"] for one in trained]).long()
        if not len(labels):  # all weights have a gradient all the same
            nothing = sum(parameter.sum() for parameter in self.parameters()) * 0.0
            return {"loss_class": torch.as_tensor(nothing)}
        return {"loss_class": F.cross_entropy(logits, labels)}

    def forward(self, *images: Float[Tensor, "3 h w"]) -> Float[Tensor, "b k"]:
        """Logits of whole images."""
        whole = [torch.tensor([[0.0, 0.0, x.shape[2], x.shape[1]]]) for x in images]
        return torch.cat(self.classify(images, whole))


def _pixels(ends: Tensor, count: int) -> tuple[int, int]:
    """First pixel whose centre lies between two ends, and the one behind the last."""
    low, high = (ends - 0.5).ceil().long().tolist()
    first = min(max(low, 0), count - 1)
    return first, min(max(high, first + 1), count)
