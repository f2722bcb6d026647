"""The paper recipes of chapter 5, on miniature data in the real formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from real_formats import write_cifar, write_imagenet, write_office31
from recipe_runs import run_recipe
from voc_format import write_voc

from thesisbench.compose import Composer
from thesisbench.data.office31 import CLASSES
from thesisbench.step import build_network

pytestmark = pytest.mark.usefixtures("data_root")
CHAPTER = "experiment=liu/weight_align"
STEPS = [
    *("schedule.batch_size=4", "schedule.limit_batches=2", "schedule.epochs=1"),
    *("optimizer.lr=1e-4", "trainer.accelerator=cpu"),
]
ALIGNED = ["norm=without", "weight=align", "init=fixup"]
NET = ["backbone=resnet18", "backbone.stem=cifar"]


def run(
    composer: Composer, root: Path, recipe: str, *overrides: str, **needs: list[str]
) -> dict[str, Any]:
    return run_recipe(composer, root, f"{CHAPTER}/{recipe}", *overrides, **needs)[1]


def test_a_net_of_cifar100_is_tuned_on_a_domain_and_tested_on_another(
    composer: Composer, tmp_path: Path
) -> None:
    write_cifar(tmp_path / "data" / "cifar100", "cifar100")
    write_office31(tmp_path / "data" / "office31", CLASSES)
    run(composer, tmp_path, "cifar100", *STEPS, *NET, *ALIGNED)
    found = run(composer, tmp_path, "errors", weights=["cifar100"])["result"]["metrics"]
    assert 0 <= found["top5_error"] <= found["top1_error"] <= 100
    sizes = [
        f"dataset.{split}.{key}=32" for split in ("train", "test") for key in ("resize", "size")
    ]
    few = [*sizes, "dataset.splits.held_out=9"]
    source = [*few, "dataset.splits.domain=dslr"]
    needs = {"start": ["cifar100"]}
    tuned = run(composer, tmp_path, "office31", *STEPS, *NET, *ALIGNED, *source, **needs)
    left = tuned["provenance"]["facts"]["start"]["left"]
    assert left == ["fc.bias", "fc.weight"]  # 31 classes instead of 100
    target = [*few, "dataset.splits.domain=webcam"]
    tested = run(composer, tmp_path, "office31_test", *target, weights=["office31"])
    assert 0 <= tested["result"]["metrics"]["top1_test"] <= 100


def test_a_net_with_batch_norm_is_tuned_with_aligned_weights(
    composer: Composer, tmp_path: Path
) -> None:
    write_cifar(tmp_path / "data" / "cifar100", "cifar100")
    run(composer, tmp_path, "cifar100", *STEPS, *NET, "norm=batch")
    tuned = run(composer, tmp_path, "tuned", *STEPS, *NET, start=["cifar100"])
    assert all(name.endswith("gamma") for name in tuned["provenance"]["facts"]["start"]["left"])


def test_cifar10_trains_with_batches_of_one(composer: Composer, tmp_path: Path) -> None:
    write_cifar(tmp_path / "data" / "cifar10", "cifar10")
    run(composer, tmp_path, "cifar10", *STEPS, "schedule.batch_size=1", *NET, "norm=group")


def test_imagenet_trains_and_published_networks_are_tested(
    composer: Composer, tmp_path: Path
) -> None:
    write_imagenet(tmp_path / "data" / "imagenet", train=3)
    small = ["dataset.train.size=32", "dataset.test.resize=40", "dataset.test.size=32"]
    small += ["dataset.splits.n_classes=3", "backbone.classes=3"]
    run(composer, tmp_path, "imagenet", *STEPS, *small, "backbone=resnet18", "weight=align")
    found = run(composer, tmp_path, "imagenet_test", weights=["imagenet"])["result"]["metrics"]
    assert found["top5_error"] == 0  # of three classes
    (weights := tmp_path / "data" / "weights" / "mine").mkdir(parents=True)
    network = composer.compose([f"{CHAPTER}/imagenet", *small, "backbone=resnet18"]).config
    torch.save(build_network(network)[0].state_dict(), weights / "mine.pth")
    chosen = [*small, "backbone=resnet18", "variants.weights.name=mine"]
    run(composer, tmp_path, "published", *chosen)
    found = run(composer, tmp_path, "imagenet_test", weights=["published"])["result"]["metrics"]
    assert found["top5_error"] == 0


@pytest.mark.slow
def test_deeplab_segments(composer: Composer, tmp_path: Path) -> None:
    write_voc(tmp_path / "data" / "pascal_voc2012_seg")
    small = ["backbone=deeplabv3_resnet50", "backbone.width=8", "weight=align"]
    run(composer, tmp_path, "voc", *STEPS, "schedule.batch_size=2", *small)
    run(composer, tmp_path, "voc_test", weights=["voc"])


def test_an_untrained_network_is_looked_at(composer: Composer, tmp_path: Path) -> None:
    few = ["compute.nets=1", "compute.batch=4", "compute.side=4"]
    found = run(composer, tmp_path, "random_net", *few, "weight=align")["result"]["metrics"]
    assert found["drift_3"] > 0


def test_the_recipes_are_the_thesis_s(composer: Composer) -> None:
    for recipe, lr, epochs, batch in (
        ("cifar10", 0.01, 300, 64),
        ("cifar100", 0.01, 300, 64),
        ("imagenet", 0.1, 100, 64),
        ("voc", 0.007, 50, 4),
    ):
        config = composer.compose([f"{CHAPTER}/{recipe}"]).config
        optimizer = {k: config["optimizer"][k] for k in ("lr", "momentum", "weight_decay")}
        assert optimizer == {"lr": lr, "momentum": 0.9, "weight_decay": 5e-4}
        assert (config["schedule"]["epochs"], config["schedule"]["batch_size"]) == (epochs, batch)
    assert composer.compose([f"{CHAPTER}/office31"]).config["optimizer"]["lr"] == 0.001
    imagenet = composer.compose([f"{CHAPTER}/imagenet"]).config
    assert imagenet["scheduler"]["milestones"] == [30, 60, 90]
    assert composer.compose([f"{CHAPTER}/voc"]).config["backbone"]["output_stride"] == 16
