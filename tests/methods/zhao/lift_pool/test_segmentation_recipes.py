"""The recipes of Tables 3.6 and 3.7 on a miniature VOC in its real formats, and their settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from recipe_runs import run_recipe
from toy_runs import toy_folder
from voc_format import write_voc

from thesisbench.compose import Composer
from thesisbench.instantiate import make
from thesisbench.launch.jobs import FAILED
from thesisbench.run import run_folder
from thesisbench.step import build_network
from thesisbench.store.folder import RunFolder

CHAPTER = "experiment=zhao/lift_pool"
SMALL = [
    *("schedule.batch_size=2", "schedule.limit_batches=2", "schedule.epochs=1"),
    *("optimizer.lr=1e-3", "trainer.accelerator=cpu"),
    *("dataset.train.size=64", "dataset.test.size=64"),
]
THIN = ["backbone.channels=[[8,8],[16,16],[16,16],[16,16],[16,16]]"]  # five pools, as VGG13
LIFT = ["pool=lift_down", "variants.pool.factory.bands=[LL]", "unpool=lift_up"]


@pytest.fixture(autouse=True)
def _data(data_root: Path) -> None:
    write_voc(data_root / "pascal_voc2012_seg")


def run(
    composer: Composer, root: Path, recipe: str, *words: str, **needs: list[str]
) -> tuple[RunFolder, dict[str, Any]]:
    return run_recipe(composer, root, f"{CHAPTER}/{recipe}", *words, **needs)


@pytest.mark.parametrize(
    ("recipe", "words", "replaced"),
    [
        ("segnet", THIN, {"pool": 5, "unpool": 5}),
        ("segnet", [*THIN, *LIFT], {"pool": 5, "unpool": 5}),
        ("deeplab", ["pool=lift_down"], {"pool": None}),
    ],
)
def test_a_recipe_trains_two_steps_and_is_tested_on_all_validation_images(
    recipe: str, words: list[str], replaced: dict[str, int], composer: Composer, tmp_path: Path
) -> None:
    _, trained = run(composer, tmp_path, recipe, *SMALL, *words)
    facts = trained["provenance"]["facts"]
    assert facts["data"]["splits"]["train"]["count"] == 6
    assert set(facts["replaced"]) == set(replaced)
    assert all(facts["replaced"][name] == n for name, n in replaced.items() if n)
    folder, tested = run(composer, tmp_path, f"{recipe}_test", weights=[recipe])
    assert tested["provenance"]["facts"]["evaluated"] == {"val": {"on": 2, "of": 2}}
    metrics = tested["result"]["metrics"]
    assert {"miou", "boundary_miou", "pixel_accuracy", "iou_0"} <= set(metrics)
    assert all(0 <= value <= 100 for value in metrics.values())
    pictures = sorted(p.name for p in (folder.path / "pictures").iterdir())
    assert pictures == ["val_0.png", "val_1.png"]


def test_the_recipes_have_the_settings_of_the_chapter(composer: Composer) -> None:
    for recipe in ("segnet", "deeplab"):
        config = composer.compose([f"{CHAPTER}/{recipe}"]).config
        optimizer = {k: config["optimizer"][k] for k in ("lr", "momentum", "weight_decay")}
        assert optimizer == {"lr": 0.007, "momentum": 0.9, "weight_decay": 1e-4}
        assert (config["schedule"]["batch_size"], config["schedule"]["epochs"]) == (16, 50)
        assert (config["scheduler"]["power"], config["scheduler"]["total_iters"]) == (0.9, 50)
        assert config["dataset"]["train"]["size"] == config["dataset"]["test"]["size"] == 512
        assert config["backbone"]["classes"] == 21
        test = composer.compose([f"{CHAPTER}/{recipe}_test"]).config
        assert test["evaluation"]["classes"] == 21


def test_the_learning_rate_falls_by_the_polynomial(composer: Composer) -> None:
    config = composer.compose([f"{CHAPTER}/deeplab"]).config
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.007)
    schedule = make(config["scheduler"])(optimizer)
    rates = []
    for _ in range(51):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = [0.007 * (1 - epoch / 50) ** 0.9 for epoch in range(51)]
    assert rates == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("segnet", []),
        ("segnet", ["unpool=max_blur"]),
        ("segnet", LIFT),
        ("segnet", ["unpool=bilinear"]),
        ("segnet", ["unpool=concat"]),
        *(
            ("deeplab", [f"pool={name}"])
            for name in ("strided", "max", "avg", "gauss", "lift_down")
        ),
    ],
)
def test_every_row_of_the_tables_has_the_sizes_of_the_thesis(
    recipe: str, words: list[str], composer: Composer
) -> None:
    config = composer.compose([f"{CHAPTER}/{recipe}", *words]).config
    with torch.device("meta"):
        network, _ = build_network(config)
        network.eval()
        assert network(torch.empty(1, 3, 512, 512)).shape == (1, 21, 512, 512)
        if recipe == "deeplab":
            low, maps = network.features(torch.empty(1, 3, 512, 512))
            assert (low.shape[-1], maps.shape[-1]) == (128, 32)


def test_unpools_of_other_pools_are_refused_in_one_line(composer: Composer, tmp_path: Path) -> None:
    words = [*SMALL, *THIN, "pool=lift_down", "unpool=max_indices"]
    config = composer.compose([f"{CHAPTER}/segnet", *words]).config
    folder = toy_folder(tmp_path, "bad", config)
    assert run_folder(folder.path) == FAILED
    message = folder.state().message
    assert "unpool does not fit SegNet" in message
    assert "\n" not in message


@pytest.mark.slow
def test_two_processes_find_what_one_does(composer: Composer, tmp_path: Path) -> None:
    thin = ["dataset=thin_seg", "dataset.splits.n_train=16", "dataset.splits.n_val=9"]
    words = [*SMALL[:5], *thin, "backbone=tiny_segnet", *LIFT]
    run(composer, tmp_path, "segnet", *words)
    test = ["evaluation.classes=5", "schedule.batch_size=4", "trainer.accelerator=cpu"]
    one, alone = run(composer, tmp_path, "segnet_test", *test, weights=["segnet"])
    more = ["trainer.devices=2", "+trainer.strategy=ddp"]
    config = composer.compose([f"{CHAPTER}/segnet_test", *test, *more]).config
    two = toy_folder(tmp_path, "two", config, weights=["segnet"])
    command = [sys.executable, "-m", "thesisbench", "run", str(two.path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    record = two.read_record()
    assert record is not None
    assert record["result"] == alone["result"]
    names = [sorted(p.name for p in (f.path / "pictures").iterdir()) for f in (one, two)]
    assert names == [[f"val_{i}.png" for i in range(4)]] * 2
