"""The paper recipe of Figure 2.7 (right): two steps and a test on miniature Brown patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_runs import toy_folder

from thesisbench.compose import Composer
from thesisbench.launch.jobs import DONE
from thesisbench.run import run_folder

RECIPES = "experiment=kayhan/full_conv"
POINTS, VIEWS, SIDE = 16, 4, 64
FEW = ["dataset.splits.n_triplets=8", "schedule.batch_size=4", "schedule.epochs=1"]
SHORT = [*FEW, "trainer.accelerator=cpu"]


def write_scene(folder: Path, seed: int) -> None:
    """64 patches in 4 mosaics, their points, and 20 test pairs in the release's columns."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    points = np.repeat(np.arange(POINTS), VIEWS)
    looks = rng.integers(0, 200, (POINTS, SIDE, SIDE))
    patches = (looks[points] + rng.integers(0, 56, (len(points), SIDE, SIDE))).astype(np.uint8)
    for number, some in enumerate(patches.reshape(4, 4, 4, SIDE, SIDE)):
        mosaic = some.swapaxes(1, 2).reshape(4 * SIDE, 4 * SIDE)
        Image.fromarray(mosaic).save(folder / f"patches{number:04d}.bmp")
    (folder / "info.txt").write_text("".join(f"{point} 0\n" for point in points))
    rows = [(i, i + 1) if i % 2 else (i, (i + 32) % 64) for i in range(1, 61, 3)]
    lines = [f"{a} {points[a]} 0 {b} {points[b]} 0 0\n" for a, b in rows]
    (folder / "m50_100000_100000_0.txt").write_text("".join(lines))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for seed, scene in enumerate(("liberty", "notredame", "yosemite")):
        write_scene(tmp_path / "data" / "brown_patches" / scene, seed)
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.mark.parametrize(("border", "head"), [("same", "gap"), ("full", "flatten")])
def test_two_steps_and_an_evaluation(border: str, head: str, data: Path) -> None:
    composer = Composer()
    words = [f"{RECIPES}/hardnet", f"border={border}", f"backbone.head={head}", "split=2"]
    config = composer.compose([*words, *SHORT]).config
    assert (config["optimizer"]["lr"], config["optimizer"]["dampening"]) == (10.0, 0.9)
    fit = toy_folder(data / "runs", "fit", config)
    assert run_folder(fit.path) == DONE, fit.read_state()
    test = toy_folder(
        data / "runs", "test", composer.compose([f"{RECIPES}/hardnet_test"]).config, weights=["fit"]
    )
    assert run_folder(test.path) == DONE, test.read_state()
    made, measured = fit.read_record(), test.read_record()
    assert made is not None
    assert measured is not None
    facts = made["provenance"]["facts"]
    assert facts["parameters"] == 1_334_560
    assert facts["data"]["splits"]["train"]["count"] == 8
    assert measured["provenance"]["facts"]["evaluated"]["test_a"] == {"on": 20, "of": 20}
    assert set(measured["result"]["metrics"]) == {"fpr95", "fpr95_test_a", "fpr95_test_b"}
