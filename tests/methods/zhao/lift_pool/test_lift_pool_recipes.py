"""The paper recipes of Tables 3.1 to 3.5 and Figure 3.4, on miniature data in the real formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from real_formats import write_cifar, write_imagenet, write_jpeg
from recipe_runs import run_recipe

from thesisbench.compose import Composer

pytestmark = pytest.mark.usefixtures("data_root")
FEW = ("fog", "snow")
CHAPTER = "experiment=zhao/lift_pool"
STEPS = [
    *("schedule.batch_size=4", "schedule.limit_batches=2", "schedule.epochs=1"),
    *("optimizer.lr=1e-4", "trainer.accelerator=cpu"),
]
SMALL = [
    *("dataset.train.size=32", "dataset.test.resize=40", "dataset.test.size=32"),
    "dataset.splits.n_classes=3",
]
WIDE = ["dataset.test.size=40", "dataset.test.resize=40", "dataset.splits.n_classes=3"]


def run(
    composer: Composer, root: Path, recipe: str, *overrides: str, **needs: list[str]
) -> dict[str, Any]:
    return run_recipe(composer, root, f"{CHAPTER}/{recipe}", *overrides, **needs)[1]


def test_cifar100_trains_with_a_pool_and_is_tested(composer: Composer, tmp_path: Path) -> None:
    write_cifar(tmp_path / "data" / "cifar100", "cifar100")
    trained = run(composer, tmp_path, "cifar100", *STEPS, "pool=lift_down")
    counts = {k: v["count"] for k, v in trained["provenance"]["facts"]["data"]["splits"].items()}
    assert counts == {"train": 20, "test": 20}
    found = run(composer, tmp_path, "cifar100_test", weights=["cifar100"])["result"]["metrics"]
    assert 0 <= found["top5_error"] <= found["top1_error"] <= 100


def test_imagenet_trains_and_is_tested_for_robustness(composer: Composer, tmp_path: Path) -> None:
    write_imagenet(tmp_path / "data" / "imagenet", train=3)
    corrupted = tmp_path / "data" / "imagenet_c"
    for name in FEW:
        for severity in range(1, 6):
            for i, wnid in enumerate(("n01", "n02", "n03")):
                write_jpeg(corrupted / name / str(severity) / wnid / "a.JPEG", i, (40, 40))
    run(composer, tmp_path, "imagenet", *STEPS, *SMALL, "pool=lift_down", "backbone.classes=3")
    needs = {"weights": ["imagenet"]}
    sizes = ["dataset.test.resize=32", "dataset.test.size=32", "dataset.splits.n_classes=3"]
    found = run(composer, tmp_path, "imagenet_test", **needs)["result"]["metrics"]
    assert found["top5_error"] == 0  # of three classes
    names = f"[{','.join(FEW)}]"
    sizes += [f"dataset.splits.corruptions={names}", f"evaluation.corruptions={names}"]
    found = run(composer, tmp_path, "corruption_test", *sizes, **needs)["result"]["metrics"]
    assert {f"ce_{name}" for name in FEW} <= set(found)
    assert found["mce_norm"] >= found["mce"]  # AlexNet errs on fewer than all
    few = ["evaluation.crop=32", "evaluation.frames=3"]
    found = run(
        composer,
        tmp_path,
        "perturbation_test",
        "dataset=imagenet_wide",
        "evaluation.stored=false",
        *WIDE,
        *few,
        **needs,
    )["result"]["metrics"]
    assert len(found) == 11
    crops = [*WIDE, "evaluation.crop=32"]
    found = run(composer, tmp_path, "consistency_test", *crops, **needs)["result"]["metrics"]
    assert set(found) == {"consistency", "centre_top1"}


def test_mobilenet_trains(composer: Composer, tmp_path: Path) -> None:
    write_imagenet(tmp_path / "data" / "imagenet", train=3)
    sizes = [*SMALL, "dataset.train.size=64", "dataset.test.resize=64", "dataset.test.size=64"]
    run(composer, tmp_path, "imagenet_mobilenet", *STEPS, *sizes, "backbone.width=0.25")


def test_the_analytic_recipes_run(composer: Composer, tmp_path: Path) -> None:
    metrics = run(composer, tmp_path, "aliasing", "compute.pool=cdf22")["result"]["metrics"]
    assert metrics["aliased_1d"] < 0.2
    metrics = run(composer, tmp_path, "lift_params", "pool=max")["result"]["metrics"]
    assert metrics["parameters"] == 25_557_032


def test_the_recipes_are_the_thesis_s(composer: Composer) -> None:
    config = composer.compose([f"{CHAPTER}/cifar100"]).config
    optimizer = {k: config["optimizer"][k] for k in ("lr", "momentum", "weight_decay")}
    assert optimizer == {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
    assert config["scheduler"]["milestones"] == [80, 120]
    assert (config["schedule"]["epochs"], config["schedule"]["batch_size"]) == (160, 100)
    config = composer.compose([f"{CHAPTER}/imagenet"]).config
    optimizer = {k: config["optimizer"][k] for k in ("lr", "momentum", "weight_decay")}
    assert optimizer == {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
    assert config["scheduler"]["milestones"] == [30, 60, 90]
    assert (config["schedule"]["epochs"], config["schedule"]["batch_size"]) == (100, 256)
    assert composer.compose([f"{CHAPTER}/imagenet_mobilenet"]).config["schedule"]["epochs"] == 150
    crops = composer.compose([f"{CHAPTER}/consistency_test"]).config
    corrupted = composer.compose([f"{CHAPTER}/corruption_test"]).config
    assert corrupted["evaluation"]["corruptions"] is None
    assert corrupted["evaluation"]["severities"] == [1, 2, 3, 4, 5]
    assert corrupted["evaluation"]["reference"] == "alexnet"
    assert (crops["dataset"]["test"]["size"], crops["evaluation"]["crop"]) == (256, 224)
