"""Symmetry over the epochs of a fit: what is logged, that it survives, that it changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.instantiate import make
from thesisbench.methods.liu.weight_align.symmetry import (
    SymmetryCurve,
    TrainedFigures,
    mean_figures,
)
from thesisbench.metrics.activations import layer_figures
from thesisbench.step import NeededRun, StepContext, StepResult, build_network
from thesisbench.store.folder import RunFolder
from thesisbench.training.fit import run_fit

WORDS = (
    *("experiment=zhao/lift_pool/cifar100", "backbone=vgg_mini", "dataset=texture_cls"),
    *("backbone.widths=[[4],[4]]", "dataset.splits.classes=10", "dataset.splits.n_train=40"),
    *("dataset.splits.n_test=4", "optimizer.lr=0.05", "schedule.batch_size=20"),
    *("schedule.monitor=train_loss", "trainer.accelerator=cpu", "weight=align", "seed=3"),
)
CURVE = ("callbacks=symmetry", "callbacks.symmetry.images=9", "callbacks.symmetry.epochs=[1,3]")
NAMES = ("weight_symmetry", "activation_symmetry", "activation_drift")


def fit(
    root: Path, *words: str, epochs: int = 3, previous: tuple[Path, ...] = ()
) -> tuple[StepResult, Any]:
    """Result of a fit, and its configuration; its attempt is root/attempt."""
    config = Composer().compose([*WORDS, *words, f"schedule.epochs={epochs}"]).config
    root.mkdir(exist_ok=True)
    attempt = root / "attempt"
    context = StepContext(config=config, folder=RunFolder(root), attempt=attempt, previous=previous)
    return run_fit(context), config


def lines(root: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StepResult, Any]:
    root = tmp_path_factory.mktemp("whole")
    return root, *fit(root, *CURVE)


def test_each_epoch_has_its_figures(whole: tuple[Path, StepResult, Any]) -> None:
    found = lines(whole[0])
    assert [line["epoch"] for line in found] == [0, 1, 2]
    for name in NAMES:
        assert len({line[name] for line in found}) > 1, "training moves them"
        assert found[0][f"{name}_epoch_1"] == found[0][name]


def test_the_record_has_those_of_the_chosen_epochs(whole: tuple[Path, StepResult, Any]) -> None:
    root, result, _ = whole
    found = lines(root)
    for name in NAMES:
        assert result.metrics[f"{name}_epoch_1"] == found[0][name]
        assert result.metrics[f"{name}_epoch_3"] == found[2][name] == result.metrics[name]
        assert f"{name}_epoch_2" not in result.metrics


def test_the_figures_are_those_of_the_network_on_its_first_images(
    whole: tuple[Path, StepResult, Any],
) -> None:
    root, result, config = whole
    network, _ = build_network(config)
    state = torch.load(root / result.facts["weights"], weights_only=True)
    network.load_state_dict({k.removeprefix("network."): v for k, v in state.items()})
    context = StepContext(config=config, folder=RunFolder(root), attempt=root)
    (images,), _ = context.dataset().split("train").__getitems__([(0, i) for i in range(9)])
    assert result.metrics["kept_epoch"] == 2
    for name, value in mean_figures(network, images).items():
        assert result.metrics[name] == pytest.approx(value, rel=1e-5)


def test_an_evaluation_says_what_the_curve_ends_with(
    whole: tuple[Path, StepResult, Any], tmp_path: Path
) -> None:
    root, result, config = whole
    record = {"provenance": {"facts": result.facts}}
    needs = {"weights": (NeededRun(RunFolder(root), {"config": config}, record),)}
    words = ["kind=eval", "evaluation=symmetry", "evaluation.images=9"]
    plan = Composer().compose(words).config
    context = StepContext(config=plan, folder=RunFolder(tmp_path), attempt=tmp_path, needs=needs)
    found = make(plan["evaluation"])(context)
    assert set(found) == set(NAMES)
    for name in NAMES:
        assert found[name] == pytest.approx(result.metrics[name], rel=1e-5)
    assert context.result.facts["evaluated"] == {"train": {"on": 9, "of": 40}}
    assert isinstance(make(plan["evaluation"]), TrainedFigures)


def test_measuring_leaves_the_fit_as_it_is(
    whole: tuple[Path, StepResult, Any], tmp_path: Path
) -> None:
    plain, _ = fit(tmp_path / "plain")
    assert plain.digests == whole[1].digests


def test_a_resumed_fit_has_the_same_figures(
    whole: tuple[Path, StepResult, Any], tmp_path: Path
) -> None:
    fit(tmp_path / "first", *CURVE, epochs=2)
    resumed, _ = fit(tmp_path / "second", *CURVE, previous=(tmp_path / "first" / "attempt",))
    assert resumed.metrics == whole[1].metrics
    assert resumed.digests == whole[1].digests


def test_the_classifier_is_left_out_and_so_is_what_is_not_finite() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    x = torch.randn(50, 3, dtype=torch.float64)
    (first, _) = layer_figures(network, x)
    assert mean_figures(network, x)["activation_symmetry"] == first.symmetry
    nn.init.constant_(network[0].weight, torch.nan)
    assert mean_figures(network, x) == {}


def test_no_images_are_refused() -> None:
    with pytest.raises(UserError, match="images=0 must be at least 1"):
        SymmetryCurve(images=0)
