"""Context curves against one pass a step and object, and what they do with poor detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_detectors import LookupDetector, box_split, module, prediction

from thesisbench.data.shares import Share
from thesisbench.detection.crop_classifier import CropClassifier
from thesisbench.detection.hide import hide_background, hide_foreground
from thesisbench.detection.matching import IoUMatch
from thesisbench.errors import UserError
from thesisbench.methods.kayhan.detector_context.context_curve import ContextCurve
from thesisbench.methods.kayhan.detector_context.context_metrics import Recognised, curve_metrics
from thesisbench.methods.kayhan.detector_context.recognise import recogniser
from thesisbench.step import StepContext
from thesisbench.store.folder import RunFolder

IMAGES = (torch.rand(4, 3, 40, 48, generator=torch.Generator().manual_seed(0)) * 200 + 55).byte()
BOXES = [
    [[4.0, 4, 20, 20], [30.5, 10.25, 44, 30], [0, 0, 48, 40]],
    [],
    [[10.0, 20, 25, 38], [2, 2, 9, 9]],
    [[-5.0, -5, 60, 50]],
]
LABELS = [[0, 1, 2], [], [1, 0], [2]]
CROWD = [[0, 0, 1], [], [0, 0], [0]]
PIXELS = (0, 2, 5, 11, 60)


def data(transform: Any = None, **loading: Any) -> Any:
    split = box_split(IMAGES, BOXES, LABELS, crowd=CROWD)
    more = {} if transform is None else {"transform": transform}
    return module(val=split, loading=loading, **more)


def by_brightness(image: Tensor) -> dict[str, Tensor]:
    """What is found depends on how much can be seen: all, some of the objects, or wrong classes."""
    share = float((image > 0).float().mean())
    boxes = [box for some in BOXES for box in some]
    labels = [label for some in LABELS for label in some]
    count = round(share * 6)
    wrong = share < 0.2
    labels = [(k + wrong) % 3 for k in labels[:count]]
    return prediction(boxes[:count], [0.9] * count, labels)


def one_by_one(detector: Any) -> list[Recognised]:
    """A pass over the data for each step and object."""
    match, found = IoUMatch(0.25), []
    for i in range(len(IMAGES)):
        (image,), (target,) = data().split("val")[(0, i)]
        keep = ~target["crowd"]
        boxes, labels = target["boxes"][keep], target["labels"][keep]

        def right(view: Tensor, box: Tensor, label: Tensor) -> bool:
            (seen,) = detector.detect([view])
            return bool(match(seen, box[None], label[None], view.shape[-2:]))

        pairs = list(zip(boxes, labels, strict=True))
        full = torch.tensor([right(image, b, k) for b, k in pairs], dtype=torch.bool)
        hidden = torch.zeros(2, len(PIXELS), len(pairs), dtype=torch.bool)
        for number, hide in enumerate((hide_background, hide_foreground)):
            for step, p in enumerate(PIXELS):
                for item, (box, label) in enumerate(pairs):
                    (view,) = hide(image, box[None], torch.tensor([p]))
                    hidden[number, step, item] = right(view, box, label)
        found.append(Recognised(hidden, full, labels))
    return found


@pytest.mark.parametrize(("batch", "size"), [(1, 1), (3, 2), (100, 4)])
def test_sharing_changes_no_answer_whatever_the_batches(batch: int, size: int) -> None:
    detector, plain = LookupDetector(by_brightness), LookupDetector(by_brightness)
    curve = ContextCurve(pixels=PIXELS, batch=batch, pictures=0)
    found, expected = curve.measure(detector, data(batch_size=size)), one_by_one(plain)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a.hidden, b.hidden)
        assert torch.equal(a.full, b.full)
        assert torch.equal(a.labels, b.labels)
    answers = torch.cat([x.hidden.flatten() for x in expected])
    assert answers.any()
    assert not answers.all()
    assert detector.seen < plain.seen
    if batch == 100:
        assert detector.calls == 1 + 2 * 2 + 1, (
            "all whole images; two modes of two; one mode of one"
        )


def test_metrics_by_hand() -> None:
    found = [
        Recognised(
            torch.tensor([[[True, False], [True, True]], [[False, False], [False, True]]]),
            torch.tensor([True, True]),
            torch.tensor([0, 1]),
        ),
        Recognised(
            torch.tensor([[[True], [True]], [[True], [False]]]),
            torch.tensor([False]),
            torch.tensor([1]),
        ),
    ]
    metrics, extremes = curve_metrics(found, [0, 7], ["a", "b", "c"])
    third = 100 / 3
    expected = {"full": 2 * third, "full_a": 100, "full_b": 50}
    expected |= {"bg_0": 2 * third, "bg_7": 100, "fg_0": third, "fg_7": third}
    expected |= {"bg_0_minus_full_a": 0, "bg_0_minus_full_b": 0}
    expected |= {"fg_0_minus_full_a": -100, "fg_0_minus_full_b": 0}
    expected |= {"fg_0_minus_full_best_1": 0, "fg_0_minus_full_best_2": -100}
    expected |= {"fg_0_minus_full_worst_1": -100, "fg_0_minus_full_worst_2": 0}
    expected |= {f"bg_0_minus_full_{x}_{i}": 0 for x in ("best", "worst") for i in (1, 2)}
    assert metrics == pytest.approx(expected)
    assert extremes["fg_0_minus_full"] == {"best": ["b", "a"], "worst": ["a", "b"]}


def evaluated(tmp_path: Path, test: ContextCurve, network: Any) -> tuple[Any, dict[str, float]]:
    context = StepContext(config={}, folder=RunFolder(tmp_path), attempt=tmp_path / "a")
    context.fitted = lambda name="weights": network  # type: ignore[method-assign]
    context.fitted_dataset = lambda name="weights": data()  # type: ignore[method-assign]
    return context, test(context)


def test_a_step_keeps_answers_pictures_and_the_names_of_extreme_classes(tmp_path: Path) -> None:
    network = LookupDetector(by_brightness)
    context, metrics = evaluated(tmp_path, ContextCurve(pixels=PIXELS), network)
    found = one_by_one(network)
    for number, mode in enumerate(("bg", "fg")):
        for step, p in enumerate(PIXELS):
            right = torch.cat([x.hidden[number, step] for x in found]).double()
            assert metrics[f"{mode}_{p}"] == pytest.approx(100 * float(right.mean()))
    assert metrics["bg_60"] == metrics["fg_60"] == metrics["full"]
    rows = np.load(tmp_path / "predictions/val_recognised.npy")
    assert rows.shape == (5, 2 + 2 * len(PIXELS)), "of six objects one is a crowd"
    assert rows[:, 0].tolist() == [0, 1, 1, 0, 2]
    assert context.result.facts["evaluated"] == {"val": {"on": 4, "of": 4}}
    assert set(context.result.facts["extreme_classes"]) == {"bg_0_minus_full", "fg_0_minus_full"}
    names = sorted(p.name for p in (tmp_path / "pictures").iterdir())
    assert names == [f"val_{i}_{mode}.png" for i in (0, 2) for mode in ("bg", "fg")]


def test_a_detector_that_returns_nothing_and_images_without_objects(tmp_path: Path) -> None:
    nothing = LookupDetector(lambda image: prediction())
    _, metrics = evaluated(tmp_path, ContextCurve(pixels=PIXELS, pictures=1), nothing)
    assert metrics["full"] == 0
    assert all(value == 0 for value in metrics.values())
    bare = module(val=box_split(IMAGES[:3], [[], [], []], [[], [], []]))
    found = ContextCurve(pixels=PIXELS).measure(nothing, bare)
    assert curve_metrics(found, PIXELS, ["a"]) == ({}, {})


def test_shares_of_two_processes_are_the_whole() -> None:
    curve = ContextCurve(pixels=PIXELS)
    network = LookupDetector(by_brightness)
    whole = curve.measure(network, data(batch_size=4))
    import thesisbench.tasks.over_boxes as room

    original = room.gather_items
    try:
        room.gather_items = lambda items, *_: items
        parts = [curve.measure(network, data(batch_size=4, share=Share(r, 2))) for r in range(2)]
    finally:
        room.gather_items = original
    for a, b in zip(parts[0] + parts[1], whole, strict=True):
        assert torch.equal(a.hidden, b.hidden)


def test_pixels_are_those_of_the_original_image() -> None:
    def doubled(image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        large = (image.float() / 255).repeat_interleave(2, 1).repeat_interleave(2, 2)
        factor = {"scale": torch.tensor([2.0, 2.0]), "boxes": 2 * target["boxes"]}
        return large, {**target, **factor}

    seen: dict[int, list[float]] = {1: [], 2: []}

    def network(factor: int) -> LookupDetector:
        def finds(image: Tensor) -> dict[str, Tensor]:
            seen[factor].append(float((image > 0).float().mean()))
            return prediction()

        return LookupDetector(finds)

    whole = [[[4.0, 4, 20, 20]], [], [], []]
    for factor, transform in ((1, None), (2, doubled)):
        split = box_split(IMAGES, whole, [[0], [], [], []])
        more = {} if transform is None else {"transform": transform}
        ContextCurve(pixels=(0, 3, 6)).measure(network(factor), module(val=split, **more))
    assert seen[1] == seen[2]
    assert pytest.approx(16 * 16 / (40 * 48)) in seen[1]


class Classifier(nn.Module):
    """Crops by the box and says class 0 for dark, 1 for middling and 2 for light crops."""

    def classify(self, images: list[Tensor], boxes: list[Tensor]) -> list[Tensor]:
        return [self.of_image(*pair) for pair in zip(images, boxes, strict=True)]

    def of_image(self, image: Tensor, boxes: Tensor) -> Tensor:
        rows = []
        for x1, y1, x2, y2 in boxes.round().int().tolist():
            mean = image[:, max(0, y1) : y2, max(0, x1) : x2].mean()
            rows.append(torch.stack([mean < 0.3, (mean >= 0.3) & (mean < 0.5), mean >= 0.5]))
        return torch.stack(rows).float() if rows else torch.zeros(0, 3)


def test_a_classifier_of_crops_is_flat_without_background_and_blind_without_the_object() -> None:
    curve = ContextCurve(pixels=PIXELS, match="crop")
    found = curve.measure(Classifier(), data(batch_size=3))
    full = torch.cat([x.full for x in found])
    assert full.tolist() == [label == 2 for label in [0, 1, 1, 0, 2]], "all crops are light"
    for one in found:
        assert torch.equal(one.hidden[0], one.full.expand(len(PIXELS), -1))
        black = one.labels == 0
        assert torch.equal(one.hidden[1, 0], black), "a black box is the class of darkness"
        assert torch.equal(one.hidden[1, -1], one.full)


def test_cells_are_asked_of_the_detector_where_it_knows_them() -> None:
    class Yolo(LookupDetector):
        def cells_of(self, boxes: Tensor, size: Any, grids: Tensor) -> Tensor:
            asked.append(tuple(size))
            return grids[:, None].expand(-1, 2)

    asked: list[Any] = []
    cell = {**prediction([[0, 0, 1, 1]], [0.9], [1]), "cells": torch.tensor([[2, 2, 2]])}
    recognise = recogniser(Yolo(lambda image: cell), match="cell")
    box, label = torch.tensor([[5.0, 5, 9, 9]]), torch.tensor([1])
    assert recognise([torch.zeros(3, 8, 9)], [box], [label])[0].tolist() == [True]
    assert asked == [(8, 9)]
    plain = recogniser(LookupDetector(lambda image: cell), match="cell", strides=[4, 8, 2])
    assert plain([torch.zeros(3, 8, 9)], [box], [label])[0].tolist() == [False]
    near = torch.tensor([[4.0, 4, 5, 5]])
    assert plain([torch.zeros(3, 8, 9)], [near], [label])[0].tolist() == [True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"match": "box"}, "unknown match 'box'; valid: cell, crop, iou"),
        ({"pixels": [5, 0]}, "pixels must rise from 0"),
        ({"pixels": []}, "pixels must rise from 0"),
        ({"pixels": [-1, 0]}, "pixels must rise from 0"),
        ({"batch": 0}, "batch be at least 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ContextCurve(**settings)


@pytest.mark.parametrize(("match", "word"), [("iou", "detect"), ("crop", "classify")])
def test_a_network_that_cannot_be_asked_is_refused(match: str, word: str) -> None:
    with pytest.raises(UserError, match=f"needs a detector with `{word}`"):
        ContextCurve(match=match).measure(nn.Linear(1, 1), data())


def test_the_classifier_of_crops_sees_the_same_under_every_background() -> None:
    """The real one, to the bit: views of any number of pixels give its crops the same pixels."""
    network = CropClassifier(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3)), classes=3, side=8)
    (images, targets) = data().split("val").__getitems__([(0, 0), (0, 3)])
    for image, target in zip(images, targets, strict=True):
        boxes = target["boxes"]
        (whole,) = network.classify([image], [boxes])
        for p in PIXELS:
            views = hide_background(image, boxes, torch.full((len(boxes),), p))
            crops = [network.crop(view, box) for view, box in zip(views, boxes, strict=True)]
            assert all(
                torch.equal(crop, network.crop(image, box))
                for crop, box in zip(crops, boxes, strict=True)
            )
        assert whole.shape == (len(boxes), 3)
