"""Average precision and recall of detections as COCO measures them, by size and by class.

Used by Kayhan, chapter 4 (Figure 4.5, AP at IoU 0.5:0.95). The measure of Lin et al., ECCV 2014, as
torchmetrics has it over faster-coco-eval.

*Deviations*. Sizes are those of the original image (`scale` of a target is undone). The area that
makes an object small, medium or large is its `area` where the target has one, else that of its
box; COCO takes that of the mask. Masks are resized to the original image by their nearest pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.transforms.v2.functional import InterpolationMode, resize

from thesisbench.data.coco_masks import unpack_masks
from thesisbench.data.targets import MISSING, Prediction, Target

# torchmetrics's own are rounded to 32 bits, so that an IoU of exactly 0.8 would miss its threshold.
_IOUS = np.linspace(0.5, 0.95, 10).tolist()
_RECALLS = np.linspace(0, 1, 101).tolist()
_NAMES = {
    "map": "ap",
    "map_50": "ap50",
    "map_75": "ap75",
    **{f"map_{size}": f"ap_{size}" for size in ("small", "medium", "large")},
    **{f"mar_{size}": f"ar_{size}" for size in ("small", "medium", "large")},
    **{f"mar_{count}": f"ar_{count}" for count in (1, 10, 100)},
}


def coco_ap(
    predictions: Sequence[Prediction], targets: Sequence[Target], *, masks: bool = False
) -> tuple[dict[str, float], dict[int, float]]:
    """AP and AR in percent of all classes together, and AP of each class.

    Names: `ap` (mean over IoU 0.5, 0.55, ..., 0.95), `ap50`, `ap75`, `ap_small` (objects of less
    than 32 x 32 pixels), `ap_medium`, `ap_large` (more than 96 x 96); `ar_1`, `ar_10`, `ar_100`
    (so many detections an image), `ar_small`, `ar_medium`, `ar_large`. What no object decides is
    left out: all without any object, a class without one of its own. Without detections all are 0.

    Args:
        predictions: of each image: `boxes` [m 4] (xyxy), `scores` [m], `labels` [m].
        targets: of each image: `boxes` [n 4], `labels` [n]; where there, `crowd` and `difficult`
            [n] (neither wanted nor wrong), `state` [n] (parts that are not there are no objects),
            `scale` [2], `area` [n] (pixels of the original image).
        masks: compares masks, not boxes: `packed_masks` of both (see `pack_masks`).
    """
    # With masks alone torchmetrics 1.9 forgets images without objects, and what is found there.
    kinds: Any = ("bbox", "segm") if masks else ("bbox",)
    prefix = "segm_" if masks else ""
    metric = MeanAveragePrecision(
        iou_type=kinds,
        iou_thresholds=_IOUS,
        rec_thresholds=_RECALLS,
        class_metrics=True,
        backend="faster_coco_eval",
    )
    metric.warn_on_many_detections = False
    objects = [_wanted(target) for target in targets]
    if not any(bool((one["iscrowd"] == 0).any()) for one in objects):
        return {}, {}
    for prediction, target, wanted in zip(predictions, targets, objects, strict=True):
        found = _in_original(prediction, target)
        if masks:  # of one image at a time: unpacked they are large
            wanted["masks"] = _masks(target, target)[there(target)]
            found["masks"] = _masks(prediction, target)
        metric.update([found], [wanted])
    values = metric.compute()
    numbers = {name: 100 * float(values[prefix + key]) for key, name in _NAMES.items()}
    classes = values["classes"].reshape(-1).tolist()
    each = (100 * values[f"{prefix}map_per_class"].double()).reshape(-1).tolist()
    by_class = dict(zip(classes, each, strict=True))
    # torchmetrics says -1 for what nothing decides.
    return (
        {name: value for name, value in numbers.items() if value >= 0},
        {label: value for label, value in by_class.items() if value >= 0},
    )


def ignored(target: Target) -> Tensor:
    """Which boxes of a target are neither wanted nor wrong: crowds and difficult objects."""
    nothing = torch.zeros(len(target["labels"]), dtype=torch.bool)
    return target.get("crowd", nothing).bool() | target.get("difficult", nothing).bool()


def there(target: Target) -> Tensor:
    """Which boxes of a target are of objects that are there; missing parts are not."""
    state = target.get("state")
    if state is None:
        return torch.ones(len(target["labels"]), dtype=torch.bool)
    return state < MISSING


def _wanted(target: Target) -> dict[str, Tensor]:
    keep = there(target)
    boxes = (target["boxes"].float() / _factor(target))[keep]
    own = {"area": target["area"][keep]} if "area" in target else {}
    crowd = ignored(target)[keep].int()
    return {"boxes": boxes, "labels": target["labels"][keep].long(), "iscrowd": crowd, **own}


def _in_original(prediction: Prediction, target: Target) -> dict[str, Tensor]:
    return {
        "boxes": prediction["boxes"].float() / _factor(target),
        "scores": prediction["scores"].float(),
        "labels": prediction["labels"].long(),
    }


def _masks(item: Target | Prediction, target: Target) -> Bool[Tensor, "n h w"]:
    """The masks of an item in pixels of the original image of its target."""
    masks = unpack_masks(item["packed_masks"])
    width, height = target.get("scale", torch.ones(2)).tolist()
    size = (round(masks.shape[1] / height), round(masks.shape[2] / width))
    if size == tuple(masks.shape[1:]):
        return masks
    return resize(masks.byte(), list(size), interpolation=InterpolationMode.NEAREST).bool()


def _factor(target: Target) -> Tensor:
    scale = target.get("scale")
    return torch.ones(4) if scale is None else scale.float().repeat(2)
