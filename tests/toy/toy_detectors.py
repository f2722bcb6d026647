"""Detectors that look things up, and splits of boxes in memory, for tests of evaluations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from thesisbench.data.arrays import Loading
from thesisbench.data.detection_files import BoxSplit
from thesisbench.data.detection_module import DetectionDataModule

Finds = Callable[[Tensor], dict[str, Tensor]]
CLASSES = ("Traffic light", "cup", "bell")


class LookupDetector(nn.Module):
    """Finds what a function says of an image; counts its calls and the images it saw."""

    score_threshold, limit = 0.05, 100

    def __init__(self, finds: Finds, classes: int = 3) -> None:
        super().__init__()
        self.finds, self.classes = finds, classes
        self.calls, self.seen = 0, 0

    def detect(
        self, images: Sequence[Tensor], *, score_threshold: float | None = None
    ) -> list[dict[str, Tensor]]:
        self.calls, self.seen = self.calls + 1, self.seen + len(images)
        least = self.score_threshold if score_threshold is None else score_threshold
        found = []
        for image in images:
            prediction = self.finds(image)
            keep = prediction["scores"] >= least
            found.append({name: value[keep] for name, value in prediction.items()})
        return found


def prediction(boxes: Any = (), scores: Any = (), labels: Any = ()) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float).reshape(-1, 4),
        "scores": torch.tensor(scores, dtype=torch.float),
        "labels": torch.tensor(labels, dtype=torch.long),
    }


def as_is(image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    return image.float() / 255, target


def box_split(
    images: Tensor,
    boxes: Sequence[Sequence[Sequence[float]]],
    labels: Sequence[Sequence[int]],
    **flags: Sequence[Sequence[int]],
) -> BoxSplit:
    """Images in memory with their boxes; `crowd` and `state` as flags."""
    counts = torch.tensor([len(x) for x in boxes])
    kinds = {"crowd": torch.bool, "difficult": torch.bool, "state": torch.long}
    flat = {name: torch.tensor([*chain(*values)]) for name, values in flags.items()}
    flat.setdefault("crowd", torch.zeros(int(counts.sum())))
    return BoxSplit(
        images=images,
        sizes=torch.tensor([list(x.shape[-2:]) for x in images]).reshape(-1, 2),
        first=torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)]),
        boxes=torch.tensor([*chain(*boxes)], dtype=torch.float).reshape(-1, 4),
        labels=torch.tensor([*chain(*labels)], dtype=torch.long),
        flags={name: values.to(kinds[name]) for name, values in flat.items()},
        classes=CLASSES,
    )


def module(transform: Any = as_is, loading: Any = None, **splits: BoxSplit) -> DetectionDataModule:
    data = DetectionDataModule("toys", lambda: splits, train=transform, test=transform)
    data.loading = Loading(**{"batch_size": 2, **(loading or {})})
    return data
