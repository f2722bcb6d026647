"""Masks of COCO: polygons or run lengths, decoded by pycocotools when they are needed; packing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import torch
from jaxtyping import Bool, UInt8
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


def pack_masks(masks: Bool[Tensor, "n h w"]) -> UInt8[Tensor, " bytes"]:
    """Masks as COCO's run lengths, in a tensor of bytes that is kept and sent at little cost.

    >>> unpack_masks(pack_masks(torch.eye(2)[None] > 0)).tolist()
    [[[True, False], [False, True]]]
    """
    from pycocotools import mask as coco

    columns = np.asfortranarray(masks.movedim(0, -1).cpu().numpy().astype(np.uint8))
    counts = [found["counts"].decode("ascii") for found in coco.encode(columns)]
    text = msgspec.json.encode({"size": list(masks.shape[1:]), "counts": counts})
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


def unpack_masks(packed: UInt8[Tensor, " bytes"]) -> Bool[Tensor, "n h w"]:
    """Masks from what `pack_masks` made of them."""
    found = msgspec.json.decode(packed.numpy().tobytes())
    size = found["size"]
    masks = [_decoded({"size": size, "counts": one}, size) for one in found["counts"]]
    return torch.stack(masks) if masks else torch.zeros(0, *size, dtype=torch.bool)


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
