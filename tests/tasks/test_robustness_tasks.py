"""Corruption, perturbation and crop evaluations: by hand, in shares, and as steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_runs import allowed_parts, toy_config, toy_folder

from thesisbench.data.arrays import Loading
from thesisbench.data.corruptions.corrupt import corrupt
from thesisbench.data.corruptions.perturb import perturb
from thesisbench.data.module import ArrayDataModule
from thesisbench.data.shares import Share
from thesisbench.errors import UserError
from thesisbench.launch.jobs import DONE
from thesisbench.run import run_folder
from thesisbench.store.folder import RunFolder
from thesisbench.tasks import over_images, perturbations
from thesisbench.tasks.corruptions import CorruptionTest
from thesisbench.tasks.crop_consistency import CropConsistency, drawn_offsets, windows_at
from thesisbench.tasks.perturbations import PerturbationTest

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.5]
SCALE: dict[str, Any] = {"mean": MEAN, "std": STD}
CORRUPTIONS = CorruptionTest(
    split="test", corruptions=["gaussian_noise", "contrast"], severities=[2, 5], **SCALE
)


class Projection(nn.Module):
    """Random projections as logits: it answers otherwise when pixels change."""

    def __init__(self, side: int = 16) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(3 * side * side, 4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(images.flatten(1))
        return out


def plain(n: int = 11, side: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return (torch.rand(n, 3, side, side, generator=generator) * 255).round() / 255


def scaled(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(x).view(-1, 1, 1) for x in (MEAN, STD))
    return (images - mean) / std


def module(loading: Loading, side: int = 16) -> Any:
    images = scaled(plain(side=side))
    data = ArrayDataModule("noise", lambda: {"test": (images, torch.arange(11) % 4)})
    data.loading = loading
    return data


@torch.no_grad()
def test_corruption_test_equals_corrupting_the_whole_set_by_hand() -> None:
    network, x = Projection().eval(), plain()
    classes, labels = CORRUPTIONS.measure(network, module(Loading(batch_size=4)), seed=3)
    by_hand = [network(scaled(x)).argmax(1)]
    for name in ("gaussian_noise", "contrast"):
        for severity in (2, 5):
            bad = corrupt(x, name, severity, seed=3, numbers=range(11))
            by_hand.append(network(scaled(bad)).argmax(1))
    assert torch.equal(classes, torch.stack(by_hand, 1))
    assert classes.unique(dim=1).shape[1] > 2, "the example shows something"
    errors, clean = CORRUPTIONS.errors(classes, labels)
    wrong = 100 * (classes != labels[:, None]).double().mean(0)
    assert clean == pytest.approx(wrong[0].item())
    assert errors["contrast"] == pytest.approx({2: wrong[3].item(), 5: wrong[4].item()})


@pytest.mark.parametrize(("size", "ranks"), [(4, 2), (5, 3), (10, 2)])
def test_processes_see_the_images_of_one_with_their_numbers(
    size: int, ranks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_images, "gather", lambda rows, *_: rows)
    network = Projection().eval()
    whole, _ = CORRUPTIONS.measure(network, module(Loading(batch_size=size)), seed=3)
    rows = {}
    for rank in range(ranks):
        data = module(Loading(batch_size=size, share=Share(rank, ranks)))
        places = data.share("test").batch_sampler.positions(rank)
        classes, _ = CORRUPTIONS.measure(network, data, seed=3)
        assert len(classes) == len(places)
        rows |= dict(zip(places, classes.tolist(), strict=True))
    assert [rows[i] for i in range(11)] == whole.tolist()


def test_a_limit_takes_the_first_batches() -> None:
    network = Projection().eval()
    whole, _ = CORRUPTIONS.measure(network, module(Loading(batch_size=4)), seed=3)
    few, labels = CORRUPTIONS.measure(network, module(Loading(batch_size=4, limit=2)), seed=3)
    assert torch.equal(few, whole[:8])
    assert len(labels) == 8
    five = CorruptionTest(
        split="test", corruptions=CORRUPTIONS.names, severities=[2, 5], clips=5, **SCALE
    )
    assert torch.equal(five.measure(network, module(Loading(batch_size=4)), seed=3)[0], few)


@torch.no_grad()
def test_perturbation_test_equals_frames_by_hand_in_parts_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, x = Projection(12).eval(), plain()
    test = PerturbationTest(
        split="test", perturbations=["translate"], crop=12, frames=5, clips=6, **SCALE
    )
    frames = perturb(x[:8], "translate", seed=1, numbers=range(8), crop=12, frames=5)
    slow = network(scaled(frames.flatten(0, 1))).argmax(1).view(8, 5)
    data = module(Loading(batch_size=4))  # 6 clips are two whole batches of 4
    assert torch.equal(test.measure(network, data, "translate", seed=1), slow)
    monkeypatch.setattr(perturbations, "AT_ONCE", 3 * 16 * 16 * 3)
    assert torch.equal(test.measure(network, data, "translate", seed=1), slow)


def test_windows_start_where_they_should() -> None:
    images = torch.arange(2 * 36.0).view(2, 1, 6, 6)
    found = windows_at(images, torch.tensor([[0, 2], [3, 1]]), 3)
    assert torch.equal(found[0], images[0, :, 0:3, 2:5])
    assert torch.equal(found[1], images[1, :, 3:6, 1:4])


def test_offsets_fill_their_range_and_depend_on_the_image_alone() -> None:
    many = drawn_offsets(range(500), pairs=2, room=3, seed=0)
    assert many.shape == (500, 2, 2, 2)
    assert many.unique().tolist() == [0, 1, 2, 3]
    assert torch.equal(drawn_offsets([7], pairs=2, room=3, seed=0)[0], many[7])
    assert not torch.equal(drawn_offsets(range(500), pairs=2, room=3, seed=1), many)


def test_unknown_names_are_said_before_anything_runs() -> None:
    with pytest.raises(UserError, match="unknown corruption 'hail'"):
        CorruptionTest(corruptions=["hail"])
    with pytest.raises(UserError, match="severity 0"):
        CorruptionTest(severities=[0])
    with pytest.raises(UserError, match="unknown reference 'vgg'; valid: alexnet, null"):
        CorruptionTest(reference="vgg")
    with pytest.raises(UserError, match="unknown perturbation 'fall'"):
        PerturbationTest(perturbations=["fall"])
    with pytest.raises(UserError, match="pairs=0"):
        CropConsistency(pairs=0)


@pytest.fixture
def _allowed() -> Iterator[None]:
    with allowed_parts():
        yield


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished fit of a ResNet-8 on a few textures."""
    textures = {
        "_target_": "thesisbench.data.stand_ins.texture_cls.texture_cls_splits",
        "_partial_": True, "data_seed": 1000, "n_train": 32, "n_test": 20,
    }  # fmt: skip
    finish = {
        "_target_": "thesisbench.data.small_images.Normalize", "mean": [0.5] * 3, "std": [0.25] * 3
    }  # fmt: skip
    dataset = {
        "_target_": "thesisbench.data.module.ArrayDataModule",
        "name": "textures", "splits": textures, "finish": finish,
    }  # fmt: skip
    backbone = {"_target_": "thesisbench.backbones.small_resnet.SmallResNet", "classes": 16}
    config = toy_config(
        dataset=dataset,
        backbone=backbone,
        schedule={"epochs": 1, "batch_size": 16, "select": "last"},
    )
    folder = toy_folder(tmp_path_factory.mktemp("runs"), "fit", config)
    with allowed_parts():
        assert run_folder(folder.path) == DONE, folder.read_state()
    return folder


def evaluated(fit: RunFolder, name: str, kind: str, *, against: str = "", **node: Any) -> Any:
    """The record of an evaluation of the fit."""
    target = {"_target_": f"thesisbench.tasks.{kind}", **node}
    config = {"kind": "eval", "seed": 1, "evaluation": target}
    needs = {"weights": [fit.id], **({"reference": [against]} if against else {})}
    folder = toy_folder(fit.path.parent, name, config, **needs)
    assert run_folder(folder.path) == DONE, folder.read_state()
    record = folder.read_record()
    assert record is not None
    return SimpleNamespace(folder=folder, metrics=record["result"]["metrics"], record=record)


UNIT: dict[str, Any] = {"split": "test", "mean": [0.5] * 3, "std": [0.25] * 3}


@pytest.mark.usefixtures("_allowed")
def test_corruptions_as_a_step_with_pictures_and_a_reference(fit: RunFolder) -> None:
    node = {"corruptions": ["fog", "jpeg_compression"], "severities": [1, 3], **UNIT}
    first = evaluated(fit, "c1", "corruptions.CorruptionTest", **node)
    metrics = first.metrics
    assert metrics["err_fog"] == pytest.approx((metrics["err_fog_1"] + metrics["err_fog_3"]) / 2)
    mean = (metrics["err_fog"] + metrics["err_jpeg_compression"]) / 2
    assert metrics["mce"] == pytest.approx(mean)
    assert 0 <= metrics["err_clean"] <= 100
    assert "mce_norm" not in metrics
    assert first.record["provenance"]["facts"]["evaluated"] == {"test": {"on": 20, "of": 20}}
    assert np.load(first.folder.predictions_dir / "corrupted.npy").shape == (20, 5)
    pictures = sorted(p.stem for p in (first.folder.path / "pictures").glob("*.png"))
    assert pictures == ["clean", "fog_3", "jpeg_compression_3"]
    by_itself = evaluated(fit, "c2", "corruptions.CorruptionTest", against="c1", **node)
    assert by_itself.metrics["mce_norm"] == pytest.approx(100)
    alexnet = {**node, "reference": "alexnet"}
    against = evaluated(fit, "c3", "corruptions.CorruptionTest", **alexnet).metrics
    fog = against["err_fog_1"] + against["err_fog_3"]
    assert against["ce_fog"] == pytest.approx(100 * fog / (67.474 + 84.378))
    json.dumps(against)


@pytest.mark.usefixtures("_allowed")
def test_perturbations_as_a_step_with_a_reference(fit: RunFolder) -> None:
    node = {"perturbations": ["rotate", "gaussian_noise_3"], "frames": 4, "clips": 8, **UNIT}
    schedule_free = evaluated(fit, "p1", "perturbations.PerturbationTest", **node)
    metrics = schedule_free.metrics
    assert set(metrics) == {"fr_rotate", "fr_gaussian_noise_3", "mfr"}
    classes = np.load(schedule_free.folder.predictions_dir / "rotate.npy")
    assert classes.shape == (20, 4)  # one batch holds all
    flips = (classes[:, 1:] != classes[:, :-1]).mean()
    assert metrics["fr_rotate"] == pytest.approx(100 * flips)
    noisy = np.load(schedule_free.folder.predictions_dir / "gaussian_noise_3.npy")
    again = evaluated(fit, "p2", "perturbations.PerturbationTest", against="p1", **node)
    assert again.metrics["mfr_norm"] == pytest.approx(100)
    assert metrics["fr_gaussian_noise_3"] == pytest.approx(
        100 * (noisy[:, 1:] != noisy[:, :1]).mean()
    )


@pytest.mark.usefixtures("_allowed")
def test_crop_consistency_as_a_step(fit: RunFolder) -> None:
    done = evaluated(fit, "s1", "crop_consistency.CropConsistency", split="wide", crop=32, pairs=3)
    classes = np.load(done.folder.predictions_dir / "wide.npy")
    assert classes.shape == (20, 7)
    agree = (classes[:, 1::2] == classes[:, 2::2]).mean()
    assert done.metrics["consistency"] == pytest.approx(100 * agree)
    top1 = evaluated(fit, "s2", "evaluate.TopOne", splits=["test"])
    assert done.metrics["centre_top1"] == pytest.approx(top1.metrics["top1_test"])


@torch.no_grad()
def test_stored_corruptions_are_read_from_their_splits() -> None:
    network, names = Projection().eval(), ("fog_1", "fog_4", "snow_1", "snow_4")
    sets = {name: (plain(5 + i), torch.arange(5 + i) % 4) for i, name in enumerate(names)}
    data = ArrayDataModule("imagenet_c", lambda: sets)
    data.loading = Loading(batch_size=3)
    context: Any = SimpleNamespace(
        config={"dataset": {}, "kind": "eval"},
        needs={},
        result=SimpleNamespace(facts={}),
        fitted=lambda: network,
        fitted_dataset=lambda: data,
        save_predictions=lambda *_: None,
    )
    metrics = CorruptionTest(corruptions=["fog", "snow"], severities=[1, 4], stored=True)(context)
    wrong = {n: 100 * (network(x).argmax(1) != y).double().mean() for n, (x, y) in sets.items()}
    assert metrics["err_snow_4"] == pytest.approx(float(wrong["snow_4"]))
    assert metrics["mce"] == pytest.approx(float(sum(wrong.values())) / 4)
    assert "err_clean" not in metrics
    assert context.result.facts["evaluated"]["fog_4"] == {"on": 6, "of": 6}
