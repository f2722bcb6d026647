"""The options of detection data sets: composed, made of miniature files, and loaded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from detection_formats import coco_2014, coco_2017, write_delftbikes, write_voc_boxes

from thesisbench.cli import main
from thesisbench.compose import Composer
from thesisbench.data.files.command import fingerprint
from thesisbench.data.files.sources import MODULES
from thesisbench.instantiate import make

RECIPE = "experiment=kayhan/full_conv/red_green"
SIDES = ("dataset.train.shorter=24", "dataset.test.shorter=24")
CASES = {
    "coco": (SIDES, ["train", "val"]),
    "coco2014_minival": (SIDES, ["train", "val"]),
    "voc0712": (SIDES, ["train", "test"]),
    "delftbikes": (SIDES, ["train", "test"]),
    "procedural_bikes": (("dataset.splits.n_train=4", "dataset.splits.n_test=2"),
                         ["train", "test"]),
    "context_scenes": (("dataset.splits.n_train=4", "dataset.splits.n_test=2",
                        "dataset.splits.n_val=2"), ["train", "val", "test"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    coco_2017(root / "coco")
    write_voc_boxes(root / "voc")
    write_delftbikes(root / "delftbikes")
    return root


@pytest.fixture(autouse=True)
def here(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THESISBENCH_DATA", str(data))


def option(name: str, *words: str) -> Any:
    return make(Composer().compose([RECIPE, f"dataset={name}", *words]).config["dataset"])


@pytest.mark.parametrize("name", CASES)
def test_an_option_loads_its_data_set(name: str) -> None:
    words, splits = CASES[name]
    module = option(name, *words)
    found = module.fingerprint()
    assert found["name"] == name
    assert list(found["splits"]) == splits
    for split in splits:
        (image,), (target,) = module.split(split, train=split == "train")[(0, 0)]
        assert image.dtype == torch.float32
        assert 0 <= image.min() <= image.max() <= 1
        assert target["size"].tolist() == list(image.shape[1:])
        assert target["labels"].max() < len(module.classes)


@pytest.mark.parametrize("name", [name for name in CASES if name in MODULES])
def test_verify_tells_the_fingerprint_of_records(name: str) -> None:
    assert fingerprint(name)["splits"] == option(name).fingerprint()["splits"]


def test_minival_is_found_under_the_names_of_2014(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path))
    coco_2014(tmp_path / "coco")
    module = option("coco2014_minival")
    assert module.boxes("val").name(0).startswith("val2014/COCO_val2014_")


def test_verify_prints_the_whole_report_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path))
    write_delftbikes(tmp_path / "delftbikes")
    path = tmp_path / "delftbikes" / "train_annotations.json"
    told = json.loads(path.read_text())
    for n in range(3):
        parts = told[f"train_{n}.jpg"]["parts"]
        parts["bell"]["absolute_bounding_box"]["width"] = 0
        parts["chain"]["object_state"] = "stolen"
    path.write_text(json.dumps(told))
    (tmp_path / "delftbikes" / "test" / "test_1.jpg").unlink()
    monkeypatch.setattr(sys, "argv", ["thesisbench", "data", "verify", "delftbikes"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    out = capsys.readouterr().out
    assert "train: 3 boxes without area, left out: bell of train/train_0.jpg, " in out
    assert "train: 3 annotations of an unknown state, left out: " in out
    assert "test: 1 images without a file, left out: test/test_1.jpg" in out
    assert "train boxes: 10" in out
