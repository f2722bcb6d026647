"""Mean boxes of parts by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from thesisbench.errors import UserError
from thesisbench.methods.kayhan.part_verification.mean_box import MeanBoxDetector

BOXES = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.2, 0.4, 0.5, 0.7], [0.5, 0.5, 1.0, 1.0]])
LABELS = torch.tensor([2, 2, 0])


def made(**more: Any) -> MeanBoxDetector:
    return MeanBoxDetector(boxes=BOXES, labels=LABELS, images=4, parts=3, **more)


def test_each_part_lies_at_its_mean_place_in_pixels_of_the_image() -> None:
    small, large = made().detect([torch.zeros(3, 10, 20), torch.zeros(3, 100, 100)])
    assert small["labels"].tolist() == [0, 2], "part 1 was never seen"
    torch.testing.assert_close(small["boxes"][1], torch.tensor([2.0, 2, 10, 6]))
    torch.testing.assert_close(large["boxes"][0], torch.tensor([50.0, 50, 100, 100]))
    assert small["scores"].tolist() == [1, 1]


def test_scores_are_the_shares_of_images_with_the_part() -> None:
    detector = made(score="presence")
    (found,) = detector.detect([torch.zeros(3, 10, 10)])
    assert found["labels"].tolist() == [2, 0]
    assert found["scores"].tolist() == [0.5, 0.25]
    (fewer,) = detector.detect([torch.zeros(3, 10, 10)], score_threshold=0.4)
    assert fewer["labels"].tolist() == [2]
    assert detector.detect([]) == []


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UserError, match="valid: one, presence"):
        made(score="two")
    with pytest.raises(UserError, match="no part is there"):
        MeanBoxDetector(boxes=BOXES[:0], labels=LABELS[:0], images=4, parts=3)
