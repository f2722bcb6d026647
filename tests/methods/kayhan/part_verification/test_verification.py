"""The verification step for detectors, for labels alone, and for mean boxes alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_detectors import LookupDetector, box_split, module, prediction

from thesisbench.detection.multi_label import MultiLabelNet
from thesisbench.errors import UserError
from thesisbench.methods.kayhan.part_verification.labels_only import LabelsOnly
from thesisbench.methods.kayhan.part_verification.verification import (
    MeanBoxVerification,
    VisualVerification,
)
from thesisbench.step import StepContext
from thesisbench.store.folder import RunFolder

A, B, C = [4.0, 4, 20, 20], [30.0, 4, 44, 20], [4.0, 30, 20, 44]
# The images say by their first pixel which they are.
IMAGES = torch.arange(4, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, 48, 48) * 10
STATES = [[0, 2, 1], [3, 0, 2], [2, 2], [1, 1, 1]]
LABELS = [[0, 1, 2], [0, 1, 2], [0, 1], [0, 1, 2]]
BOXES = [[A, B, C], [A, B, C], [A, B], [A, B, C]]
FOUND = [
    prediction([A, B], [0.9, 0.4], [0, 1]),  # one present; one missing, hallucinated
    prediction([A, B, C], [0.6, 0.6, 0.06], [0, 1, 0]),  # a missing one, twice; a present one
    prediction([C], [0.8], [0]),  # a missing one, elsewhere
    prediction(),
]
# Present: 0.0 found, 0.2 not, 1.1 found, 3.0, 3.1, 3.2 not. Missing: 0.1, 1.0 found, 1.2, 2.1 not,
# 2.0 elsewhere.


def number(image: Tensor) -> int:
    return round(float(image[0, 0, 0]) * 255 / 10)


def data(**splits: Any) -> Any:
    split = box_split(IMAGES, BOXES, LABELS, state=STATES)
    return module(train=split, test=split, **splits)


def evaluated(tmp_path: Path, test: Any, network: Any, own: Any = None) -> tuple[Any, Any]:
    tmp_path.mkdir(exist_ok=True)
    context = StepContext(config={"seed": 3}, folder=RunFolder(tmp_path), attempt=tmp_path / "a")
    context.fitted = lambda name="weights": network  # type: ignore[method-assign]
    context.fitted_dataset = lambda name="weights": own or data()  # type: ignore[method-assign]
    return context, test(context)


def detector() -> LookupDetector:
    return LookupDetector(lambda image: FOUND[number(image)])


def f(r_p: float, r_m: float) -> float:
    return 1.01 * r_p * (1 - r_m) / (0.01 * (1 - r_m) + r_p)


def test_numbers_of_a_detector_by_hand(tmp_path: Path) -> None:
    context, m = evaluated(tmp_path, VisualVerification(pictures=2), detector())
    assert (m["r_present"], m["r_missing"]) == pytest.approx((2 / 6, 2 / 5))
    assert m["f_vv"] == pytest.approx(f(2 / 6, 2 / 5))
    assert (m["r_present_anywhere"], m["r_missing_anywhere"]) == pytest.approx((2 / 6, 3 / 5))
    assert m["f_vv_anywhere"] == pytest.approx(f(2 / 6, 3 / 5))
    assert m["missing_found_00"] == pytest.approx(60)
    assert m["missing_found_05"] == m["missing_found_100"] == pytest.approx(40)
    assert m["r_missing_cup"] == pytest.approx(1 / 2)
    assert m["r_missing_traffic_light"] == pytest.approx(1 / 2)
    assert m["r_missing_traffic_light_anywhere"] == 1
    assert m["r_present_bell"] == m["r_missing_bell"] == 0
    assert context.result.facts["score_threshold"] == 0.05
    assert context.result.facts["evaluated"] == {"test": {"on": 4, "of": 4}}
    assert np.load(tmp_path / "predictions/test_detections.npy").shape == (6, 7)
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_the_sweep_of_the_score_is_always_there(tmp_path: Path) -> None:
    _, m = evaluated(tmp_path, VisualVerification(pictures=0), detector())
    for score, present, missing, anywhere in (
        ("05", 2, 2, 3),
        ("10", 2, 2, 3),
        ("30", 2, 2, 3),
        ("50", 2, 1, 2),
        ("70", 1, 0, 1),
    ):
        assert m[f"r_present_score_{score}"] == pytest.approx(present / 6)
        assert m[f"r_missing_score_{score}"] == pytest.approx(missing / 5)
        assert m[f"r_missing_anywhere_score_{score}"] == pytest.approx(anywhere / 5)
        assert m[f"f_vv_score_{score}"] == pytest.approx(f(present / 6, missing / 5))
    other = VisualVerification(pictures=0, score_threshold=0.5)
    context, n = evaluated(tmp_path / "b", other, detector())
    assert n["r_missing"] == m["r_missing_score_50"]
    assert n["r_missing_score_05"] == m["r_missing_score_05"]
    assert context.result.facts["score_threshold"] == 0.5


def test_chance_is_far_below_what_leans_on_the_usual_place(tmp_path: Path) -> None:
    test = VisualVerification(pictures=0, draws=40)
    _, m = evaluated(tmp_path, test, detector())
    assert m["missing_found_chance_00"] == pytest.approx(60)
    assert m["missing_found_chance_50"] < 15 < m["missing_found_50"]
    assert (
        m["missing_found_chance_50"] <= 100 * m["r_missing_chance"] <= m["missing_found_chance_00"]
    )
    _, again = evaluated(tmp_path, test, detector())
    assert again == m
    _, none = evaluated(tmp_path, VisualVerification(pictures=0, draws=0), detector())
    assert not [name for name in none if "chance" in name]


def test_a_detector_that_returns_nothing(tmp_path: Path) -> None:
    network = LookupDetector(lambda image: prediction())
    _, m = evaluated(tmp_path, VisualVerification(pictures=1), network)
    assert set(m.values()) == {0}
    assert "f_vv" in m


def test_what_no_part_decides_is_not_in_the_metrics(tmp_path: Path) -> None:
    split = box_split(IMAGES[:2], [[A], []], [[0], []], state=[[1], []])
    _, m = evaluated(tmp_path, VisualVerification(pictures=1), detector(), module(test=split))
    assert m["r_present"] == 1
    assert not [name for name in m if "missing" in name or "cup" in name or "f_vv" in name]
    assert not [value for value in m.values() if math.isnan(value)]


class Probabilities(nn.Module):
    """Logits of three parts by the first pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        table = torch.tensor([[2.0, 1, -1], [1, -3, -2], [-1, -1, 0.1], [-4, 3, 0.5]])
        plain = images[:, 0, 0, 0] * 0.229 + 0.485
        return table[(plain * 25.5).round().long()] * self.one


def test_a_multi_label_network_has_numbers_without_places_only(tmp_path: Path) -> None:
    """Found at 0.5: 0.0, 0.1 (missing), 1.0 (missing), 2.2 (not annotated), 3.1, 3.2."""
    network = MultiLabelNet(Probabilities(), classes=3, side=None)
    context, m = evaluated(tmp_path, VisualVerification(), network)
    assert m["r_present_anywhere"] == pytest.approx(3 / 6)
    assert m["r_missing_anywhere"] == pytest.approx(2 / 5)
    assert m["f_vv_anywhere"] == pytest.approx(f(3 / 6, 2 / 5))
    assert m["r_present_anywhere_score_70"] == pytest.approx(2 / 6)  # sigmoid(0.5) is 0.62
    assert m["r_present_anywhere_score_05"] == pytest.approx(4 / 6)
    assert all("anywhere" in name for name in m)
    assert context.result.facts["score_threshold"] == 0.5
    assert not (tmp_path / "pictures").exists()


def test_labels_come_best_first_and_images_may_differ_in_size() -> None:
    found = LabelsOnly(MultiLabelNet(Probabilities(), classes=3, side=8)).detect(
        [torch.zeros(3, 9, 7), torch.full((3, 8, 8), 10 / 255)], score_threshold=0.3
    )
    assert [p["labels"].tolist() for p in found] == [[0, 1], [0]]
    assert (found[0]["scores"].diff() <= 0).all()
    assert found[0]["boxes"].tolist() == [[0, 0, 7, 9]] * 2


def test_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="which detects nothing"):
        evaluated(tmp_path, VisualVerification(), nn.Linear(1, 1))


def test_mean_boxes_find_every_part_where_the_place_does_not_matter(tmp_path: Path) -> None:
    _, m = evaluated(tmp_path, MeanBoxVerification(pictures=1), None)
    assert m["r_present_anywhere"] == m["r_missing_anywhere"] == 1
    assert m["f_vv_anywhere"] == 0
    assert m["r_missing"] == 1, "here all parts lie at one place"
    assert m["r_missing_anywhere_score_70"] == 1


def test_mean_boxes_score_as_often_as_a_part_is_there(tmp_path: Path) -> None:
    """Of 4 images: light in 2, cup in 2, bell in 2."""
    test = MeanBoxVerification(pictures=0, score="presence")
    _, m = evaluated(tmp_path, test, None)
    assert m["r_missing_anywhere_score_50"] == 1
    assert m["r_missing_anywhere_score_70"] == 0


def test_mean_boxes_need_states(tmp_path: Path) -> None:
    split = box_split(IMAGES, BOXES, LABELS)
    with pytest.raises(UserError, match="no states of parts"):
        evaluated(tmp_path, MeanBoxVerification(), None, module(train=split, test=split))
