"""Matches by overlap and by grid cell, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from thesisbench.detection.matching import GridCellMatch, IoUMatch
from thesisbench.errors import UserError

OBJECT = torch.tensor([[0.0, 0, 20, 20]])
LABEL = torch.tensor([3])


def found(boxes: list[list[float]], labels: list[int], cells: object = None) -> dict[str, Tensor]:
    prediction = {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.tensor(labels)}
    return prediction if cells is None else {**prediction, "cells": torch.tensor(cells)}


SIZE = (100, 100)
NOTHING = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}


@pytest.mark.parametrize(
    ("box", "label", "right"),
    [
        ([0.0, 0, 10, 10], 3, True),  # IoU 1/4
        ([0.0, 0, 10, 9.9], 3, False),
        ([0.0, 0, 20, 20], 2, False),
        ([10.0, 0, 30, 20], 3, True),  # 1/3
        ([12.5, 0, 32.5, 20], 3, False),  # 7.5 of 32.5
    ],
)
def test_right_by_class_and_an_iou_of_a_quarter(box: list[float], label: int, right: bool) -> None:
    assert IoUMatch()(found([box], [label]), OBJECT, LABEL, SIZE).tolist() == [right]


def test_any_detection_makes_an_object_found_and_one_may_serve_two() -> None:
    objects = torch.tensor([[0.0, 0, 20, 20], [0, 0, 20, 22], [50, 50, 60, 60]])
    prediction = found([[90.0, 90, 99, 99], [0, 0, 20, 20]], [3, 3])
    for match in (IoUMatch(), GridCellMatch([8])):
        right = match(prediction, objects, torch.tensor([3, 3, 3]), SIZE)
        assert right.tolist() == [True, True, False]


def test_a_box_is_right_while_its_centre_stays_in_the_cell() -> None:
    centred = OBJECT + 2  # centre (12, 12), in the cell from 8 to 16
    for shift, right in ((0.0, True), (3.9, True), (4.0, False), (-4.0, True), (-4.1, False)):
        prediction = found([[2 + shift, 2, 22 + shift, 22]], [3])
        assert GridCellMatch([8])(prediction, centred, LABEL, SIZE).tolist() == [right]
        assert GridCellMatch([8])(prediction, centred, torch.tensor([1]), SIZE).tolist() == [False]


def test_without_cells_the_coarsest_grid_decides() -> None:
    near, far = found([[16.0, 0, 44, 20]], [3]), found([[24.0, 0, 44, 20]], [3])
    assert GridCellMatch()(near, OBJECT, LABEL, SIZE).tolist() == [True], (
        "centres 10 and 30, stride 32"
    )
    assert GridCellMatch()(far, OBJECT, LABEL, SIZE).tolist() == [False], "centres 10 and 34"
    assert GridCellMatch([8, 16])(near, OBJECT, LABEL, SIZE).tolist() == [False]


def test_cells_of_the_detection_name_its_grid_row_and_column() -> None:
    thing = torch.tensor([[30.0, 10, 50, 20]])  # centre (40, 15)
    box = [[30.0, 10, 50, 20]]
    for cell, right in (
        ([0, 1, 5], True),
        ([0, 5, 1], False),
        ([1, 0, 2], True),
        ([2, 0, 1], True),
        ([2, 0, 0], False),
    ):
        assert GridCellMatch()(found(box, [3], [cell]), thing, LABEL, SIZE).tolist() == [right]


def test_nothing_found_and_nothing_there() -> None:
    cells = {**NOTHING, "cells": torch.zeros(0, 3, dtype=torch.long)}
    for match, prediction in (
        (IoUMatch(), NOTHING),
        (GridCellMatch(), NOTHING),
        (GridCellMatch(), cells),
    ):
        assert match(prediction, OBJECT, LABEL, SIZE).tolist() == [False]
        assert match(prediction, NOTHING["boxes"], NOTHING["labels"], SIZE).shape == (0,)
    for match in (IoUMatch(), GridCellMatch()):
        full = found([[0.0, 0, 20, 20]], [3])
        assert match(full, NOTHING["boxes"], NOTHING["labels"], SIZE).shape == (0,)


def test_strides_that_are_none_or_too_few_are_refused() -> None:
    with pytest.raises(UserError, match="strides of 1 and more"):
        GridCellMatch([])
    with pytest.raises(UserError, match="grid 3, but there are 3 strides"):
        GridCellMatch()(found([[0.0, 0, 20, 20]], [3], [[3, 0, 0]]), OBJECT, LABEL, SIZE)


def test_a_detector_that_resizes_says_itself_in_which_cell_a_centre_lies() -> None:
    """A detector that halves images: cells of 8 of its pixels are 16 of the image's."""
    seen = []

    def halved(boxes: Tensor, size: object, grids: Tensor) -> Tensor:
        seen.append((size, grids.tolist()))
        return ((boxes[:, :2] + boxes[:, 2:]) / 2 // 16).long().flip(1)

    thing = torch.tensor([[30.0, 10, 50, 20]])  # centre (40, 15)
    prediction = found([[30.0, 10, 50, 20]] * 2, [3, 3], [[0, 0, 2], [0, 1, 5]])
    assert GridCellMatch(cells_of=halved)(prediction, thing, LABEL, SIZE).tolist() == [True]
    prediction["labels"][0] = 1
    assert GridCellMatch(cells_of=halved)(prediction, thing, LABEL, SIZE).tolist() == [False]
    assert seen[0] == (SIZE, [0, 0])
