"""Small detectors, and images of coloured squares with their targets."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from thesisbench.step import build_network

CONF = Path(str(files("thesisbench.conf")))
KINDS = {
    "tiny_faster_rcnn": "resnet8",
    "tiny_retinanet": "resnet8",
    "tiny_yolov3": "tiny_darknet",
    "rpn": "resnet8",
    "mask_rcnn": "resnet8",
}
SMALL_RPN = {"levels": 2, "channels": 16, "anchor_sizes": [[8], [16], [32]], "short_side": None}
CHANGES: dict[str, dict[str, Any]] = {
    "tiny_faster_rcnn": {"channels": 16, "head_width": 32, "sampled": [16, 16]},
    "tiny_retinanet": {"channels": 16},
    "rpn": {**SMALL_RPN, "limit": 50, "sampled": 16},
    "mask_rcnn": {**SMALL_RPN, "head_width": 32, "roi_size": 4, "proposals": [50, 20]},
}


def option(group: str, name: str, **changes: Any) -> dict[str, Any]:
    """The node of an option file."""
    node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    return {**node, **changes} if node else {}


def tiny(kind: str, *, seed: int = 0, classes: int = 3, **changes: Any) -> Any:
    """A small detector of a kind, with random weights."""
    torch.manual_seed(seed)
    known = {} if kind == "rpn" else {"classes": classes}
    node = option("detector", kind, **known, **{**CHANGES.get(kind, {}), **changes})
    network, _ = build_network({"backbone": option("backbone", KINDS[kind]), "detector": node})
    return network


def target(boxes: list[list[float]], labels: list[int], **more: Any) -> dict[str, Tensor]:
    """A target of these boxes."""
    found = {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "crowd": torch.zeros(len(labels), dtype=torch.bool),
    }
    return {**found, **{name: torch.as_tensor(value) for name, value in more.items()}}


def squares(side: int = 64) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Two images with coloured squares of classes 0, 1 and 2 (red, green, blue) on grey."""
    targets = [
        target([[6, 8, 26, 28], [36, 30, 60, 52]], [0, 1]),
        target([[30, 6, 50, 26]], [2]),
    ]
    images = []
    for one in targets:
        image = torch.full((3, side, side), 0.4)
        for (x1, y1, x2, y2), label in zip(
            one["boxes"].int().tolist(), one["labels"].tolist(), strict=True
        ):
            image[:, y1:y2, x1:x2] = 0.1
            image[label, y1:y2, x1:x2] = 0.95
        one["masks"] = torch.zeros(len(one["labels"]), side, side, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(one["masks"], one["boxes"].int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = True
        images.append(image)
    return images, targets
