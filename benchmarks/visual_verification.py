"""Visual verification of many images and parts together, and part by part in Python.

2,000 images of 22 parts with their detections, the recalls at five thresholds of the score and
21 of the IoU, as an evaluation of chapter 4 of Kayhan needs them. The loop looks at the detections
of each image part by part, in plain Python numbers (which is faster than small tensors), computes
each IoU once, and has both tables from that; its recalls must be the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.harness import Comparison, alternate
from thesisbench.metrics.part_overlaps import overlaps

BOUND = 20.0  # times as fast
PARTS = 22
SCORES = (0.05, 0.1, 0.3, 0.5, 0.7)
IOUS = tuple(x / 20 for x in range(21))

Boxes = list[dict[str, Tensor]]


def measure(quick: bool) -> list[Comparison]:
    """Ten and forty detections an image."""
    cases = ((20, 10),) if quick else ((2000, 10), (2000, 40))
    return [_compare(images, found, 1 if quick else 5) for images, found in cases]


def _compare(images: int, found: int, repetitions: int) -> Comparison:
    predictions, targets = _random(images, found)
    results: dict[str, list[list[float]]] = {}

    def together() -> None:
        tables = overlaps(predictions, targets, parts=PARTS, scores=SCORES)
        recalls = [tables.recall(which, IOUS) for which in (tables.present, tables.missing)]
        results["together"] = torch.cat(recalls).tolist()

    def part_by_part() -> None:
        results["loop"] = by_loop(predictions, targets)

    times = alternate({"together": together, "loop": part_by_part}, repetitions)
    ours, base = (torch.tensor(results[way], dtype=torch.double) for way in times)
    if not torch.allclose(ours, base, rtol=0, atol=1e-9):
        raise RuntimeError("together and part by part the recalls differ")
    case = f"{images} images x {PARTS} parts, {found} detections each"
    return Comparison(case, times["together"], times["loop"], "speedup", BOUND)


def by_loop(predictions: Boxes, targets: Boxes) -> list[list[float]]:
    """Recalls by score and IoU: rows of present parts, then rows of missing ones."""
    hits = [[[0] * len(IOUS) for _ in SCORES] for _ in range(2)]
    counts = [0, 0]
    for prediction, target in zip(predictions, targets, strict=True):
        seen = list(
            zip(*(prediction[name].tolist() for name in ("boxes", "scores", "labels")), strict=True)
        )
        boxes, labels, states = (target[name].tolist() for name in ("boxes", "labels", "state"))
        for box, label, state in zip(boxes, labels, states, strict=True):
            missing = int(state >= 2)
            counts[missing] += 1
            mine = [(sure, _iou(box, other)) for other, sure, k in seen if k == label]
            for s, least in enumerate(SCORES):
                best = max((iou for sure, iou in mine if sure >= least), default=-1.0)
                for t, threshold in enumerate(IOUS):
                    hits[missing][s][t] += best >= threshold
    return [[x / counts[m] for x in row] for m in range(2) for row in hits[m]]


def _iou(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def _random(images: int, found: int) -> tuple[Boxes, Boxes]:
    """Detections near the places of the parts, or anywhere."""
    generator = torch.Generator().manual_seed(0)
    predictions, targets = [], []
    for _ in range(images):
        corner = torch.rand(PARTS, 2, generator=generator) * 300
        boxes = torch.cat([corner, corner + 20 + 60 * torch.rand(PARTS, 2, generator=generator)], 1)
        labels = torch.randint(0, PARTS, (found,), generator=generator)
        near = boxes[labels] + 15 * torch.randn(found, 4, generator=generator)
        near[:, 2:] = torch.maximum(near[:, 2:], near[:, :2] + 1)
        scores = torch.rand(found, generator=generator)
        predictions.append({"boxes": near, "labels": labels, "scores": scores})
        states = torch.randint(0, 4, (PARTS,), generator=generator)
        targets.append({"boxes": boxes, "labels": torch.arange(PARTS), "state": states})
    return predictions, targets
