"""AP of PASCAL VOC by hand, and against the development kit's algorithm written out."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from thesisbench.errors import UserError
from thesisbench.metrics.voc_ap import voc_ap

EMPTY = {
    "boxes": torch.zeros(0, 4),
    "labels": torch.zeros(0, dtype=torch.long),
    "scores": torch.zeros(0),
}


def squares(places: list[int], labels: list[int] | None = None, **more: Any) -> dict[str, Tensor]:
    """Squares of 10 pixels, 20 apart."""
    left = 20.0 * torch.tensor(places, dtype=torch.float)
    boxes = torch.stack([left, 0 * left, left + 10, 0 * left + 10], 1)
    fields = {name: torch.tensor(value) for name, value in more.items()}
    return {"boxes": boxes, "labels": torch.tensor(labels or [0] * len(places)), **fields}


def test_the_textbook_ranking_by_hand() -> None:
    """Right, wrong, right of 3 objects: precisions 1, 1/2, 2/3 at recalls 1/3, 1/3, 2/3."""
    found = squares([0, 5, 1], scores=[0.9, 0.8, 0.7])
    truth = squares([0, 1, 2])
    area = (1 / 3) * 1 + (1 / 3) * (2 / 3)
    assert voc_ap([found], [truth], points="area") == pytest.approx({0: 100 * area})
    eleven = (4 * 1 + 3 * 2 / 3) / 11  # recalls 0 to 0.3, then 0.4 to 0.6, then none
    assert voc_ap([found], [truth], points="11") == pytest.approx({0: 100 * eleven})


def test_a_second_detection_of_an_object_is_wrong_and_the_better_scored_one_is_right() -> None:
    found = squares([0, 0, 1], scores=[0.9, 0.8, 0.7])
    truth = squares([0, 1])
    assert voc_ap([found], [truth]) == pytest.approx({0: 100 * (0.5 + 0.5 * 2 / 3)})


@pytest.mark.parametrize("field", ["difficult", "crowd"])
def test_difficult_objects_are_not_wanted_and_finding_them_is_not_wrong(field: str) -> None:
    found = squares([0, 0, 1], scores=[0.9, 0.8, 0.7])
    truth = squares([0, 1], **{field: [True, False]})
    assert voc_ap([found], [truth]) == pytest.approx({0: 100})
    only = squares([0], **{field: [True]})
    assert voc_ap([squares([0], scores=[0.9])], [only]) == {}


def test_ranks_are_over_all_images_and_classes_are_apart() -> None:
    first, second = squares([0, 3], [0, 1], scores=[0.4, 0.9]), squares([7], scores=[0.8])
    truths = [squares([0, 3], [0, 1]), EMPTY]
    assert voc_ap([first, second], truths) == pytest.approx({0: 50, 1: 100})


def test_the_iou_of_a_right_detection_is_at_least_the_threshold() -> None:
    half = {**squares([0], scores=[0.9]), "boxes": torch.tensor([[0.0, 0, 10, 5]])}
    assert voc_ap([half], [squares([0])]) == pytest.approx({0: 100})
    assert voc_ap([half], [squares([0])], iou=0.51) == {0: 0}
    # With the last pixels inside, 11 x 6 of 11 x 11.
    assert voc_ap([half], [squares([0])], iou=0.54, inclusive=True) == pytest.approx({0: 100})


def test_nothing_found_and_nothing_there_have_defined_values() -> None:
    assert voc_ap([EMPTY], [squares([0, 1])]) == {0: 0}
    assert voc_ap([EMPTY], [squares([0, 1])], points="11") == {0: 0}
    assert voc_ap([squares([0], scores=[0.9])], [EMPTY]) == {}
    assert voc_ap([], []) == {}


def test_missing_parts_are_no_objects() -> None:
    found, truth = squares([1, 0], scores=[0.9, 0.8]), squares([0, 1], state=[0, 2])
    assert voc_ap([found], [truth]) == pytest.approx({0: 50})


def test_other_points_are_refused() -> None:
    with pytest.raises(UserError, match="valid: 11, area"):
        voc_ap([], [], points="101")  # type: ignore[arg-type]


def slow_iou(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return width * height / (sum(areas) - width * height)


def slow_ap(
    predictions: Any, targets: Any, label: int, points: Literal["11", "area"]
) -> float | None:
    """The algorithm of the kit: rank, match one by one, envelope of the precision."""
    ranked = []
    for i, p in enumerate(predictions):
        for j, k in enumerate(p["labels"].tolist()):
            if k == label:
                ranked.append((float(p["scores"][j]), i, p["boxes"][j].tolist()))
    ranked.sort(key=lambda x: -x[0])
    wanted, taken, curve, right, wrong = 0, set(), [], 0, 0
    for t in targets:
        for k, difficult in zip(t["labels"].tolist(), t["difficult"].tolist(), strict=True):
            wanted += k == label and not difficult
    if not wanted:
        return None
    for _, i, box in ranked:
        t, best, place = targets[i], -1.0, -1
        for j, k in enumerate(t["labels"].tolist()):
            overlap = slow_iou(box, t["boxes"][j].tolist())
            if k == label and overlap > best:
                best, place = overlap, j
        if best >= 0.5 and t["difficult"][place]:
            continue
        if best >= 0.5 and (i, place) not in taken:
            taken.add((i, place))
            right += 1
        else:
            wrong += 1
        curve.append((right / wanted, right / (right + wrong)))
    if points == "11":
        return sum(max([p for r, p in curve if r >= x / 10], default=0) for x in range(11)) / 11
    area, before = 0.0, 0.0
    for place, (recall, _) in enumerate(curve):
        area += (recall - before) * max(p for _, p in curve[place:])
        before = recall
    return area


@pytest.mark.parametrize("points", ["11", "area"])
@pytest.mark.parametrize("seed", range(4))
def test_random_detections_get_the_ap_of_the_kit(seed: int, points: Literal["11", "area"]) -> None:
    g = torch.Generator().manual_seed(seed)

    def some(n: int, **more: Tensor) -> dict[str, Tensor]:
        corner = torch.rand(n, 2, generator=g) * 6
        boxes = torch.cat([corner, corner + 6 + 6 * torch.rand(n, 2, generator=g)], 1)
        return {"boxes": boxes, "labels": torch.randint(0, 3, (n,), generator=g), **more}

    predictions, targets = [], []
    for i in range(20):
        m, n = (4 * i) % 11, (3 * i) % 5
        predictions.append(some(m, scores=torch.rand(m, generator=g)))
        targets.append(some(n, difficult=torch.rand(n, generator=g) < 0.25))
    expected = {k: slow_ap(predictions, targets, k, points) for k in range(3)}
    found = voc_ap(predictions, targets, points=points)
    assert found == pytest.approx({k: 100 * v for k, v in expected.items() if v is not None})
    assert any(0 < value < 100 for value in found.values())
