"""What every kind of detector does: images without objects, crowds, modes, batches, training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_boxes import KINDS, squares, target, tiny
from torch import Tensor
from torchvision.ops import box_iou

from thesisbench.detection.detector import evaluating, same_draws, suppress, trained_on
from thesisbench.layers.norms import norm_layers

ALL = list(KINDS)


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def numbers(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in losses.items()}


def test_only_objects_that_can_be_seen_train() -> None:
    one = target(
        [[0, 0, 4, 4], [1, 1, 5, 5], [2, 2, 6, 6], [3, 3, 7, 7], [4, 4, 4, 8], [5, 5, 9, 9]],
        [0, 1, 2, 3, 4, 5],
        crowd=[False, True, False, False, False, False],
        difficult=[False, False, True, False, False, False],
        state=[0, 0, 0, 2, 0, 1],
        masks=torch.eye(6, 9, dtype=torch.bool)[:, None].expand(6, 9, 9),
        number=3,
    )
    found = trained_on(one)
    assert set(found) == {"boxes", "labels", "masks"}
    assert found["labels"].tolist() == [0, 5], "left out: crowd, difficult, absent, without area"
    assert torch.equal(found["masks"], one["masks"][[0, 5]])


@pytest.mark.parametrize("kind", ALL)
def test_crowds_change_nothing(kind: str) -> None:
    images, targets = squares()
    first = targets[0]
    more = {
        "boxes": torch.cat([first["boxes"], torch.tensor([[0.0, 0, 60, 60], [9, 9, 9, 9]])]),
        "labels": torch.cat([first["labels"], torch.tensor([2, 1])]),
        "crowd": torch.tensor([False, False, True, False]),
        "masks": torch.cat([first["masks"], first["masks"]]),
    }
    network = tiny(kind).eval()
    assert numbers(network.losses(images, targets)) == numbers(
        network.losses(images, [more, targets[1]])
    )


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("empty", ["one", "all"])
def test_images_without_objects_train(kind: str, empty: str) -> None:
    images, targets = squares()
    nothing = target([], [], masks=torch.zeros(0, 64, 64, dtype=torch.bool))
    network = tiny(kind)
    losses = network.losses(images, [targets[0], nothing] if empty == "one" else [nothing] * 2)
    total(losses).backward()
    assert all(torch.isfinite(value.detach()) for value in losses.values())
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(torch.isfinite(g).all() for g in gradients)
    assert sum(float(g.abs().sum()) for g in gradients) > 0


@pytest.mark.parametrize("kind", ALL)
def test_a_detector_that_finds_nothing_gives_empty_tensors(kind: str) -> None:
    network = tiny(kind)
    for one in network.detect(squares()[0], score_threshold=1.1):
        assert one["boxes"].shape == (0, 4)
        assert one["scores"].shape == one["labels"].shape == (0,)
        assert one["labels"].dtype == torch.int64
    assert network.detect([]) == []


@pytest.mark.parametrize("kind", ALL)
def test_detections_of_a_batch_are_those_of_each_image(kind: str) -> None:
    torch.manual_seed(3)
    images = [torch.rand(3, 64, 64) for _ in range(3)]
    network = tiny(kind, **({} if kind == "rpn" else {"score_threshold": 0.001}))
    with torch.no_grad():  # statistics of its own, and scores that differ
        for _ in range(3):
            network.varied(torch.rand(4, 3, 64, 64))
    together = network.detect(images)
    for image, found in zip(images, together, strict=True):
        (alone,) = network.detect([image])
        assert len(found["boxes"]) > 0
        assert set(found) == set(alone)
        for name, value in alone.items():
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ALL)
def test_losses_in_evaluation_mode_change_nothing_and_are_the_same_again(kind: str) -> None:
    network = tiny(kind).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (numbers(network.losses(*squares())) for _ in range(2))
    assert first == second
    assert torch.equal(torch.rand(1), expected), "no random number was used up"
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module.training for module in network.modules())
    network.train().losses(*squares())
    changed = [n for n, v in network.state_dict().items() if not torch.equal(v, before[n])]
    assert any("running_mean" in name for name in changed), "in training they are updated"


@pytest.mark.parametrize("kind", ALL)
def test_detecting_leaves_the_mode_as_it_was(kind: str) -> None:
    network = tiny(kind)
    next(iter(norm_layers(network).values())).eval()
    modes = [module.training for module in network.modules()]
    found = network.detect(squares()[0])
    assert [module.training for module in network.modules()] == modes
    again = network(*squares()[0])
    assert all(torch.equal(a["boxes"], b["boxes"]) for a, b in zip(found, again, strict=True))


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("tiny_faster_rcnn", 50),
        ("tiny_yolov3", 50),
        ("tiny_retinanet", 50),
        pytest.param("rpn", 60, marks=pytest.mark.slow),
    ],
)
def test_a_small_detector_learns_two_images(kind: str, steps: int) -> None:
    images, targets = squares()
    network = tiny(kind)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.004)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    torch.manual_seed(0)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = total(network.losses(images, targets))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        falling.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 3
    for image, wanted in zip(images, targets, strict=True):
        (found,) = network.detect([image])
        for box, label in zip(wanted["boxes"], wanted["labels"], strict=True):
            mine = found["boxes"][found["labels"] == label][:1]
            overlap = box_iou(box[None], found["boxes"][:10] if kind == "rpn" else mine)
            assert float(overlap.max()) > 0.5, "the best detection of its class is the object"


def test_worse_boxes_of_a_class_go_where_they_overlap() -> None:
    found: dict[str, Any] = {
        "boxes": torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9], [20, 0, 30, 10]]),
        "scores": torch.tensor([0.5, 0.9, 0.7, 0.6]),
        "labels": torch.tensor([0, 0, 1, 0]),
        "cells": torch.arange(4),
    }
    kept = suppress(found, overlap=0.5, limit=10)
    assert kept["cells"].tolist() == [1, 2, 3], "the first overlaps a better one of its class"
    assert suppress(found, overlap=0.5, limit=2)["cells"].tolist() == [1, 2]


def test_draws_are_the_same_and_leave_no_trace() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with same_draws(torch.device("cpu")):
        first = torch.rand(1)
    with same_draws(torch.device("cpu")):
        assert torch.equal(first, torch.rand(1))
    assert torch.equal(torch.rand(2), expected)


def test_modes_come_back_when_something_fails() -> None:
    network = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.ReLU())
    network[1].eval()

    def fail() -> None:
        with evaluating(network):
            raise ValueError(f"in training: {network[0].training}")

    with pytest.raises(ValueError, match="in training: False"):
        fail()
    assert [m.training for m in network] == [True, False]
