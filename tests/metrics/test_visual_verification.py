"""F_vv from its equation, the printed table, invariants of the recalls, and a loop over parts."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from thesisbench.errors import UserError
from thesisbench.metrics.part_overlaps import overlaps
from thesisbench.metrics.visual_verification import (
    at_random_places,
    f_vv,
    missing_recall_curve,
    usual_place_chance,
    verified,
    visual_verification,
)

PRINTED = [  # Table 4.1: R_P, R_M, F_vv
    (0.83, 0.28, 0.72),
    (0.90, 0.62, 0.38),
    (0.83, 0.64, 0.36),
    (0.92, 0.32, 0.68),
    (0.99, 0.79, 0.21),
    (0.95, 0.77, 0.23),
    (0.91, 0.32, 0.68),
]


@pytest.mark.parametrize(("r_p", "r_m", "printed"), PRINTED)
def test_every_printed_f_vv_follows_from_the_printed_recalls(
    r_p: float, r_m: float, printed: float
) -> None:
    assert f_vv(r_p, r_m) == pytest.approx(printed, abs=0.005)


def test_limits_of_equation_4_1() -> None:
    assert f_vv(0.7, 0.4, beta=0) == pytest.approx(0.6)
    assert f_vv(0.7, 0.4, beta=1e6) == pytest.approx(0.7)
    assert f_vv(1, 0) == pytest.approx(1)
    assert f_vv(0.9, 1) == 0
    assert f_vv(0, 0.3) == 0
    assert f_vv(0, 1) == 0
    assert f_vv(0.5, 0.5, beta=3) == pytest.approx(0.5)


PARTS = 5


def random_case(
    seed: int, images: int = 20
) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    """Some parts of each image are annotated, and detections lie near boxes or anywhere."""
    g = torch.Generator().manual_seed(seed)
    predictions, targets = [], []
    for i in range(images):
        labels = torch.randperm(PARTS, generator=g)[: i % (PARTS + 1)]
        n, m = len(labels), (7 * i) % 12
        corner = torch.rand(n, 2, generator=g) * 60
        boxes = torch.cat([corner, corner + 8 + 20 * torch.rand(n, 2, generator=g)], 1)
        found = torch.rand(m, 2, generator=g) * 60
        found = torch.cat([found, found + 8 + 20 * torch.rand(m, 2, generator=g)], 1)
        seen = torch.randint(0, PARTS, (m,), generator=g)
        if n and m:
            near = torch.arange(min(n, m))
            found[near] = boxes[near] + 3 * torch.randn(len(near), 4, generator=g)
            seen[near] = labels[near]
        predictions.append({"boxes": found, "labels": seen, "scores": torch.rand(m, generator=g)})
        targets.append(
            {"boxes": boxes, "labels": labels, "state": torch.randint(0, 4, (n,), generator=g)}
            | {"size": torch.tensor([90, 100]), "number": torch.tensor(i)}
        )
    return predictions, targets


def slow_recalls(
    predictions: list[dict[str, Tensor]],
    targets: list[dict[str, Tensor]],
    t: float,
    score: float,
) -> tuple[float, float]:
    """Recall of present and of missing parts, part by part."""
    hits: dict[bool, list[bool]] = {False: [], True: []}
    for p, truth in zip(predictions, targets, strict=True):
        for box, label, state in zip(truth["boxes"], truth["labels"], truth["state"], strict=True):
            hit = False
            for other, seen, sure in zip(p["boxes"], p["labels"], p["scores"], strict=True):
                if seen == label and sure >= score:
                    hit = hit or t == 0 or slow_iou(box.tolist(), other.tolist()) >= t
            hits[bool(state >= 2)].append(hit)
    return tuple(sum(h) / len(h) for h in (hits[False], hits[True]))  # type: ignore[return-value]


def slow_iou(a: list[float], b: list[float]) -> float:
    width, height = (max(0, min(a[2 + k], b[2 + k]) - max(a[k], b[k])) for k in (0, 1))
    areas = [max(0, x[2] - x[0]) * max(0, x[3] - x[1]) for x in (a, b)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.parametrize("seed", range(3))
def test_recalls_equal_a_loop_over_parts_and_detections(seed: int) -> None:
    predictions, targets = random_case(seed)
    scores, thresholds = (0.05, 0.3, 0.7), (0.0, 0.1, 0.5, 0.8)
    found = overlaps(predictions, targets, parts=PARTS, scores=scores)
    present = found.recall(found.present, thresholds)
    missing = missing_recall_curve(found, thresholds)
    for (i, s), (j, t) in itertools.product(enumerate(scores), enumerate(thresholds)):
        expected = slow_recalls(predictions, targets, t, s)
        assert (float(present[i, j]), float(missing[i, j])) == pytest.approx(expected)
    metrics = visual_verification(predictions, targets, parts=PARTS, score_threshold=0.3)
    r_p, r_m = slow_recalls(predictions, targets, 0.5, 0.3)[0], float(missing[1, 1])
    assert metrics == pytest.approx(
        {
            "r_present": r_p,
            "r_missing": r_m,
            "f_vv": 1.01 * r_p * (1 - r_m) / (0.01 * (1 - r_m) + r_p),
        }
    )


def test_recalls_never_rise_with_the_iou_or_the_score() -> None:
    predictions, targets = random_case(5, images=60)
    found = overlaps(predictions, targets, parts=PARTS, scores=[x / 20 for x in range(21)])
    for among in (found.present, found.missing):
        recall = found.recall(among, [x / 50 for x in range(51)])
        assert (recall.diff(dim=0) <= 0).all()
        assert (recall.diff(dim=1) <= 0).all()
        assert recall[0, 0] > recall[0, -1]
        assert recall[0, 0] > recall[-1, 0]


def test_duplicates_and_another_order_of_detections_change_nothing() -> None:
    predictions, targets = random_case(6)
    g = torch.Generator().manual_seed(0)
    shuffled = []
    for p in predictions:
        twice = torch.arange(len(p["labels"])).repeat(2)
        order = twice[torch.randperm(len(twice), generator=g)]
        shuffled.append({name: value[order] for name, value in p.items()})
    a, b = (overlaps(x, targets, parts=PARTS, scores=[0.05, 0.5]) for x in (predictions, shuffled))
    assert torch.equal(a.best, b.best)
    assert (a.best >= 0).any()


def test_another_order_of_images_and_parts_gives_the_same_recalls() -> None:
    predictions, targets = random_case(7)
    flipped = []
    for t in targets[::-1]:
        parts = {name: t[name].flip(0) for name in ("boxes", "labels", "state")}
        flipped.append({**t, **parts})
    a = visual_verification(predictions, targets, parts=PARTS)
    assert visual_verification(predictions[::-1], flipped, parts=PARTS) == a


BOX = torch.tensor([[10.0, 10, 30, 30], [40, 40, 60, 60]])


def test_zero_and_one_in_plain_cases() -> None:
    target = {"boxes": BOX, "labels": torch.tensor([0, 1]), "state": torch.tensor([1, 2])}
    right = {"boxes": BOX[:1], "labels": torch.tensor([0]), "scores": torch.tensor([0.9])}
    wrong = {**right, "boxes": BOX[1:], "labels": torch.tensor([1])}
    best = visual_verification([right], [target], parts=2)
    assert best == pytest.approx({"r_present": 1, "r_missing": 0, "f_vv": 1})
    worst = visual_verification([wrong], [target], parts=2)
    assert worst == {"r_present": 0, "r_missing": 1, "f_vv": 0}
    far = {**wrong, "boxes": BOX[1:] + 50}  # elsewhere: found at T = 0 only
    assert visual_verification([far], [target], parts=2)["r_missing"] == 0
    assert visual_verification([far], [target], parts=2, t_missing=0)["r_missing"] == 1


def test_an_iou_of_exactly_t_is_enough() -> None:
    target = {"boxes": BOX[:1], "labels": torch.tensor([0]), "state": torch.tensor([0])}
    half = {"boxes": torch.tensor([[10.0, 10, 30, 20]]), "labels": torch.tensor([0])}
    half["scores"] = torch.tensor([0.7])
    for score, recall in ((0.7, 1), (0.71, 0)):  # 0.7 as a float is less than as a double
        found = visual_verification([half], [target], parts=1, score_threshold=score)
        assert found["r_present"] == recall


def test_a_detector_that_returns_nothing_and_images_without_parts() -> None:
    nothing = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.long),
        "scores": torch.zeros(0),
    }
    _, targets = random_case(0)
    found = visual_verification([nothing] * len(targets), targets, parts=PARTS)
    assert found == {"r_present": 0, "r_missing": 0, "f_vv": 0}
    bare = {**nothing, "state": torch.zeros(0, dtype=torch.long)}
    none = visual_verification([nothing], [bare], parts=PARTS)
    assert all(math.isnan(value) for value in none.values())
    assert all(math.isnan(x) for x in visual_verification([], [], parts=PARTS).values())


def test_boxes_outside_the_image_without_area_and_of_unknown_parts_are_evaluated() -> None:
    odd = {
        "boxes": torch.tensor([[-50.0, -50, -10, -10], [10, 10, 10, 30], [10, 10, 30, 30]]),
        "labels": torch.tensor([0, 0, 99]),
        "scores": torch.tensor([0.9, 0.8, 0.7]),
    }
    target = {"boxes": BOX[:1], "labels": torch.tensor([0]), "state": torch.tensor([0])}
    found = overlaps([odd], [target], parts=1, scores=[0.05, 0.95])
    assert found.best.flatten().tolist() == [0, -1]
    assert found.recall(found.present, [0, 0.01]).tolist() == [[1, 0], [0, 0]]


def test_targets_that_verification_cannot_take_are_refused_in_one_line() -> None:
    plain = {"boxes": BOX, "labels": torch.tensor([0, 1]), "state": torch.tensor([0, 0])}
    empty = {"boxes": BOX[:0], "labels": torch.zeros(0).long(), "scores": torch.zeros(0)}
    for target, message in [
        ({k: v for k, v in plain.items() if k != "state"}, "needs the state of each part"),
        ({**plain, "labels": torch.tensor([0, 7])}, "part 7, but there are 2"),
        ({**plain, "labels": torch.tensor([1, 1])}, "a part twice"),
    ]:
        with pytest.raises(UserError, match=message):
            overlaps([empty], [target], parts=2, scores=[0.05])


def test_random_places_keep_scores_labels_and_sides_and_stay_in_the_image() -> None:
    predictions, targets = random_case(8)
    moved = at_random_places(predictions, targets, seed=3)
    for p, m in zip(predictions, moved, strict=True):
        assert torch.equal(p["scores"], m["scores"])
        assert torch.equal(p["labels"], m["labels"])
        sides = [x["boxes"][:, 2:].double() - x["boxes"][:, :2] for x in (p, m)]
        torch.testing.assert_close(sides[0], sides[1])
        assert (m["boxes"] >= 0).all()
        assert (m["boxes"][:, 0::2] <= 100 + 1e-9).all()
        assert (m["boxes"][:, 1::2] <= 90 + 1e-9).all()
    backwards = at_random_places(predictions[::-1], targets[::-1], seed=3)[::-1]
    for m, n in zip(moved, backwards, strict=True):
        assert torch.equal(m["boxes"], n["boxes"]), "a function of the image's number"
    anywhere = [
        verified(overlaps(x, targets, parts=PARTS, scores=[0.05]), t_present=0, t_missing=0)
        for x in (predictions, moved)
    ]
    assert anywhere[0] == anywhere[1]


def test_chance_is_the_share_of_places_that_overlap_enough() -> None:
    """A square of 10 pixels in 100 x 100 and one in the middle: an area by integration."""
    n, t = 20_000, 1 / 7
    box = torch.tensor([[45.0, 45, 55, 55]])
    found = {"boxes": box, "labels": torch.tensor([0]), "scores": torch.tensor([0.9])}
    target = {"boxes": box, "labels": torch.tensor([0]), "state": torch.tensor([2])}
    targets = [
        {**target, "size": torch.tensor([100, 100]), "number": torch.tensor(i)} for i in range(n)
    ]
    moved = at_random_places([found] * n, targets, seed=0)
    chance = visual_verification(moved, targets, parts=1, t_missing=t)["r_missing"]
    # (10 - |dx|)(10 - |dy|) >= 25 with both differences uniform over 90 pixels: the area of
    # uv >= 1/4 in the unit square, four times, by 10^2 of 90^2.
    share = 4 * (1 - 1 / 4 * (1 + math.log(4))) * 100 / 90**2
    assert chance == pytest.approx(share, abs=4 * math.sqrt(share / n))
    assert visual_verification([found] * n, targets, parts=1, t_missing=t)["r_missing"] == 1
    mean = usual_place_chance(
        [found] * 2000, targets[:2000], parts=1, thresholds=[0, t], draws=3, seed=4
    )
    assert mean.tolist() == pytest.approx([1, share], abs=4 * math.sqrt(share / 6000))
