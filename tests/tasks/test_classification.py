"""The classification task: its loss and accuracy, hand-computed, and what it gives to Lightning."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from thesisbench.tasks.classification import ClassificationTask, top1


def slow_loss(logits: torch.Tensor, labels: torch.Tensor, smoothing: float) -> float:
    """Mean over samples of the cross-entropy with smoothed targets, term by term."""
    total, classes = 0.0, logits.shape[1]
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        norm = math.log(sum(math.exp(x) for x in row))
        for k, x in enumerate(row):
            target = smoothing / classes + (1 - smoothing) * (k == label)
            total -= target * (x - norm)
    return total / len(labels)


def logged(task: ClassificationTask) -> dict[str, float]:
    """Makes the task tell what it logs."""
    said: dict[str, float] = {}

    def log_dict(values: dict[str, torch.Tensor], **how: Any) -> None:
        assert how == {"on_step": False, "on_epoch": True, "batch_size": 5, "sync_dist": False}
        said.update({name: float(value) for name, value in values.items()})

    task.log_dict = log_dict  # type: ignore[assignment,method-assign]
    return said


def batch() -> Any:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(5, 3, generator=generator)
    return (inputs,), torch.tensor([0, 1, 2, 2, 0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_and_accuracy_equal_a_slow_reference(smoothing: float) -> None:
    (inputs,), labels = batch()
    task = ClassificationTask(nn.Identity(), label_smoothing=smoothing)
    said = logged(task)
    loss = task.training_step(((inputs,), labels), 0)
    right = sum(int(row.argmax() == label) for row, label in zip(inputs, labels, strict=True))
    assert float(loss) == pytest.approx(slow_loss(inputs, labels, smoothing), rel=1e-5)
    assert said == {
        "train_loss": pytest.approx(float(loss)),
        "train_top1": pytest.approx(100 * right / 5),
    }
    said.clear()
    task.validation_step(((inputs,), labels), 0)
    assert set(said) == {"val_loss", "val_top1"}


def test_top1_is_a_percentage() -> None:
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0], [5.0, 4.0]])
    assert float(top1(logits, torch.tensor([0, 1, 1, 1]))) == 50.0


def test_a_network_of_several_inputs_gets_them_all() -> None:
    class Sum(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a + b

    task = ClassificationTask(Sum())
    assert torch.equal(task(torch.ones(2, 2), torch.ones(2, 2)), torch.full((2, 2), 2.0))


def test_the_gradient_reaches_the_network_but_not_what_is_logged() -> None:
    network = nn.Linear(3, 3)
    task = ClassificationTask(network)
    kept: list[torch.Tensor] = []
    task.log_dict = lambda values, **_: kept.extend(values.values())  # type: ignore[assignment,method-assign]
    task.training_step(batch(), 0).backward()
    assert network.weight.grad is not None
    assert float(network.weight.grad.abs().sum()) > 0
    assert [value.requires_grad for value in kept] == [False, False]


def test_optimiser_and_schedule_are_made_from_the_networks_parameters() -> None:
    network = nn.Linear(3, 3)
    task = ClassificationTask(network, optimizer=lambda p: torch.optim.SGD(p, lr=0.5))
    optimizer = task.configure_optimizers()
    assert optimizer.param_groups[0]["params"] == list(network.parameters())
    scheduled = ClassificationTask(
        network,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.5),
        scheduler=lambda o: torch.optim.lr_scheduler.StepLR(o, 2),
    ).configure_optimizers()
    assert scheduled["lr_scheduler"].optimizer is scheduled["optimizer"]


def test_without_an_optimiser_it_cannot_be_trained() -> None:
    with pytest.raises(AssertionError, match="without an optimiser"):
        ClassificationTask(nn.Linear(3, 3)).configure_optimizers()
