"""A published network is kept as a fit is, and evaluated as one; others are divided by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_runs import allowed_parts, toy_folder

from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.compose import Composer
from thesisbench.data import video_files
from thesisbench.data.stand_ins.texture_cls import texture_cls_splits
from thesisbench.launch.jobs import DONE, FAILED
from thesisbench.run import run_folder
from thesisbench.store.folder import RunFolder

NAME = "imagenet_judge"
WEIGHTS = {"_target_": "thesisbench.weights.load.Pretrained", "name": NAME}
TEXTURES = {
    "_target_": "thesisbench.data.module.ArrayDataModule",
    "name": "textures",
    "splits": {
        "_target_": "thesisbench.data.stand_ins.texture_cls.texture_cls_splits",
        "_partial_": True, "data_seed": 1000, "n_train": 16, "n_test": 12,
    },
    "finish": {
        "_target_": "thesisbench.data.small_images.Normalize", "mean": [0.5] * 3, "std": [0.25] * 3
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallResNet]:
    """A network whose weights are published below the data root."""
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path / "data"))
    torch.manual_seed(3)
    network = SmallResNet(classes=16)
    torch.nn.init.normal_(network.fc.weight)
    images, _ = texture_cls_splits(data_seed=1000, n_train=16, n_test=1)["train"]
    with torch.no_grad():
        for _ in range(20):  # its statistics become those of textures, so that classes differ
            network.train()((images / 255 - 0.5) / 0.25)
    place = tmp_path / "data" / "weights" / NAME
    place.mkdir(parents=True)
    torch.save(network.state_dict(), place / "judge.pth")
    with allowed_parts():
        yield network


def kept(root: Path, **changes: Any) -> RunFolder:
    config = {
        "kind": "prepare",
        "seed": 0,
        "backbone": {"_target_": "thesisbench.backbones.small_resnet.SmallResNet", "classes": 16},
        "variants": {"weights": WEIGHTS},
        "compute": {"_target_": "thesisbench.tasks.published_network.PublishedNetwork"},
    }
    return toy_folder(root, "judge", config | changes)


def finished(folder: RunFolder) -> dict[str, Any]:
    """The record of a run that is executed here."""
    assert run_folder(folder.path) == DONE, folder.read_state()
    record = folder.read_record()
    assert record is not None
    return record


def evaluated(root: Path, name: str, kind: str, *, needs: dict[str, list[str]], **node: Any) -> Any:
    target = {"_target_": f"thesisbench.tasks.{kind}", "split": "test", **node}
    config = {"kind": "eval", "seed": 1, "dataset": TEXTURES, "evaluation": target}
    return finished(toy_folder(root, name, config, **needs))["result"]["metrics"]


def test_it_is_kept_with_its_weights(tmp_path: Path, judge: SmallResNet) -> None:
    folder = kept(tmp_path)
    record = finished(folder)
    facts = record["provenance"]["facts"]
    numbers = sum(p.numel() for p in judge.parameters())
    assert record["result"]["metrics"] == {"parameters": float(numbers)}
    assert [note["name"] for note in facts["pretrained"]] == [NAME]
    state = torch.load(folder.path / facts["weights"], weights_only=True)
    expected = judge.state_dict()
    assert list(state) == [f"network.{name}" for name in expected]
    assert all(torch.equal(state[f"network.{name}"], v) for name, v in expected.items())
    assert (folder.path / facts["weights"]).stat().st_size == facts["weights_bytes"]


def test_evaluations_take_it_as_a_fit_and_divide_by_it(tmp_path: Path, judge: SmallResNet) -> None:
    finished(kept(tmp_path))
    needs = {"weights": ["judge"]}
    found = evaluated(tmp_path, "errors", "evaluate.ErrorRates", needs=needs)
    images, labels = texture_cls_splits(data_seed=1000, n_train=16, n_test=12)["test"]
    with torch.no_grad():
        classes = judge.eval()((images / 255 - 0.5) / 0.25).argmax(1)
    wrong = (classes != labels).double().mean()
    assert len(classes.unique()) > 2, "the example tells networks apart"
    assert found["top1_error"] == pytest.approx(100 * float(wrong))
    node: dict[str, Any] = {"perturbations": ["gaussian_noise_3", "scale"], "frames": 8}
    node |= {"mean": [0.5] * 3, "std": [0.25] * 3}
    kind = "perturbations.PerturbationTest"
    rates = evaluated(tmp_path, "rates", kind, needs=needs, **node)
    assert min(rates.values()) > 0, "the example flips"
    needs["reference"] = ["rates"]
    assert evaluated(tmp_path, "by", kind, needs=needs, **node)["mfr_norm"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"variants": {}}, "needs weights: weights=pretrained"),
        ({"variants": {"weights": {**WEIGHTS, "name": "none_such"}}}, "weights prepare none_such"),
    ],
)
def test_without_weights_it_is_refused(tmp_path: Path, changes: Any, said: str) -> None:
    folder = kept(tmp_path, **changes)
    assert run_folder(folder.path) == FAILED
    assert said in folder.read_state()["message"]


def test_the_recipe_reads_imagenet_p_and_divides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    for name, count in (("rotate", 31), ("shot_noise", 31)):
        for wnid in ("n01", "n02", "n03"):
            path = tmp_path / "data" / "imagenet_p" / name / wnid / "a.mp4"
            path.parent.mkdir(parents=True)
            path.write_bytes(generator.bytes(count * 8 * 8 * 3))

    def read(path: Path) -> np.ndarray:
        return np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(-1, 8, 8, 3).copy()

    monkeypatch.setattr(video_files, "read_frames", read)
    finished(kept(tmp_path))
    names = "[rotate,shot_noise]"
    words = [
        *("dataset=imagenet_p", "evaluation.stored=true", f"evaluation.perturbations={names}"),
        *(f"dataset.splits.perturbations={names}", "dataset.splits.n_classes=3"),
        *("dataset.test.resize=16", "dataset.test.size=16"),
    ]
    recipe = "experiment=zhao/lift_pool/perturbation_test"
    config = Composer().compose([recipe, *words]).config
    rates = finished(toy_folder(tmp_path, "rates", config, weights=["judge"]))
    assert 0 < rates["result"]["metrics"]["fr_rotate"] < 100
    facts = rates["provenance"]["facts"]
    assert facts["evaluated"]["shot_noise"] == {"on": 3, "of": 3}
    needs = {"weights": ["judge"], "reference": ["rates"]}
    ours = finished(toy_folder(tmp_path, "ours", config, **needs))
    assert ours["result"]["metrics"]["mfr_norm"] == pytest.approx(100)
