"""Training of detectors and of the multi-label network: losses, modes, and whole fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_boxes import option, squares, target, tiny
from torch import Tensor, nn
from toy_runs import toy_config, toy_folder

from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.detection.multi_label import MultiLabelNet
from thesisbench.errors import UserError
from thesisbench.launch.jobs import DONE, FAILED
from thesisbench.run import run_folder
from thesisbench.step import NeededRun, StepContext
from thesisbench.tasks.detection import DetectionTask, check_classes
from thesisbench.tasks.multi_label import MultiLabelTask


def logged(task: Any) -> dict[str, float]:
    """Takes the place of the task's log and fills as it logs."""
    found: dict[str, float] = {}

    def log(values: dict[str, Tensor], size: int) -> None:
        assert size == 2
        found.update({name: float(value) for name, value in values.items()})

    task.log_means = log
    return found


@pytest.mark.parametrize("kind", ["tiny_faster_rcnn", "tiny_retinanet", "tiny_yolov3"])
def test_the_loss_is_the_sum_of_the_detectors(kind: str) -> None:
    task = DetectionTask(tiny(kind))
    found = logged(task)
    torch.manual_seed(4)
    loss = task.training_step(squares(), 0)
    torch.manual_seed(4)
    wanted = {f"train_{k}": float(v.detach()) for k, v in task.network.losses(*squares()).items()}
    total = found.pop("train_loss")
    assert found == pytest.approx(wanted, rel=1e-4)
    assert total == pytest.approx(sum(wanted.values()), rel=1e-4)
    assert float(loss.detach()) == total
    loss.backward()


def test_validation_logs_the_losses_and_changes_nothing() -> None:
    task = DetectionTask(tiny("tiny_yolov3")).eval()
    before = {n: v.clone() for n, v in task.state_dict().items()}
    found = logged(task)
    with torch.no_grad():
        task.validation_step(squares(), 0)
    assert set(found) == {"val_loss", "val_loss_box", "val_loss_objectness", "val_loss_class"}
    assert all(torch.equal(v, before[n]) for n, v in task.state_dict().items())
    assert [len(one["boxes"]) for one in task(*squares()[0])] == [0, 0]


class Costly(SmallResNet):
    """A backbone with a loss of its own."""

    def extra_losses(self) -> dict[str, Tensor]:
        return {"weight": self.fc.weight.square().mean()}


def test_layers_add_their_losses_in_training_only() -> None:
    network = MultiLabelNet(Costly(classes=3), classes=3, side=None)
    plain = MultiLabelNet(network.network, classes=3, side=None)
    own = network.network.fc.weight.detach().square().mean()
    task = MultiLabelTask(network).eval()
    found = logged(task)
    loss = task.training_step(squares(), 0)
    assert found["train_weight"] == pytest.approx(float(own))
    plain_task = MultiLabelTask(plain).eval()
    logged(plain_task)
    difference = loss.detach() - plain_task.measure(squares(), "train").detach()
    torch.testing.assert_close(difference, own)


def test_the_multi_label_loss_by_hand() -> None:
    network = MultiLabelNet(nn.Flatten(), classes=12, side=2)
    with torch.no_grad():
        network.mean.zero_()
        network.std.fill_(1.0)
    images = [torch.zeros(3, 2, 2), torch.full((3, 2, 2), 2.0)]
    targets = [target([[0, 0, 1, 1]] * 2, [0, 5]), target([], [])]
    task = MultiLabelTask(nn.ModuleList([network])[0])
    found = logged(task)
    task.network.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    task.training_step((images, targets), 0)
    p = float(torch.tensor(2.0).sigmoid())
    zeros, twos = float(torch.tensor(2.0).log()), -float(torch.tensor(1 - p).log())
    assert found["train_loss"] == pytest.approx((12 * zeros + 12 * twos) / 24, rel=1e-5)
    assert found["train_class_accuracy"] == pytest.approx(100 * 10 / 24)


def test_networks_of_other_tasks_are_refused() -> None:
    with pytest.raises(UserError, match=r"SmallResNet is no detector: .*detector=NAME"):
        DetectionTask(SmallResNet())
    with pytest.raises(UserError, match="needs detector=multi_label"):
        MultiLabelTask(SmallResNet())


def test_losses_that_are_not_finite_come_out_as_they_are() -> None:
    """The fit's own callback ends it as diverged; nothing fails before."""
    for kind in ("tiny_faster_rcnn", "tiny_retinanet", "tiny_yolov3"):
        task = DetectionTask(tiny(kind))
        logged(task)
        with torch.no_grad():
            next(task.network.varied.parameters()).fill_(float("nan"))
        loss = task.training_step(squares(), 0)
        assert not torch.isfinite(loss.detach()), kind
        assert all(len(one["boxes"]) == 0 for one in task.network.detect(squares()[0]))


def test_only_the_multi_label_task_is_free_of_the_batch() -> None:
    assert MultiLabelTask.batch_free
    assert MultiLabelNet.batch_free
    assert not DetectionTask.batch_free


def fit(root: Path, run_id: str, detector: str, task: str, classes: int = 10) -> Any:
    """Executes a fit of one epoch on eight drawn bicycles; its folder and configuration."""
    bikes = option("dataset", "procedural_bikes")
    counts = {"data_seed": 1000, "n_train": 8, "n_val": 3, "n_test": 3}
    small = {"channels": 16} if detector != "multi_label" else {"side": 32}
    config = toy_config(
        dataset={**bikes, "splits": {**bikes["splits"], **counts}},
        backbone=option("backbone", "resnet8", classes=classes),
        detector=option("detector", detector, classes=classes, **small),
        variants={"norm": option("norm", "group", groups=8)},
        task=option("task", task),
        optimizer={**option("optimizer", "sgd"), "lr": 0.01},
        schedule={"epochs": 1, "batch_size": 4, "monitor": "val_loss"},
    )
    folder = toy_folder(root, run_id, config)
    return run_folder(folder.path), folder, config


def fitted(root: Path, run_id: str, detector: str, task: str) -> Any:
    """The context of an evaluation of such a fit, and the record of the fit."""
    code, folder, config = fit(root, run_id, detector, task)
    assert code == DONE, folder.state().message
    record = folder.read_record()
    needed = NeededRun(folder, {"config": config}, record)
    return StepContext(
        config={"kind": "eval"}, folder=folder, attempt=root, needs={"weights": (needed,)}
    ), record


@pytest.mark.parametrize(
    ("detector", "task", "loss"),
    [
        ("tiny_retinanet", "detection", "val_classification"),
        ("multi_label", "multi_label", "val_class_accuracy"),
    ],
)
def test_a_fit_is_kept_described_and_evaluated(
    tmp_path: Path, detector: str, task: str, loss: str
) -> None:
    context, record = fitted(tmp_path, "run", detector, task)
    metrics = record["result"]["metrics"]
    assert record["result"]["outcome"] == "ok"
    assert {"train_loss", "val_loss", loss} <= set(metrics)
    facts = record["provenance"]["facts"]
    assert facts["replaced"] == {"norm": 9}
    assert facts["flops_per_sample"] > 1e6
    network, data = context.fitted(), context.fitted_dataset()
    images, targets = next(iter(data.loader("test")))
    if detector == "multi_label":
        assert network(*images).shape == (len(targets), 10)
    else:
        found = network.detect(images, score_threshold=0.0)
        assert [len(one["boxes"]) for one in found] == [100] * len(images)
    _, second = fitted(tmp_path, "again", detector, task)
    assert second["result"] == record["result"], "bit by bit"


@pytest.mark.parametrize(
    ("detector", "task"), [("tiny_retinanet", "detection"), ("multi_label", "multi_label")]
)
def test_data_of_other_classes_are_refused(tmp_path: Path, detector: str, task: str) -> None:
    code, folder, _ = fit(tmp_path, "run", detector, task, classes=7)
    assert code == FAILED
    text = "the data have 10 classes, the detector 7; set detector.classes=10"
    assert text in folder.state().message


def test_a_detector_of_any_object_takes_data_of_any_classes() -> None:
    bikes = type("Bikes", (), {"classes": ("bell", "chain")})
    check_classes(tiny("rpn"), bikes)
    check_classes(tiny("tiny_yolov3"), object())
    with pytest.raises(UserError, match="2 classes, the detector 3"):
        check_classes(tiny("tiny_yolov3"), bikes)
