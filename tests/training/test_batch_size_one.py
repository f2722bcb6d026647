"""Batch sizes from 1 on with every normalisation, and fits that fail to train (Liu, chapter 5)."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.identity import run_id
from thesisbench.step import StepContext, StepResult
from thesisbench.store.folder import RunFolder
from thesisbench.training.fit import run_fit
from thesisbench.training.single_values import single_value

COMPOSER = Composer()
WORDS = (
    *("experiment=zhao/lift_pool/cifar100", "backbone=vgg_mini", "backbone.classes=10"),
    *("dataset=texture_cls", "dataset.splits.classes=10", "dataset.splits.n_test=4"),
    *("optimizer.lr=0.01", "schedule.epochs=1", "trainer.accelerator=cpu", "seed=3"),
)
NORMS = ("without", "batch", "group", "layer", "instance")
SMALL = ("backbone.widths=[[8],[8]]", "variants.norm.groups=4")


def words_for(norm: str) -> list[str]:
    return [f"norm={norm}", *(SMALL if norm == "group" else SMALL[:1])]


def fit(root: Path, *words: str, samples: int = 6) -> StepResult:
    config = COMPOSER.compose([*WORDS, f"dataset.splits.n_train={samples}", *words]).config
    context = StepContext(config=config, folder=RunFolder(root), attempt=root / "attempt")
    return run_fit(context)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("batch", [1, 4])
def test_every_norm_trains_at_every_batch_size(norm: str, batch: int, tmp_path: Path) -> None:
    result = fit(tmp_path, *words_for(norm), f"schedule.batch_size={batch}")
    assert result.outcome == "ok"
    assert math.isfinite(result.metrics["train_loss"])
    assert result.facts["replaced"]["norm"] == 2


SIX_STAGES = ("backbone.widths=[[8],[8],[8],[8],[8],[8]]",)  # the last maps are 1x1


def test_one_value_a_channel_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"a normalisation got a map of shape \[1, 8, 1, 1\]"
    ) as told:
        fit(tmp_path, *SIX_STAGES, "schedule.batch_size=1")
    assert "raise schedule.batch_size" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (torch.nn.BatchNorm2d(8), (1, 8, 1, 1), "a normalisation got .* raise schedule.batch_size"),
        (
            torch.nn.InstanceNorm2d(8),
            (4, 8, 1, 1),
            r"an instance normalisation got .*\[4, 8, 1, 1\]",
        ),
        (torch.nn.GroupNorm(8, 8), (1, 8, 1, 1), "a normalisation got .* norm=layer"),
    ],
)
def test_what_torch_refuses_is_said(
    layer: torch.nn.Module, shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises(ValueError, match="Expected more than 1") as refused:
        layer(torch.zeros(shape))
    told = single_value(refused.value)
    assert isinstance(told, UserError)
    with pytest.raises(UserError, match=words):
        raise told


def test_another_error_is_not_ours() -> None:
    assert single_value(ValueError("Expected 4D input (got 2D input)")) is None


@pytest.mark.parametrize("batch", [1, 4])
def test_a_loss_that_leaves_the_finite_range_is_the_outcome_diverged(
    batch: int, tmp_path: Path
) -> None:
    words = (*words_for("without"), "optimizer.lr=1e25", f"schedule.batch_size={batch}")
    result = fit(tmp_path, *words, samples=12)
    assert result.outcome == "diverged"
    assert "left the finite range in epoch 0" in result.facts["diverged"]


def test_a_fit_that_learns_nothing_is_no_divergence(tmp_path: Path) -> None:
    words = (*words_for("batch"), "optimizer.lr=1e-12", "schedule.batch_size=20")
    result = fit(tmp_path, *words, samples=100)
    assert result.outcome == "ok", "its loss is finite: a table must say what chance is"
    assert result.metrics["train_top1"] < 30


@pytest.mark.parametrize("norm", NORMS)
def test_the_batch_size_and_parts_of_it_are_part_of_the_identity(norm: str) -> None:
    def id_of(*words: str) -> str:
        made = COMPOSER.compose([*WORDS, *words_for(norm), *words])
        return run_id(made.config, made.choices, {})

    sizes = [id_of(f"schedule.batch_size={b}") for b in (64, 8, 4, 2, 1)]
    assert len(set(sizes)) == 5
    parts = id_of("schedule.batch_size=64", "trainer.devices=8")
    assert parts == id_of("schedule.batch_size=64", "schedule.accumulate=8")
    assert (parts in sizes) <= (norm != "batch"), "a batch normalisation sees parts"
