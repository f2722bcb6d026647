"""Masks of COCO: polygons or run lengths, decoded by pycocotools when they are needed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import msgspec
import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)


def is_segmentation(found: Any) -> bool:
    """Whether it is a list of polygons of at least three corners, or run lengths with a size."""
    if isinstance(found, list):
        return bool(found) and all(map(_is_polygon, found))
    return isinstance(found, dict) and {"counts", "size"} <= set(found)


def _is_polygon(points: Any) -> bool:
    plain = isinstance(points, list) and all(isinstance(p, int | float) for p in points)
    return plain and len(points) >= 6 and len(points) % 2 == 0


def masks_of(
    segmentations: Sequence[bytes], annotated: Sequence[int], size: tuple[int, int]
) -> Bool[Tensor, "n h w"]:
    """Masks from COCO's JSON.

    Args:
        segmentations: of each object.
        annotated: height and width of the image that they are for.
        size: height and width that the masks are to have; others are resized to it.
    """
    masks = torch.zeros(len(segmentations), *annotated, dtype=torch.bool)
    for index, text in enumerate(segmentations):
        masks[index] = _decoded(msgspec.json.decode(text), annotated)
    if tuple(annotated) != tuple(size) and len(masks):
        return F.interpolate(masks[:, None].float(), size=size)[:, 0].bool()
    return masks if len(masks) else masks.new_zeros(0, *size)


def _decoded(found: Any, size: Sequence[int]) -> Bool[Tensor, "h w"]:
    from pycocotools import mask as coco

    if isinstance(found, list):
        found = coco.merge(coco.frPyObjects(found, *size))
    elif isinstance(found["counts"], list):
        found = coco.frPyObjects(found, *size)
    with warnings.catch_warnings():
        # pycocotools 2.0.11 with NumPy 2: __array__ does not know the argument `copy`.
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.from_numpy(coco.decode(found)).bool()
