"""The matching task: its loss, its learning rate, and fits with their evaluation, end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from toy_runs import Children, Kill, toy_config, toy_folder

from thesisbench.data.arrays import Loading
from thesisbench.data.patch_pairs import PatchPairsModule
from thesisbench.data.stand_ins.warped_patches import warped_patches_splits
from thesisbench.launch.jobs import DONE
from thesisbench.methods.kayhan.full_conv.corner_net import CornerNet
from thesisbench.metrics.fpr_at_recall import fpr_at_recall
from thesisbench.ops.triplet import hardest_triplet_loss
from thesisbench.run import run_folder
from thesisbench.store.folder import RunFolder
from thesisbench.tasks.matching import MatchingTask, PairDistance
from thesisbench.training.fit import quiet_lightning

TASK = {"_target_": "thesisbench.tasks.matching.MatchingTask", "_partial_": True}
SPLITS = {"train_set": 2, "data_seed": 1, "n_triplets": 40, "n_points": 20, "n_test": 50}
DATA: dict[str, Any] = {
    "_target_": "thesisbench.data.patch_pairs.PatchPairsModule",
    "name": "warped_textures",
    "splits": {
        "_target_": "thesisbench.data.stand_ins.warped_patches.warped_patches_splits",
        "_partial_": True,
        **SPLITS,
    },
    "transform": {"_target_": "thesisbench.data.patch_pairs.flip_and_turn", "_partial_": True},
}
FPR = {"_target_": "thesisbench.tasks.matching.FprAtRecall", "splits": ["test_a", "test_b"]}
NET = {"_target_": "thesisbench.methods.kayhan.full_conv.corner_net.CornerNet", "filters": 8}


def config(**changes: Any) -> dict[str, Any]:
    schedule = {"epochs": 3, "batch_size": 16, "select": "last", **changes.pop("schedule", {})}
    return toy_config(schedule=schedule, task=TASK, dataset=DATA, backbone=NET, **changes)


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = toy_folder(tmp_path_factory.mktemp("runs"), "fit", config())
    assert run_folder(folder.path) == DONE, folder.read_state()
    return folder


def patches_of(pairs: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(2 * pairs, 1, 2, 2, generator=torch.Generator().manual_seed(seed))


class Flat(nn.Module):
    """Patches to vectors that are not of length 1."""

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return 3 * patches.flatten(1)


def test_the_loss_is_that_of_the_two_patches_of_each_pair() -> None:
    task = MatchingTask(Flat(), margin=0.7, anchor_swap=False)
    said: dict[str, float] = {}
    task.log_means = lambda values, size: said.update({**values, "n": size})  # type: ignore[method-assign,assignment]
    patches, points = patches_of(5), torch.tensor([0, 1, 2, 1, 4])
    loss = task.training_step(((patches,), points), 0)
    unit = F.normalize(patches.flatten(1))
    expected = hardest_triplet_loss(unit[::2], unit[1::2], points, margin=0.7, anchor_swap=False)
    torch.testing.assert_close(loss, expected)
    assert float(hardest_triplet_loss(unit[::2], unit[1::2], points)) != float(loss)
    assert said == {"train_loss": pytest.approx(float(loss)), "n": 5}
    task.validation_step(((patches,), points), 0)
    assert said["val_loss"] == said["train_loss"]


def test_pair_distances_are_those_of_unit_descriptors() -> None:
    patches = patches_of(4)
    patches[3] = patches[2]
    distances = PairDistance(Flat())(patches)
    for i in range(4):
        a, b = (patches[2 * i + k].flatten().numpy() for k in (0, 1))
        slow = np.linalg.norm(a / np.linalg.norm(a) - b / np.linalg.norm(b))
        assert float(distances[i]) == pytest.approx(slow, abs=1e-6)
    assert float(distances[1]) == 0.0


class Rates(Callback):
    """Notes the learning rate of every step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, batch_index: int
    ) -> None:
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def rates(**arguments: Any) -> list[float]:
    """Learning rates of 2 epochs of 3 steps."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(1024, 4))
    task = MatchingTask(net, optimizer=lambda p: torch.optim.SGD(p, lr=10.0), **arguments)
    data = PatchPairsModule("p", lambda: warped_patches_splits(**{**SPLITS, "n_triplets": 12}))
    data.loading = Loading(batch_size=4)
    noted = Rates()
    fixed = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
             "enable_model_summary": False, "accelerator": "cpu"}  # fmt: skip
    with quiet_lightning():
        Trainer(max_epochs=2, callbacks=[noted], **fixed).fit(task, datamodule=data)  # type: ignore[arg-type]
    return noted.seen


def test_the_learning_rate_falls_linearly_to_zero_step_by_step() -> None:
    assert rates() == pytest.approx([10 * (1 - k / 6) for k in range(6)])
    assert rates(linear_decay=False) == [10.0] * 6


def test_a_schedule_takes_the_place_of_the_linear_decay() -> None:
    def halve(optimizer: torch.optim.Optimizer) -> Any:
        return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    assert rates(scheduler=halve) == pytest.approx([10.0] * 3 + [5.0] * 3)


def evaluation(fit: RunFolder, name: str, **changes: Any) -> dict[str, Any]:
    eval_ = {"kind": "eval", "seed": 3, "evaluation": FPR} | changes
    folder = toy_folder(fit.path.parent, name, eval_, weights=[fit.id])
    assert run_folder(folder.path) == DONE, folder.read_state()
    record = folder.read_record()
    assert record is not None
    return record


def test_the_evaluation_is_the_rate_of_slowly_computed_distances(fit: RunFolder) -> None:
    record = evaluation(fit, "slow")
    made = fit.read_record()
    assert made is not None
    network = CornerNet(filters=8).eval()
    state = torch.load(fit.path / made["provenance"]["facts"]["weights"], weights_only=True)
    network.load_state_dict({k.removeprefix("network."): v for k, v in state.items()})
    metrics = record["result"]["metrics"]
    for name, (patches, pairs) in warped_patches_splits(**SPLITS).items():
        if name == "train":
            continue
        with torch.no_grad():
            unit = [F.normalize(network(patch[None]))[0] for patch in patches]
        slow = torch.tensor([float((unit[a] - unit[b]).norm()) for a, b, _ in pairs.tolist()])
        saved = np.load(fit.path.parent / "slow" / "predictions" / f"{name}.npy")
        np.testing.assert_allclose(saved, slow.numpy(), atol=1e-5)
        rate = fpr_at_recall(torch.from_numpy(saved), pairs[:, 2])
        assert metrics[f"fpr95_{name}"] == rate
    assert metrics["fpr95"] == (metrics["fpr95_test_a"] + metrics["fpr95_test_b"]) / 2
    assert 0 < metrics["fpr95"] <= 1
    facts = record["provenance"]["facts"]
    assert facts["evaluated"] == {name: {"on": 50, "of": 50} for name in ("test_a", "test_b")}


def test_another_recall_names_its_metric(fit: RunFolder) -> None:
    half = evaluation(fit, "half", evaluation={**FPR, "recall": 0.5})["result"]["metrics"]
    assert set(half) == {"fpr50", "fpr50_test_a", "fpr50_test_b"}
    assert half["fpr50"] < evaluation(fit, "most")["result"]["metrics"]["fpr95"]


def test_the_record_of_a_fit_counts_pairs(fit: RunFolder) -> None:
    record = fit.read_record()
    assert record is not None
    facts = record["provenance"]["facts"]
    assert facts["data"]["splits"]["train"]["count"] == 40
    per_patch = 2 * 32 * 32 * 25 * 8 + 2 * 8 * 2
    assert facts["flops_per_sample"] == 2 * per_patch, "a sample is a pair"


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    changes = {"schedule": {"epochs": 12}, "optimizer": {**config()["optimizer"], "lr": 1.0}}
    folder = toy_folder(tmp_path, "fit", config(**changes))
    assert run_folder(folder.path) == DONE, folder.read_state()
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["train_loss"] for line in lines]
    assert losses[-1] < losses[0] - 0.02, losses


@pytest.mark.slow
def test_a_fit_that_was_killed_resumes_bit_by_bit(fit: RunFolder, tmp_path: Path) -> None:
    begin = "thesisbench.training.randomness:SeedEachEpoch.on_train_batch_start"
    again = toy_folder(tmp_path, "fit", config())
    children = Children()
    assert children.execute(again.path, Kill(begin, 5)) == -9, again.log_file.read_text()
    assert children.execute(again.path) == 0, again.log_file.read_text()
    whole, resumed = fit.read_record(), again.read_record()
    assert whole is not None
    assert resumed is not None
    assert resumed["result"] == whole["result"]
