"""The border location recipes from configuration to accuracy, on miniature files and textures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from thesisbench.compose import Composer
from thesisbench.launch.jobs import DONE
from thesisbench.run import run_folder
from thesisbench.store.folder import RunFolder

SIZES = [f"dataset.splits.n_{name}=16" for name in ("train", "val", "test")]
RECIPE = "experiment=kayhan/full_conv/border_location"
TEXTURES = ["dataset=border_location_textures", "backbone=tiny_resnet", "trainer=cpu", *SIZES]


def run(root: Path, name: str, words: list[str], **needs: str) -> dict[str, Any]:
    """The record of a run of its own folder."""
    config = Composer().compose(words).config
    folder = RunFolder(root / name)
    needed = {key: [value] for key, value in needs.items()}
    folder.write_config(
        {"id": name, "lineage": name, "kind": config["kind"], "needs": needed, "config": config}
    )
    assert run_folder(folder.path) == DONE, folder.state().message
    record = folder.read_record()
    assert record is not None
    return record


def weights(root: Path, name: str) -> dict[str, torch.Tensor]:
    record = RunFolder(root / name).read_record()
    assert record is not None
    path = root / name / record["provenance"]["facts"]["weights"]
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


@pytest.mark.slow
def test_the_paper_recipe_takes_two_steps_and_is_tested_on_photographs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path))
    rng = np.random.default_rng(0)
    for i in range(24):
        path = tmp_path / "imagenet" / "val" / f"n{i % 3:08}" / f"ILSVRC2012_val_{i:08}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)).save(path)
    words = [RECIPE, *SIZES, "dataset.border=16", "schedule.epochs=1", "trainer=cpu"]
    fit = run(tmp_path, "fit", [*words, "backbone.global_pool=max"])
    assert fit["provenance"]["facts"]["data"]["splits"]["train"]["count"] == 16
    assert fit["result"]["metrics"]["epochs"] == 1
    test = run(
        tmp_path, "test", ["experiment=kayhan/full_conv/border_location_test"], weights="fit"
    )
    assert test["provenance"]["facts"]["evaluated"] == {"test": {"on": 16, "of": 16}}
    assert 0 <= test["result"]["metrics"]["top1_test"] <= 100


def test_frozen_features_start_from_the_pretraining_and_stay_there(tmp_path: Path) -> None:
    words = ["experiment=kayhan/full_conv/border_location_pretrain", "backbone=tiny_resnet"]
    words += ["dataset.splits.n_train=16", "dataset.splits.n_val=16", "schedule.epochs=1"]
    run(tmp_path, "pre", [*words, "trainer=cpu"])
    frozen = run(
        tmp_path, "fit", [RECIPE, *TEXTURES, "freeze=features", "schedule.epochs=2"], start="pre"
    )
    assert frozen["provenance"]["facts"]["replaced"]["freeze"] > 10
    assert frozen["provenance"]["facts"]["start"]["left"] == ["fc.bias", "fc.weight"]
    before, after = weights(tmp_path, "pre"), weights(tmp_path, "fit")
    for key in (key for key in after if not key.startswith("network.fc")):
        statistics = "running" in key or "num_batches" in key
        assert torch.equal(after[key], before[key]) is not statistics, key


def test_padding_as_border_trains_as_well(tmp_path: Path) -> None:
    words = [RECIPE, *TEXTURES, "first_padding=zeros", "variants.first_padding.padding=8"]
    wide = run(tmp_path, "fit", [*words, "schedule.epochs=1"])
    narrow = run(tmp_path, "own", [RECIPE, *TEXTURES, "schedule.epochs=1"])
    flops = [record["provenance"]["facts"]["flops_per_sample"] for record in (wide, narrow)]
    # 28 + 2*8 - 2 = 42 positions in place of 28 behind the first convolution
    assert flops[0] / flops[1] == pytest.approx((42 / 28) ** 2, rel=0.05)
