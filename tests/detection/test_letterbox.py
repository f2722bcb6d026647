"""Images of any size in one batch, and boxes there and back."""

from __future__ import annotations

import pytest
import torch

from thesisbench.detection.letterbox import GREY, Placing, letterboxed


@pytest.mark.parametrize("size", [(30, 50), (50, 30), (40, 40), (7, 61)])
@pytest.mark.parametrize("side", [None, 32, 64])
def test_boxes_come_back(size: tuple[int, int], side: int | None) -> None:
    placing = Placing.of(*size, side)
    height, width = size
    boxes = torch.tensor([[0.0, 0, width, height], [1.5, 2.25, width - 1, height - 2]])
    there = placing.there(boxes)
    torch.testing.assert_close(placing.back(there), boxes)
    if side is not None:
        assert there[0].tolist() == pytest.approx(
            [placing.left, placing.top, placing.left + placing.columns, placing.top + placing.rows]
        )
        assert max(placing.rows, placing.columns) == side


def test_what_lies_outside_is_cut_off() -> None:
    placing = Placing.of(20, 40, 40)
    beyond = torch.tensor([[-3.0, 0, 50, 40]])
    assert placing.back(beyond).tolist() == [[0, 0, 40, 20]]


def test_grey_surrounds_images_and_these_keep_their_pixels() -> None:
    image = torch.rand(3, 20, 40)
    batch, (placing,) = letterboxed([image], side=40, multiple=8)
    assert batch.shape == (1, 3, 40, 40)
    assert torch.equal(batch[0, :, 10:30], image)
    assert (batch[0, :, :10] == GREY).all()
    assert (batch[0, :, 30:] == GREY).all()
    assert placing.top == 10


def test_images_as_they_are_get_zeros_up_to_a_multiple() -> None:
    image = torch.ones(3, 20, 41)
    batch, (placing,) = letterboxed([image], side=None, multiple=16)
    assert batch.shape == (1, 3, 32, 48)
    assert float(batch.sum()) == 3 * 20 * 41
    assert placing.there(torch.tensor([[1.0, 2, 3, 4]])).tolist() == [[1, 2, 3, 4]]
