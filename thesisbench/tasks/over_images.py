"""What evaluations share that change images before the network sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesisbench.data.shares import gather
from thesisbench.step import StepContext

Images = Float[Tensor, "b c h w"]
Predict = Callable[[Images, list[int]], Tensor]


class Scale:
    """Undoes the normalisation of a data set's images, and does it again.

    Args:
        mean: that was subtracted from each channel. std: that it was then divided by.
    """

    def __init__(self, *, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = (torch.tensor(x).view(-1, 1, 1) for x in (mean, std))

    def to_unit(self, images: Images) -> Images:
        """Images from 0 to 1."""
        return (images * self.std + self.mean).clamp(0, 1)

    def back(self, images: Images) -> Images:
        """Images as the network takes them."""
        return (images - self.mean) / self.std


@torch.no_grad()
def over_split(
    data: Any, split: str, clips: int | None, classes_of: Predict
) -> tuple[Int[Tensor, "n ..."], Int[Tensor, " n"]]:
    """What a function finds for each image of a split, or of its first ones, and the labels.

    Args:
        data: data module.
        split: of the data set.
        clips: at most so many images (whole batches); None for all.
        classes_of: images and their numbers -> classes, of any number for each image.
    """
    loader = data.share(split)
    sampler = loader.batch_sampler
    limits = [data.loading.limit, None if clips is None else -(-clips // sampler.batch_size)]
    limit = min((x for x in limits if x is not None), default=None)
    places = sampler.positions(sampler.share.rank, limit)
    found, truth = [], []
    for index, ((images,), labels) in enumerate(islice(loader, limit)):
        count = sampler.count(index)
        numbers, places = places[:count], places[count:]
        # A process without an image of a small last batch computes one that does not count.
        padded = numbers or [0]
        found.append(classes_of(images[: len(padded)], padded)[:count])
        truth.append(labels[:count])
    return gather(torch.cat(found), sampler, limit), gather(torch.cat(truth), sampler, limit)


def own_or_fitted(context: StepContext) -> Any:
    """The step's own data module, or that of the fit where the step has none."""
    return context.dataset() if context.config.get("dataset") else context.fitted_dataset()


def tell_counts(context: StepContext, data: Any, split: str, count: int) -> None:
    """Puts into the record how many images of a split were evaluated."""
    context.result.facts["evaluated"] = {split: {"on": count, "of": len(data.split(split))}}
