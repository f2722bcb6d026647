"""What evaluations of detectors share: predictions of a split, as rows, and names of classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed

from thesisbench.data.coco_masks import pack_masks
from thesisbench.data.shares import ShareSampler
from thesisbench.data.targets import Prediction, Target
from thesisbench.errors import UserError


def as_detector(network: Any) -> Any:
    """A network that detects.

    Raises:
        UserError: it is another network.
    """
    if not hasattr(network, "detect"):
        text = f"the fit has a {type(network).__name__}, which detects nothing"
        raise UserError(f"{text}; evaluate a fit with detector=NAME")
    return network


@torch.no_grad()
def over_images(
    data: Any,
    split: str,
    clips: int | None,
    each: Callable[[list[Tensor], list[dict[str, Tensor]]], list[Any]],
) -> list[Any]:
    """What a function finds for each image of a split, or of its first ones, in their order.

    Where several processes work on the run, each does its share and all get the whole.

    Args:
        data: data module with batches of images and targets.
        split: of the data set.
        clips: at most so many images (whole batches); None for all.
        each: images and targets -> one result an image, such as tensors in a dictionary.
    """
    loader = data.share(split)
    sampler = loader.batch_sampler
    limits = [data.loading.limit, None if clips is None else -(-clips // sampler.batch_size)]
    limit = min((x for x in limits if x is not None), default=None)
    found: list[Any] = []
    for index, (images, targets) in enumerate(islice(loader, limit)):
        count = sampler.count(index)
        if count:
            found += each(images[:count], targets[:count])
    return gather_items(found, sampler, limit)


def gather_items(items: list[Any], sampler: ShareSampler, limit: int | None = None) -> list[Any]:
    """The items of all processes in the order of the samples; all processes call it.

    Args:
        items: this process's, one a sample, in the order of its parts.
        sampler: that shared the samples out.
        limit: global batches that were taken; None for all.
    """
    ranks = sampler.share.ranks
    if ranks == 1:
        return items
    theirs: list[list[Any]] = [[] for _ in range(ranks)]
    distributed.all_gather_object(theirs, items)
    places = [sampler.positions(rank, limit) for rank in range(ranks)]
    whole: list[Any] = [None] * sum(map(len, places))
    for part, place in zip(theirs, places, strict=True):
        for where, item in zip(place, part, strict=True):
            whole[where] = item
    return whole


def detections(
    detector: Any,
    data: Any,
    split: str,
    *,
    score_threshold: float | None = None,
    clips: int | None = None,
    masks: bool = False,
) -> tuple[list[Prediction], list[Target]]:
    """Predictions and targets of the images of a split.

    Masks are left out, or packed, under the name `packed_masks`.

    Args:
        detector: with `detect(images, score_threshold=...)`.
        data: data module.
        split: of the data set.
        score_threshold: in place of the detector's own.
        clips: at most so many images (whole batches); None for all.
        masks: keep them; then all images and all predictions must have some.

    Raises:
        UserError: masks are asked for and the data or the detector have none.
    """

    def each(images: list[Tensor], targets: list[dict[str, Tensor]]) -> list[Any]:
        found = detector.detect(images, score_threshold=score_threshold)
        light = _packed if masks else _light
        return [(light(p), light(t)) for p, t in zip(found, targets, strict=True)]

    pairs: list[Any] = over_images(data, split, clips, each)
    return [p for p, _ in pairs], [t for _, t in pairs]


def _light(item: Prediction) -> Prediction:
    return {name: value for name, value in item.items() if name != "masks"}


def _packed(item: Prediction) -> Prediction:
    if "masks" not in item:
        what = "detector" if "scores" in item else "data set"
        raise UserError(
            f"the {what} has no masks; evaluate a fit with detector=mask_rcnn on data with masks "
            "(dataset.splits.masks=true), or leave evaluation.masks=false"
        )
    return _light(item) | {"packed_masks": pack_masks(item["masks"])}


def as_rows(predictions: Sequence[Prediction]) -> Float[Tensor, "d 7"]:
    """Detections of all images, one below another: image, label, score, x1, y1, x2, y2."""
    rows = [
        torch.cat(
            [
                torch.full((len(p["labels"]), 1), float(image), dtype=torch.double),
                p["labels"].double()[:, None],
                p["scores"].double()[:, None],
                p["boxes"].double(),
            ],
            dim=1,
        )
        for image, p in enumerate(predictions)
    ]
    return torch.cat([torch.zeros(0, 7, dtype=torch.double), *rows])


def class_names(data: Any) -> tuple[str, ...]:
    """Names of the classes as parts of metric names: lower-case letters, digits, underscores.

    >>> class_names(type("Data", (), {"classes": ("Traffic light", "cup")}))
    ('traffic_light', 'cup')
    """
    return tuple(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in data.classes)
