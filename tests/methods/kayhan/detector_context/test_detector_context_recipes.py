"""The paper recipes of Figures 3.4 and 3.5, on miniature data in the format of COCO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from detection_formats import coco_2017
from recipe_runs import run_recipe

from thesisbench.compose import Composer
from thesisbench.step import build_network

CHAPTER = "experiment=kayhan/detector_context"
STEPS = ["schedule.limit_batches=2", "schedule.epochs=1", "trainer.accelerator=cpu"]
SIZES = [f"dataset.{s}.{k}=64" for s in ("train", "test") for k in ("shorter", "longest")]
FEW = ["evaluation.pixels=[0,10,100]", *SIZES]
ALEXNET = [
    "detector.side=64",
    "backbone.classes=3",
    "detector.classes=3",
]  # a miniature of three classes


@pytest.fixture(autouse=True)
def _data(data_root: Path) -> None:
    coco_2017(data_root / "coco")


def run(
    composer: Composer, root: Path, recipe: str, *overrides: str, **needs: list[str]
) -> dict[str, Any]:
    record = run_recipe(composer, root, f"{CHAPTER}/{recipe}", *overrides, **needs)[1]
    found: dict[str, Any] = record["result"]["metrics"]
    return found


@pytest.mark.slow
def test_a_classifier_of_boxes_is_trained_and_sees_no_context(
    composer: Composer, tmp_path: Path
) -> None:
    run(composer, tmp_path, "crop_classifier", *STEPS, *SIZES, *ALEXNET, "schedule.batch_size=2")
    words = [*FEW, "evaluation.match=crop"]
    found = run(composer, tmp_path, "context_curve", *words, weights=["crop_classifier"])
    assert found["bg_0"] == found["bg_10"] == found["bg_100"] == found["full"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("match", "words"),
    [
        (
            "iou",
            [
                *("detector=faster_rcnn", "detector.coco_ids=true", "detector.frozen_eps=0.0"),
                *("backbone=resnet50", "detector.short_side=64", "detector.long_side=64"),
            ],
        ),
        ("cell", ["detector=yolov3", "backbone=darknet53", "detector.side=64"]),
    ],
    ids=["faster_rcnn", "yolov3"],
)
def test_published_detectors_are_tested_as_they_are(
    composer: Composer, tmp_path: Path, match: str, words: list[str]
) -> None:
    chosen = [*words, "detector.classes=80", "dataset=none"]
    config = composer.compose([f"{CHAPTER}/detector", *chosen]).config
    (folder := tmp_path / "data" / "weights" / "mine").mkdir(parents=True)
    torch.save(build_network(config)[0].state_dict(), folder / "mine.pth")
    chosen += ["compute=published_network", "weights=pretrained", "variants.weights.name=mine"]
    run(composer, tmp_path, "detector", *chosen)
    words = [*FEW, f"evaluation.match={match}"]
    found = run(composer, tmp_path, "context_curve", *words, weights=["detector"])
    assert {"full", "bg_0", "bg_10", "bg_100", "fg_0", "fg_10", "fg_100"} <= found.keys()
    assert "bg_0_minus_full_toothbrush" in found


def test_the_recipes_are_the_thesis_s(composer: Composer) -> None:
    config = composer.compose([f"{CHAPTER}/crop_classifier"]).config
    assert (config["optimizer"]["lr"], config["schedule"]["epochs"]) == (0.001, 35)
    assert (config["detector"]["side"], config["detector"]["classes"]) == (227, 80)
    assert composer.compose([f"{CHAPTER}/context_curve"]).config["evaluation"]["iou"] == 0.25
