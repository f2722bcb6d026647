"""The paper recipes of chapter 4, on miniature data in the format of DelftBikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from detection_formats import write_delftbikes
from recipe_runs import run_recipe

from thesisbench.compose import Composer

CHAPTER = "experiment=kayhan/part_verification"
STEPS = ["schedule.limit_batches=2", "schedule.epochs=1", "trainer.accelerator=cpu"]
SIZES = [f"dataset.{s}.{k}=64" for s in ("train", "test") for k in ("shorter", "longest")]


@pytest.fixture(autouse=True)
def _data(data_root: Path) -> None:
    write_delftbikes(data_root / "delftbikes")


def run(
    composer: Composer, root: Path, recipe: str, *overrides: str, **needs: list[str]
) -> dict[str, Any]:
    record = run_recipe(composer, root, f"{CHAPTER}/{recipe}", *overrides, **needs)[1]
    found: dict[str, Any] = record["result"]["metrics"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "detector",
    [
        ["detector.short_side=64", "detector.long_side=64"],
        ["detector=retinanet", "detector.classes=22", "detector.short_side=64"],
        ["detector=yolov3", "detector.classes=22", "backbone=darknet53", "detector.side=64"],
    ],
    ids=["faster_rcnn", "retinanet", "yolov3"],
)
def test_detectors_are_tuned_and_verified(
    composer: Composer, tmp_path: Path, detector: list[str]
) -> None:
    run(composer, tmp_path, "detector", *STEPS, *SIZES, *detector, "schedule.batch_size=2")
    found = run(composer, tmp_path, "verification", weights=["detector"])
    assert 0 <= found["r_missing"] <= found["r_missing_anywhere"] <= 1
    assert found["missing_found_00"] == pytest.approx(100 * found["r_missing_anywhere"])
    precision = run(composer, tmp_path, "average_precision", weights=["detector"])
    assert 0 <= precision["ap"] <= precision["ap50"] <= 100


@pytest.mark.slow
def test_a_multi_label_network_is_verified_without_places(
    composer: Composer, tmp_path: Path
) -> None:
    run(composer, tmp_path, "multi_label", *STEPS, "detector.side=64", "schedule.batch_size=2")
    found = run(composer, tmp_path, "verification", weights=["multi_label"])
    assert 0 <= found["r_present_anywhere"] <= 1
    assert "r_present" not in found


def test_mean_boxes_and_statistics_need_no_network(composer: Composer, tmp_path: Path) -> None:
    found = run(composer, tmp_path, "mean_box", *SIZES)
    assert found["r_present_anywhere"] == 1, "the parts of the test are those of the training"
    assert found["r_missing_anywhere"] == 0, "a part that is never there has no mean box"
    shares = run(composer, tmp_path, "part_statistics")
    assert [shares[f"all_{s}"] for s in ("intact", "absent", "occluded", "damaged")] == [25.0] * 4


def test_the_recipes_are_the_thesis_s(composer: Composer) -> None:
    for recipe, lr, epochs, falls in (
        ("detector", 0.005, 10, [3, 6, 9]),
        ("multi_label", 0.05, 15, [5, 10]),
    ):
        config = composer.compose([f"{CHAPTER}/{recipe}"]).config
        assert (config["optimizer"]["lr"], config["schedule"]["epochs"]) == (lr, epochs)
        assert config["scheduler"]["milestones"] == falls
        assert config["detector"]["classes"] == 22
    verification = composer.compose([f"{CHAPTER}/verification"]).config["evaluation"]
    assert (verification["t_present"], verification["t_missing"]) == (0.5, 0.1)
    assert verification["beta"] == 0.1
