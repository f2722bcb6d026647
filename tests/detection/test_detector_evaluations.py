"""Every kind of detector, untrained, through the evaluations of chapters 3 and 4."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_detectors import box_split, module

from thesisbench.compose import Composer
from thesisbench.detection.matching import GridCellMatch
from thesisbench.methods.kayhan.detector_context.context_curve import ContextCurve
from thesisbench.methods.kayhan.part_verification.verification import VisualVerification
from thesisbench.step import StepContext, build_network
from thesisbench.store.folder import RunFolder
from thesisbench.tasks.detection_ap import CocoAp, VocAp

IMAGES = (torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 255).byte()
BOXES = [[[4.0, 4, 20, 20], [20, 22, 40, 44]], [], [[-9.0, 10, 70, 30]]]
LABELS = [[0, 1], [], [2]]
STATES = [[0, 2], [], [1]]
KINDS = {
    "tiny_faster_rcnn": "tiny_resnet",
    "tiny_retinanet": "tiny_resnet",
    "tiny_yolov3": "tiny_darknet",
}


def evaluated(tmp_path: Path, kind: str, test: Any, *more: str) -> dict[str, float]:
    words = [f"detector={kind}", f"backbone={KINDS[kind]}", "detector.classes=3", "kind=fit", *more]
    torch.manual_seed(0)
    network, _ = build_network(Composer().compose(words).config)
    context = StepContext(config={}, folder=RunFolder(tmp_path), attempt=tmp_path / "a")
    split = box_split(IMAGES, BOXES, LABELS, state=STATES)
    outlines = [json.dumps([[a, b, c, b, c, d]]).encode() for a, b, c, d in split.boxes.tolist()]
    split = replace(split, segmentations=tuple(outlines))
    context.fitted = lambda name="weights": network.eval()  # type: ignore[method-assign]
    context.fitted_dataset = lambda name="weights": module(val=split)  # type: ignore[method-assign]
    found: dict[str, float] = test(context)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("least", [0.0, 0.999])
def test_average_precision_whether_much_or_nothing_is_found(
    tmp_path: Path, kind: str, least: float
) -> None:
    coco = evaluated(tmp_path, kind, CocoAp(score_threshold=least, pictures=1))
    assert 0 <= coco["ap"] <= coco["ap50"] <= 100
    assert (coco["detections"] > 0) == (least == 0)
    voc = evaluated(tmp_path, kind, VocAp(split="val", score_threshold=least, pictures=0))
    assert set(voc) == {"map", "ap_traffic_light", "ap_bell"}, "the cup is missing"


@pytest.mark.parametrize("least", [0.0, 0.999])
def test_average_precision_of_masks_whether_much_or_nothing_is_found(
    tmp_path: Path, least: float
) -> None:
    test = CocoAp(score_threshold=least, pictures=1, masks=True)
    metrics = evaluated(tmp_path, "tiny_faster_rcnn", test, "detector.masks=true")
    assert 0 <= metrics["mask_ap"] <= metrics["mask_ap50"] <= 100
    assert {"mask_ap_bell", "mask_ar_100", "ap", "ap_bell"} <= set(metrics)


@pytest.mark.parametrize("kind", KINDS)
def test_verification_and_context(tmp_path: Path, kind: str) -> None:
    verification = VisualVerification(split="val", score_threshold=0.0, sweep=(0.5,), draws=1)
    metrics = evaluated(tmp_path, kind, verification)
    assert metrics["r_present_anywhere"] >= metrics["r_present"]
    match = "cell" if "yolo" in kind else "iou"
    curve = ContextCurve(pixels=(0, 4, 48), match=match, score_threshold=0.0, batch=2, pictures=1)
    accuracy = evaluated(tmp_path, kind, curve)
    assert accuracy["bg_48"] == accuracy["fg_48"] == accuracy["full"]


@pytest.mark.parametrize("side", ["null", "64"])
def test_what_yolo_finds_lies_in_the_cells_that_it_names(side: str) -> None:
    """An object just where a detection is has its centre in the cell of the detection."""
    words = ["detector=tiny_yolov3", "backbone=tiny_darknet", f"detector.side={side}", "kind=fit"]
    torch.manual_seed(0)
    network, _ = build_network(Composer().compose(words).config)
    image = IMAGES[0, :, :, :40].float() / 255
    (found,) = network.detect([image], score_threshold=0.0)
    boxes, labels = found["boxes"], found["labels"]
    whole = ((boxes > 0) & (boxes < torch.tensor([40, 48, 40, 48]))).all(1)  # none was cut off
    assert whole.sum() > 10
    match: Any = GridCellMatch(cells_of=network.cells_of)
    assert match(found, boxes[whole], labels[whole], (48, 40)).all()
    moved = boxes[whole] + 1000
    assert not match(found, moved, labels[whole], (48, 40)).any()
