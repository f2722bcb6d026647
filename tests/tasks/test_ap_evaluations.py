"""The steps that measure AP: metrics, kept detections, pictures, shares, and poor detectors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_detectors import LookupDetector, box_split, module, prediction

from thesisbench.data.shares import Share
from thesisbench.errors import UserError
from thesisbench.step import StepContext
from thesisbench.store.folder import RunFolder
from thesisbench.tasks import over_boxes
from thesisbench.tasks.box_pictures import GREEN, GREY, RED, side_by_side, with_boxes
from thesisbench.tasks.detection_ap import CocoAp, VocAp, two_panels
from thesisbench.tasks.over_boxes import as_rows, detections, gather_items

BOX = [4.0, 4, 20, 20]
FAR = [30.0, 30, 44, 44]
# The images say by their first pixel which they are.
IMAGES = torch.arange(5, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, 48, 48) * 10
BOXES = [[BOX], [BOX, FAR], [], [[-9.0, -9, 70, 70]], [BOX]]
LABELS: list[list[int]] = [[0], [0, 1], [], [0], [1]]
FOUND = [
    prediction([BOX], [0.9], [0]),
    prediction([FAR, BOX], [0.8, 0.3], [1, 0]),
    prediction([BOX], [0.2], [0]),
    prediction(),
    prediction([FAR], [0.7], [1]),
]


def number(image: Tensor) -> int:
    return round(float(image[0, 0, 0]) * 255 / 10)


def data(splits: Any = None, **loading: Any) -> Any:
    split = box_split(IMAGES, BOXES, LABELS)
    return module(loading=loading, **(splits or {"val": split, "test": split}))


def evaluated(tmp_path: Path, test: Any, network: Any = None, **loading: Any) -> tuple[Any, Any]:
    tmp_path.mkdir(exist_ok=True)
    detector = network or LookupDetector(lambda image: FOUND[number(image)])
    context = StepContext(config={}, folder=RunFolder(tmp_path), attempt=tmp_path / "a")
    context.fitted = lambda name="weights": detector  # type: ignore[method-assign]
    context.fitted_dataset = lambda name="weights": data(**loading)  # type: ignore[method-assign]
    return context, test(context)


def test_coco_metrics_of_a_step(tmp_path: Path) -> None:
    """Light: right at 0.9 and 0.3, wrong at 0.2, of 3; cup: right at 0.8, wrong at 0.7, of 2."""
    context, metrics = evaluated(tmp_path, CocoAp(pictures=2))
    assert metrics["ap_traffic_light"] == pytest.approx(100 * 67 / 101)
    assert metrics["ap_cup"] == pytest.approx(100 * 51 / 101)
    assert metrics["ap"] == pytest.approx(100 * 59 / 101)
    assert metrics["detections"] == 1
    assert "ap_bell" not in metrics, "no image has one"
    rows = np.load(tmp_path / "predictions/val_detections.npy")
    assert rows.shape == (5, 7)
    assert rows[:, 0].tolist() == [0, 1, 1, 2, 4]
    assert rows[1].tolist() == pytest.approx([1, 1, 0.8, *FAR])
    assert context.result.facts["evaluated"] == {"val": {"on": 5, "of": 5}}
    assert context.result.facts["data"]["name"] == "toys"
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == ["val_0.png", "val_1.png"]


def test_masks_of_a_step_are_measured_beside_boxes(tmp_path: Path) -> None:
    """Masks that fill their boxes but for one, found in its left half: AP at IoU 0.5 only."""
    split = box_split(IMAGES, BOXES, LABELS)
    filled = [json.dumps([[a, b, c, b, c, d, a, d]]) for a, b, c, d in split.boxes.tolist()]
    with_masks = replace(split, segmentations=tuple(text.encode() for text in filled))

    def finds(image: Tensor) -> dict[str, Tensor]:
        found = FOUND[number(image)]
        masks = torch.zeros(len(found["boxes"]), 48, 48, dtype=torch.bool)
        for mask, (a, b, c, d) in zip(masks, found["boxes"].int().tolist(), strict=True):
            mask[b:d, a:c] = True
        if number(image) == 0:
            masks[0, :, 12:] = False
        return {**found, "masks": masks}

    detector, test = LookupDetector(finds), CocoAp(masks=True, pictures=1)
    _, metrics = evaluated(tmp_path, test, detector, splits={"val": with_masks})
    _, boxes = evaluated(tmp_path / "boxes", CocoAp(pictures=0))
    assert {name: value for name, value in metrics.items() if not name.startswith("mask_")} == boxes
    assert metrics["mask_ap_cup"] == boxes["ap_cup"]
    assert metrics["mask_ap50"] == boxes["ap50"]
    assert metrics["mask_ap75"] < boxes["ap75"]

    with pytest.raises(UserError, match=r"the detector has no masks; .* detector=mask_rcnn"):
        evaluated(tmp_path / "c", test, splits={"val": with_masks})
    with pytest.raises(UserError, match=r"the data set has no masks; .*dataset.splits.masks=true"):
        evaluated(tmp_path / "d", test, detector)


def test_voc_metrics_of_a_step(tmp_path: Path) -> None:
    _, metrics = evaluated(tmp_path, VocAp(split="test", points="area", pictures=0))
    assert metrics == pytest.approx(
        {"map": 100 * (2 / 3 + 1 / 2) / 2, "ap_traffic_light": 200 / 3, "ap_cup": 50}
    )
    assert not (tmp_path / "pictures").exists()
    _, eleven = evaluated(tmp_path / "11", VocAp(split="test", points="11", pictures=0))
    assert eleven["ap_traffic_light"] == pytest.approx(100 * 7 / 11)


@pytest.mark.parametrize("test", [CocoAp(pictures=1), VocAp(split="val", pictures=1)])
def test_a_detector_that_returns_nothing_has_zero(test: Any, tmp_path: Path) -> None:
    _, metrics = evaluated(tmp_path, test, LookupDetector(lambda image: prediction()))
    assert set(metrics.values()) == {0}
    assert np.load(tmp_path / "predictions/val_detections.npy").shape == (0, 7)


def test_a_threshold_and_a_limit_reach_the_detector(tmp_path: Path) -> None:
    _, metrics = evaluated(tmp_path, VocAp(split="val", score_threshold=0.5, pictures=0))
    assert metrics["ap_traffic_light"] == pytest.approx(100 / 3)
    context, _ = evaluated(tmp_path / "b", CocoAp(clips=3, pictures=0))
    assert context.result.facts["evaluated"] == {"val": {"on": 4, "of": 5}}, "whole batches of 2"
    context, _ = evaluated(tmp_path / "c", CocoAp(clips=3, pictures=0), limit=1)
    assert context.result.facts["evaluated"] == {"val": {"on": 2, "of": 5}}


def test_a_network_that_detects_nothing_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Linear, which detects nothing; evaluate a fit with"):
        evaluated(tmp_path, CocoAp(), nn.Linear(2, 2))


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_of_two_processes_gather_to_the_whole(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rank computes its part; the exchange is played by lists."""
    detector = LookupDetector(lambda image: FOUND[number(image)])
    whole = detections(detector, data(batch_size=size), "val")
    parts: list[Any] = []
    samplers: list[Any] = []

    def keep(items: list[Any], sampler: Any, limit: Any = None) -> list[Any]:
        parts.append(items)
        samplers.append(sampler)
        return items

    monkeypatch.setattr(over_boxes, "gather_items", keep)
    for rank in range(2):
        detections(detector, data(batch_size=size, share=Share(rank, 2)), "val")

    def exchanged(theirs: list[Any], mine: Any) -> None:
        assert mine is parts[0]
        theirs[:] = parts

    monkeypatch.setattr(torch.distributed, "all_gather_object", exchanged)
    pairs = gather_items(parts[0], samplers[0])
    assert len(pairs) == 5
    for (found, target), other, truth in zip(pairs, *whole, strict=True):
        assert torch.equal(found["boxes"], other["boxes"])
        assert int(target["number"]) == int(truth["number"])


def test_masks_are_not_carried_along() -> None:
    found = {**FOUND[0], "masks": torch.zeros(1, 48, 48)}
    predictions, targets = detections(LookupDetector(lambda image: found), data(), "val")
    assert all("masks" not in item for item in (*predictions, *targets))
    assert as_rows([]).shape == (0, 7)


def test_pictures_show_boxes_in_their_colours_and_leave_out_those_outside() -> None:
    image = torch.zeros(3, 64, 64)
    boxes = torch.tensor([[8.0, 8, 24, 24], [100, 100, 120, 120], [30, 30, 30, 40]])
    drawn = with_boxes(image, boxes, [GREEN, RED, RED])
    assert drawn.shape == (3, 256, 256)
    assert drawn[:, 32, 40].tolist() == list(GREEN)
    assert not (drawn[0] > 0).any(), "no red"
    assert torch.equal(with_boxes(image, boxes[:0], []), torch.zeros(3, 256, 256).byte())
    assert torch.equal(
        with_boxes(image, boxes[:1], [GREEN], [None]), with_boxes(image, boxes[:1], [GREEN])
    )
    assert side_by_side([drawn, drawn]).shape == (3, 256, 516)
    assert with_boxes(image, boxes, [GREEN, RED, RED], side=130).shape == (3, 128, 128)
    named = with_boxes(image, boxes[:1], [GREEN], ["bell"])
    assert (named != drawn).any()


def test_hallucinated_parts_are_red_and_missing_ones_grey() -> None:
    target = {"boxes": torch.tensor([BOX, FAR]), "labels": torch.tensor([0, 1])}
    target["state"] = torch.tensor([0, 2])
    found = prediction([BOX, FAR], [0.9, 0.8], [0, 1])
    picture = two_panels(torch.zeros(3, 48, 48), target, found, ("a", "b"))
    left, right = picture[:, :, :288], picture[:, :, 292:]
    assert left[:, 24, 60].tolist() == right[:, 24, 60].tolist() == list(GREEN)
    assert left[:, 200, 263].tolist() == list(GREY)
    assert right[:, 200, 263].tolist() == list(RED)
