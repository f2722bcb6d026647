"""The paper recipes of Tables 2.2 and Figure 2.7 (left), on a miniature ImageNet of real JPEGs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from recipe_runs import run_recipe

from thesisbench.compose import Composer
from thesisbench.data.imagenet200_classes import CLASSES

pytestmark = pytest.mark.usefixtures("data_root")
SMALL = [
    *("schedule.batch_size=4", "schedule.limit_batches=2", "schedule.epochs=1"),
    *("optimizer.lr=1e-4", "trainer.accelerator=cpu"),
    *("dataset.train.size=32", "dataset.test.resize=40", "dataset.test.size=32"),
]
SHIFTS = ["evaluation.crop=32", "evaluation.shifts=2", "evaluation.max_shift=4"]
CHAPTER = "experiment=kayhan/full_conv"


def write_images(root: Path, wnids: tuple[str, ...], **counts: int) -> None:
    rng = np.random.default_rng(0)
    for split, count in counts.items():
        for wnid in wnids:
            folder = root / "data" / "imagenet" / split / wnid
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{wnid}_{i}.JPEG")


def run(
    composer: Composer, root: Path, recipe: str, *overrides: str, **needs: list[str]
) -> dict[str, Any]:
    return run_recipe(composer, root, f"{CHAPTER}/{recipe}", *overrides, **needs)[1]


def test_imagenet200_trains_and_is_shifted(composer: Composer, tmp_path: Path) -> None:
    write_images(tmp_path, CLASSES, train=1, val=1)
    trained = run(composer, tmp_path, "imagenet200", *SMALL)
    assert trained["provenance"]["facts"]["data"]["splits"]["train"]["count"] == 200
    wide = ["dataset.test.resize=40", "dataset.test.size=40", *SHIFTS]
    record = run(composer, tmp_path, "shift_test", *wide, weights=["imagenet200"])
    assert record["provenance"]["facts"]["evaluated"] == {"val": {"on": 200, "of": 200}}
    assert set(record["result"]["metrics"]) >= {"shift_accuracy", "consistency", "centre_top1"}


def test_a_subset_trains_and_is_tested_on_all_validation_images(
    composer: Composer, tmp_path: Path
) -> None:
    write_images(tmp_path, ("n01", "n02", "n03"), train=3, val=2)
    # At 32 pixels the last map of a ResNet-50 is one pixel: too few for its batch statistics.
    sizes = ["dataset.train.size=64", "dataset.test.resize=64", "dataset.test.size=64"]
    sizes += ["dataset.splits.n_classes=3", "dataset.splits.per_class=2"]
    name = "imagenet_subset"
    trained = run(composer, tmp_path, name, *SMALL, *sizes)
    assert trained["provenance"]["facts"]["data"]["splits"]["train"]["count"] == 6
    record = run(composer, tmp_path, "imagenet_subset_test", weights=[name])
    assert record["provenance"]["facts"]["evaluated"] == {"val": {"on": 6, "of": 6}}
    assert 0 <= record["result"]["metrics"]["top1_val"] <= 100


def test_the_recipes_are_the_thesis_s(composer: Composer) -> None:
    for recipe, classes in (("imagenet200", 200), ("imagenet_subset", 1000)):
        config = composer.compose([f"{CHAPTER}/{recipe}"]).config
        optimizer = {k: config["optimizer"][k] for k in ("lr", "momentum", "weight_decay")}
        assert optimizer == {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
        assert config["schedule"]["batch_size"] == 256
        assert config["schedule"]["epochs"] == 90
        assert config["scheduler"]["milestones"] == [30, 60]
        assert config["backbone"]["classes"] == classes
        assert config["dataset"]["train"]["size"] == 224
    test = composer.compose([f"{CHAPTER}/shift_test"]).config
    assert (test["dataset"]["test"]["resize"], test["dataset"]["test"]["size"]) == (288, 288)
    assert test["evaluation"]["crop"] + test["evaluation"]["max_shift"] == 288
    assert test["evaluation"]["shifts"] == 64


def test_the_learning_rate_falls_to_a_tenth_at_each_milestone(
    composer: Composer, tmp_path: Path
) -> None:
    import torch

    from thesisbench.instantiate import make

    config = composer.compose([f"{CHAPTER}/imagenet200"]).config
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = make(config["scheduler"])(optimizer)
    rates = []
    for _ in range(90):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.1] * 30 + [0.01] * 30 + [0.001] * 30)
