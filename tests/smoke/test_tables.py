"""Every table that has a grid is reproduced at scale smoke; Q-FMNIST runs on miniature files."""

import gzip
import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

from thesisbench.compose import Composer
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.grid import has_grid

CATALOG = Catalog.at()
COMPOSER = Composer()
BUILT = [table for table in CATALOG.tables if has_grid(CATALOG, COMPOSER.recipes, table)]

NO_STAND_IN = {"liu.t5.5", "liu.t5.91"}  # for scale paper only: there is nothing to run

pytestmark = pytest.mark.slow


def _thesisbench(folder, *words, **variables):
    environment = {**os.environ, "THESISBENCH_RUNS": str(folder / "runs"), **variables}
    command = [sys.executable, "-m", "thesisbench", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_there_is_something_to_smoke():
    assert {"kayhan.t2.1", "kayhan.t2_1_held_out", "kayhan.f2.1", "kayhan.t3.1"} <= set(BUILT)


@pytest.mark.parametrize("table", BUILT)
def test_table_runs_at_scale_smoke(table, tmp_path):
    done = _thesisbench(tmp_path, "reproduce", table, "--scale", "smoke", "--json", "logger=none")
    assert done.returncode == 0, done.stderr
    cells = json.loads(done.stdout)["tables"][0]
    assert cells["id"] == table
    assert (tmp_path / "reports" / f"{table}.smoke.md").exists()
    again = _thesisbench(tmp_path, "status", table, "--scale", "smoke", "--json")
    assert set(json.loads(again.stdout)["states"]) == (set() if table in NO_STAND_IN else {"done"})


def _write_idx(path, array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


def test_the_paper_recipe_of_table_3_1_runs_on_miniature_fashion_mnist(tmp_path):
    raw = tmp_path / "data" / "fashion_mnist" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 240), ("t10k", 120)):
        _write_idx(raw / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (n, 28, 28)))
        _write_idx(raw / f"{part}-labels-idx1-ubyte.gz", np.arange(n) % 10)
    sizes = [f"dataset.splits.n_{split}=16" for split in ("train", "val", "test")]
    done = _thesisbench(
        tmp_path, "reproduce", "kayhan.t3.1", "--scale", "paper", "--seeds", "0", "logger=none",
        "schedule.epochs=1", "schedule.batch_size=8", *sizes,
        THESISBENCH_DATA=str(tmp_path / "data"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Overridden" in done.stdout


def test_missing_fashion_mnist_is_said_in_the_failed_runs(tmp_path):
    done = _thesisbench(
        tmp_path, "reproduce", "kayhan.t3.1", "--scale", "paper", "--seeds", "0", "logger=none",
        THESISBENCH_DATA=str(tmp_path / "none"),
    )  # fmt: skip
    assert done.returncode == 1
    assert "train-images-idx3-ubyte.gz" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_wheel_ships_configurations_specs_and_accepted_results(tmp_path):
    root = CATALOG.roots[0][0].parent
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*build, str(root)], check=True, capture_output=True)
    names = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(next(tmp_path.glob("*.whl")))],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in (
        "thesisbench/conf/train.yaml",
        "thesisbench/conf/experiment/kayhan/full_conv/red_green.yaml",
        "thesisbench/experiments/kayhan/full_conv/tables/t2_1.yaml",
        "thesisbench/experiments/kayhan/full_conv/results/paper/t2_1.json",
        "thesisbench/target_defaults.json",
        "thesisbench/methods/kayhan/full_conv/red_green.py",
    ):
        assert name in names
