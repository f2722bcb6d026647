"""COCO AP against pycocotools on random detections, hand cases, and nothing at all."""

from __future__ import annotations

import contextlib
import io
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from thesisbench.data.coco_masks import pack_masks, unpack_masks
from thesisbench.metrics.detection_ap import coco_ap

pycocotools_coco = pytest.importorskip("pycocotools.coco")
pycocotools_eval = pytest.importorskip("pycocotools.cocoeval")
pycocotools_mask = pytest.importorskip("pycocotools.mask")

STATS = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large"),
)


def boxes_of(n: int, generator: torch.Generator, side: float = 300) -> Tensor:
    corner = torch.rand(n, 2, generator=generator) * side
    sides = 4 + torch.rand(n, 2, generator=generator) ** 2 * 160
    return torch.cat([corner, corner + sides], 1)


def random_case(
    seed: int, images: int = 12
) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    """Detections near the objects and elsewhere, of right and of wrong classes."""
    g = torch.Generator().manual_seed(seed)
    predictions, targets = [], []
    for i in range(images):
        n, more = (i * 5) % 7, (i * 3) % 6
        boxes, labels = boxes_of(n, g), torch.randint(0, 4, (n,), generator=g)
        near = boxes + 12 * torch.randn(n, 4, generator=g)
        near[:, 2:] = torch.maximum(near[:, 2:], near[:, :2] + 1)
        found = torch.cat([near, boxes_of(more, g)])
        wrong = torch.rand(n, generator=g) < 0.2
        seen = torch.where(wrong, (labels + 1) % 4, labels)
        extra = torch.randint(0, 5, (more,), generator=g)
        scores, order = torch.rand(n + more, generator=g).sort(descending=True)
        predictions.append(
            {"boxes": found[order], "scores": scores, "labels": torch.cat([seen, extra])[order]}
        )
        crowd = torch.rand(n, generator=g) < 0.2
        targets.append({"boxes": boxes, "labels": labels, "crowd": crowd})
    return predictions, targets


def xywh(box: Tensor) -> list[float]:
    x1, y1, x2, y2 = box.double().tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def with_masks(items: list[dict[str, Tensor]], seed: int) -> list[dict[str, Tensor]]:
    """A mask in each box: ellipses, some with a part cut off; the box stays as it is."""
    g = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(480) + 0.5, torch.arange(480) + 0.5, indexing="ij")
    made = []
    for item in items:
        masks = torch.zeros(len(item["boxes"]), 480, 480, dtype=torch.bool)
        for i, (x1, y1, x2, y2) in enumerate(item["boxes"].tolist()):
            u, v = (2 * x - x1 - x2) / (x2 - x1), (2 * y - y1 - y2) / (y2 - y1)
            masks[i] = (u**2 + v**2 < 1) & (u < 2 * torch.rand(1, generator=g) + 0.2)
        made.append({**item, "packed_masks": pack_masks(masks)})
    return made


def run_lengths(item: dict[str, Tensor]) -> list[dict[str, Any]]:
    masks = unpack_masks(item["packed_masks"]).numpy().astype(np.uint8)
    return [pycocotools_mask.encode(np.asfortranarray(one)) for one in masks]


def by_pycocotools(
    predictions: Any, targets: Any, *, masks: bool = False
) -> tuple[dict[str, float], dict[int, float]]:
    truth: dict[str, Any] = {"images": [], "annotations": [], "info": {}}
    truth["categories"] = [{"id": k + 1} for k in range(5)]
    found = []
    for i, (prediction, target) in enumerate(zip(predictions, targets, strict=True)):
        truth["images"].append({"id": i + 1, "height": 480, "width": 480})
        for box, label, crowd in zip(
            target["boxes"], target["labels"], target["crowd"], strict=True
        ):
            rectangle = xywh(box)
            truth["annotations"].append(
                {"id": len(truth["annotations"]) + 1, "image_id": i + 1, "bbox": rectangle}
                | {"category_id": int(label) + 1, "iscrowd": int(crowd)}
                | {"area": rectangle[2] * rectangle[3]}
            )
        for box, label, score in zip(
            prediction["boxes"], prediction["labels"], prediction["scores"], strict=True
        ):
            found.append(
                {"image_id": i + 1, "category_id": int(label) + 1, "bbox": xywh(box)}
                | {"score": float(score)}
            )
    if masks:
        every = [run for target in targets for run in run_lengths(target)]
        for annotation, run in zip(truth["annotations"], every, strict=True):
            annotation |= {"segmentation": run, "area": float(pycocotools_mask.area(run))}
        every = [run for prediction in predictions for run in run_lengths(prediction)]
        for result, run in zip(found, every, strict=True):
            del result["bbox"]
            result["segmentation"] = run
    with contextlib.redirect_stdout(io.StringIO()):
        coco = pycocotools_coco.COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = pycocotools_eval.COCOeval(
            coco, coco.loadRes(found), "segm" if masks else "bbox"
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    each = {}
    for k in range(5):
        precision = evaluation.eval["precision"][:, :, k, 0, 2]
        if (precision > -1).any():
            each[k] = 100 * float(np.mean(precision[precision > -1]))
    return dict(zip(STATS, 100 * evaluation.stats, strict=True)), each


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_numbers_equal_those_of_pycocotools(seed: int) -> None:
    predictions, targets = random_case(seed)
    metrics, each = coco_ap(predictions, targets)
    stats, classes = by_pycocotools(predictions, targets)
    assert set(metrics) == {name for name, value in stats.items() if value >= 0}
    assert len(metrics) > 9
    for name, value in metrics.items():
        assert value == pytest.approx(stats[name], abs=1e-3), name
    assert each == pytest.approx(classes, abs=1e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_of_masks_equal_those_of_pycocotools_at_any_scale(seed: int) -> None:
    boxes, truths = random_case(seed)
    predictions, targets = with_masks(boxes, seed), with_masks(truths, seed + 9)
    metrics, each = coco_ap(predictions, targets, masks=True)
    stats, classes = by_pycocotools(predictions, targets, masks=True)
    assert set(metrics) == {name for name, value in stats.items() if value >= 0}
    assert metrics != coco_ap(predictions, targets)[0]
    for name, value in metrics.items():
        assert value == pytest.approx(stats[name], abs=1e-3), name
    assert each == pytest.approx(classes, abs=1e-3)

    doubled = [[{**item, "scale": torch.tensor([2.0, 2.0])} for item in targets], predictions]
    for item in itertools.chain(*doubled):
        whole = unpack_masks(item["packed_masks"])
        twice = whole.repeat_interleave(2, 1).repeat_interleave(2, 2)
        item["packed_masks"], item["boxes"] = pack_masks(twice), 2 * item["boxes"]
    assert coco_ap(doubled[1], doubled[0], masks=True) == (metrics, each)


def one(box: list[float], label: int = 0, **more: Any) -> dict[str, Tensor]:
    fields = {name: torch.tensor(value) for name, value in more.items()}
    return {"boxes": torch.tensor([box]), "labels": torch.tensor([label]), **fields}


BOX = [10.0, 10, 50, 50]
EMPTY = {
    "boxes": torch.zeros(0, 4),
    "labels": torch.zeros(0, dtype=torch.long),
    "scores": torch.zeros(0),
}


def test_an_iou_between_two_thresholds_counts_for_the_lower_ones() -> None:
    """IoU 0.8 is right at 0.5, 0.55, ..., 0.8: 7 of 10."""
    metrics, each = coco_ap([one([10.0, 10, 50, 42], scores=[0.9])], [one(BOX)])
    assert metrics["ap"] == pytest.approx(70, abs=1e-4)
    assert (metrics["ap50"], metrics["ap75"]) == pytest.approx((100, 100))
    assert each == pytest.approx({0: 70}, abs=1e-4)


def test_detections_of_a_crowd_are_neither_right_nor_wrong() -> None:
    found = {
        "boxes": torch.tensor([[200.0, 200, 240, 240], BOX]),
        "scores": torch.tensor([0.9, 0.8]),
        "labels": torch.tensor([0, 0]),
    }
    truth = {
        "boxes": torch.tensor([[150.0, 150, 300, 300], BOX]),
        "labels": torch.tensor([0, 0]),
        "crowd": torch.tensor([True, False]),
    }
    assert coco_ap([found], [truth])[0]["ap"] == pytest.approx(100)
    difficult = {**truth, "difficult": truth["crowd"], "crowd": torch.zeros(2, dtype=torch.bool)}
    assert coco_ap([found], [difficult])[0]["ap"] == pytest.approx(100)
    plain = {**truth, "crowd": torch.zeros(2, dtype=torch.bool)}
    assert coco_ap([found], [plain])[0]["ap"] < 60


def test_missing_parts_are_no_objects_and_finding_them_is_wrong() -> None:
    found = {
        "boxes": torch.tensor([BOX, BOX]),
        "scores": torch.tensor([0.9, 0.8]),
        "labels": torch.tensor([1, 0]),
    }
    truth = {
        "boxes": torch.tensor([BOX, BOX]),
        "labels": torch.tensor([0, 1]),
        "state": torch.tensor([1, 3]),
    }
    metrics, each = coco_ap([found], [truth])
    assert list(each) == [0], "a class of which no object is there has no AP"
    assert metrics["ap"] == pytest.approx(100)
    other = {**truth, "labels": torch.tensor([0, 0])}
    again = {**found, "labels": torch.tensor([0, 0])}
    again["boxes"] = torch.tensor([[200.0, 200, 240, 240], BOX])
    assert coco_ap([again], [other])[0]["ap"] == pytest.approx(50)


@pytest.mark.parametrize(
    ("scale", "size"),
    [([1.0, 1.0], "medium"), ([2.0, 2.0], "small"), ([0.5, 0.25], "large")],
)
def test_sizes_are_those_of_the_original_image(scale: list[float], size: str) -> None:
    """40 x 40 pixels as the network gets it; 20 x 20 and 80 x 160 in the original."""
    metrics, _ = coco_ap([one(BOX, scores=[0.9])], [one(BOX, scale=scale)])
    assert metrics[f"ap_{size}"] == pytest.approx(100)
    assert {f"ap_{x}" for x in ("small", "medium", "large")} & set(metrics) == {f"ap_{size}"}


def test_an_area_of_its_own_decides_the_size() -> None:
    metrics, _ = coco_ap([one(BOX, scores=[0.9])], [one(BOX, area=[9500.0])])
    assert "ap_large" in metrics
    assert "ap_medium" not in metrics


def test_without_detections_all_is_zero_and_without_objects_nothing_is_said() -> None:
    metrics, each = coco_ap([EMPTY, EMPTY], [one(BOX), EMPTY])
    assert set(metrics.values()) == {0.0}
    assert metrics["ap"] == 0
    assert each == {0: 0}
    assert coco_ap([one(BOX, scores=[0.9])], [EMPTY]) == ({}, {})
    assert coco_ap([EMPTY], [one(BOX, crowd=[True])]) == ({}, {})
    assert coco_ap([], []) == ({}, {})


def test_boxes_outside_the_image_and_many_detections_are_evaluated() -> None:
    g = torch.Generator().manual_seed(0)
    boxes = torch.cat([torch.tensor([BOX]), boxes_of(149, g) - 500])
    found = {
        "boxes": boxes,
        "scores": torch.linspace(1, 0.1, 150),
        "labels": torch.zeros(150, dtype=torch.long),
    }
    assert coco_ap([found], [one(BOX)])[0]["ap"] == pytest.approx(100)
