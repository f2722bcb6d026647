"""The options of real data sets: composed, instantiated on miniature files, and trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from real_formats import write_brown, write_cifar, write_fashion_mnist, write_imagenet, write_jpeg

from thesisbench.compose import Composer
from thesisbench.data.imagenet200_classes import CLASSES
from thesisbench.errors import UserError
from thesisbench.instantiate import make
from thesisbench.step import StepContext
from thesisbench.store.folder import RunFolder
from thesisbench.training.fit import run_fit

RECIPE = "experiment=kayhan/full_conv/red_green"
SMALL = ("dataset.train.size=32", "dataset.test.resize=36", "dataset.test.size=32")
CASES = {
    "cifar10": ([], (3, 32, 32), ["train", "val", "test"]),
    "cifar100": ([], (3, 32, 32), ["train", "val", "test"]),
    "fashion_mnist": ([], (1, 28, 28), ["train", "val", "test"]),
    "imagenet": ([*SMALL, "dataset.splits.n_classes=201"], (3, 32, 32), ["train", "val"]),
    "imagenet200": ([*SMALL], (3, 32, 32), ["train", "val"]),
    "imagenet_subset": (
        [*SMALL, "dataset.splits.n_classes=201", "dataset.splits.per_class=1"],
        (3, 32, 32),
        ["train", "val"],
    ),
    "brown_patches": (["split=2"], (1, 32, 32), ["train", "test_a", "test_b"]),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_cifar(root / "cifar10", per_file=1100)
    write_cifar(root / "cifar100", "cifar100", per_file=5100)
    write_fashion_mnist(root / "fashion_mnist", train=10_010)
    write_imagenet(root / "imagenet", ("n00000001", *CLASSES), train=2, val=1)
    write_brown(root / "brown_patches")
    return root


@pytest.fixture(autouse=True)
def here(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THESISBENCH_DATA", str(data))


def config(name: str, *words: str) -> Any:
    return Composer().compose([RECIPE, f"dataset={name}", *words]).config


@pytest.mark.parametrize("name", CASES)
def test_an_option_loads_its_data_set(name: str) -> None:
    words, shape, splits = CASES[name]
    module = make(config(name, *words)["dataset"])
    assert list(module.fingerprint()["splits"]) == splits
    for split in splits:
        (images,), targets = module.split(split, train=split == "train").__getitems__([(0, 0)])
        assert images.shape[1:] == shape
        assert images.dtype == torch.float32
        assert images.isfinite().all()
        assert len(targets) == 1


def fit(tmp_path: Path, *words: str) -> Any:
    small = (*CASES["imagenet_subset"][0], "backbone=resnet8", "backbone.classes=201")
    schedule = ("schedule.epochs=1", "schedule.batch_size=4", "schedule.limit_batches=2")
    plan = config("imagenet_subset", *small, *schedule, "schedule.shuffle=true", *words)
    tmp_path.mkdir(exist_ok=True)
    folder = RunFolder(tmp_path)
    return run_fit(StepContext(config=plan, folder=folder, attempt=tmp_path / "attempt"))


def test_a_fit_on_image_files_does_not_depend_on_loader_processes(tmp_path: Path) -> None:
    found = [fit(tmp_path / str(n), f"trainer.num_workers={n}") for n in (0, 2)]
    assert found[0].digests["weights"] == found[1].digests["weights"]
    splits = found[0].facts["data"]["splits"]
    assert {name: split["count"] for name, split in splits.items()} == {"train": 201, "val": 201}


def test_a_broken_image_ends_a_fit_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path))
    root = write_imagenet(tmp_path / "imagenet", train=2)
    write_jpeg(root / "train" / "n02" / "bad.JPEG", 0)
    for path in root.glob("train/*/*.JPEG"):
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"cannot read image .*\.JPEG: ") as caught:
        fit(tmp_path, "dataset.splits.n_classes=3", "trainer.num_workers=1")
    assert "\n" not in str(caught.value)
