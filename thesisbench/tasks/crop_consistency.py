"""Shift consistency on random crops: does an image get one class at two places?

Zhang, ICML 2019; Zhao, chapter 3, Figure 3.4: windows of 224 pixels out of images of 256, at two
random offsets. Draws are a function of (seed, number of the image, pair).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesisbench.data.draws import mixed
from thesisbench.errors import UserError
from thesisbench.step import StepContext
from thesisbench.tasks.over_images import Images, over_split, own_or_fitted, tell_counts


def drawn_offsets(
    numbers: Sequence[int], *, pairs: int, room: int, seed: int
) -> Int[Tensor, "b p 2 2"]:
    """Rows and columns of two windows for each pair of each image.

    Args:
        numbers: of the images in their data set.
        pairs: for each image.
        room: largest offset along each axis, in pixels.
        seed: of the draws.
    """
    keys = [(0, number) for number in numbers]
    drawn = mixed(seed, keys, 4 * pairs) % (room + 1)
    return torch.from_numpy(drawn.astype("int64")).view(-1, pairs, 2, 2)


def windows_at(
    images: Float[Tensor, "b c h w"], offsets: Int[Tensor, "b 2"], crop: int
) -> Float[Tensor, "b c s s"]:
    """A square window of each image, which starts at its own row and column."""
    every = images.unfold(2, crop, 1).unfold(3, crop, 1)  # b c rows columns s s, not copied
    return every[torch.arange(len(images)), :, offsets[:, 0], offsets[:, 1]]


class CropConsistency:
    """Agreement of the classes at pairs of random crops, and accuracy in the centre.

    Metrics, in percent: `consistency` and `centre_top1`. The data are the step's own data set, or
    the fit's where the step has none.

    Args:
        split: square images, larger than the window.
        crop: side of the window.
        pairs: of windows of each image.
    """

    def __init__(self, *, split: str = "val", crop: int = 224, pairs: int = 1) -> None:
        if pairs < 1 or crop < 1:
            raise UserError(f"pairs={pairs} and crop={crop} must be at least 1")
        self.split, self.crop, self.pairs = split, crop, pairs

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Evaluates the fit that is the input `weights`."""
        network, data = context.fitted(), own_or_fitted(context)
        seed = int(context.config.get("seed", 0))

        def classes_of(images: Images, numbers: list[int]) -> Tensor:
            room = self._room(images)
            offsets = drawn_offsets(numbers, pairs=self.pairs, room=room, seed=seed).flatten(1, 2)
            centre = torch.full((len(images), 1, 2), room // 2)
            places = torch.cat([centre, offsets], 1).unbind(1)
            found = [network(windows_at(images, place, self.crop)).argmax(1) for place in places]
            return torch.stack(found, 1)

        classes, labels = over_split(data, self.split, None, classes_of)
        context.save_predictions(self.split, classes.to(torch.int16).numpy())
        tell_counts(context, data, self.split, len(labels))
        context.result.facts["data"] = data.fingerprint()
        return agreement(classes, labels)

    def _room(self, images: Images) -> int:
        height, width = images.shape[-2:]
        if height != width or height < self.crop:
            text = f"crops of {self.crop} pixels need square images of at least that"
            raise UserError(f"{text}, not {height}x{width}; choose evaluation.split or .crop")
        return height - self.crop


def agreement(classes: Int[Tensor, "n t"], labels: Int[Tensor, " n"]) -> dict[str, float]:
    """`consistency` and `centre_top1` in percent.

    Args:
        classes: of the centre, then of the windows of all pairs, the two of a pair together.
        labels: true classes.

    >>> agreement(torch.tensor([[1, 1, 1], [0, 1, 2]]), torch.tensor([1, 1]))
    {'consistency': 50.0, 'centre_top1': 50.0}
    """
    first, second = classes[:, 1::2], classes[:, 2::2]
    return {
        "consistency": 100 * float((first == second).double().mean()),
        "centre_top1": 100 * float((classes[:, 0] == labels).double().mean()),
    }
