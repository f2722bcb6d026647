"""Resizing and mirroring images with boxes, against boxes worked out by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thesisbench.data.box_transforms import (
    GREY,
    as_it_is,
    mirrored,
    resized,
    to_shorter_side,
    to_square,
)
from thesisbench.data.targets import Target
from thesisbench.errors import UserError


def target(*boxes: tuple[float, ...], height: int = 20, width: int = 40) -> Target:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        "labels": torch.arange(len(boxes)),
        "crowd": torch.zeros(len(boxes), dtype=torch.bool),
        "size": torch.tensor([height, width]),
        "scale": torch.ones(2),
        "number": torch.tensor(7),
    }


def image(height: int = 20, width: int = 40) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8)


def test_as_it_is_only_makes_numbers_of_bytes() -> None:
    picture = image()
    numbers, found = as_it_is()(picture, target((1, 2, 3, 4)))
    assert torch.equal(numbers, picture.float() / 255)
    assert found["boxes"].tolist() == [[1, 2, 3, 4]]
    assert found["scale"].tolist() == [1, 1]


def test_the_shorter_side_is_made_as_long_as_wanted() -> None:
    numbers, found = to_shorter_side(shorter=30, longest=100)(image(), target((2, 4, 20, 10)))
    assert numbers.shape == (3, 30, 60)
    assert numbers.min() >= 0
    assert numbers.max() <= 1
    assert found["boxes"].tolist() == [[3, 6, 30, 15]]
    assert found["size"].tolist() == [30, 60]
    assert found["scale"].tolist() == [1.5, 1.5]
    assert int(found["number"]) == 7
    assert found["labels"].tolist() == [0]


def test_the_longer_side_is_not_made_longer_than_allowed() -> None:
    numbers, found = to_shorter_side(shorter=30, longest=50)(image(), target((8, 4, 16, 12)))
    assert numbers.shape == (3, 25, 50)
    assert found["boxes"].tolist() == [[10, 5, 20, 15]]
    tall, _ = to_shorter_side(shorter=30, longest=50)(image(40, 20), target())
    assert tall.shape == (3, 50, 25)


def test_a_square_is_filled_up_on_the_right_and_below() -> None:
    numbers, found = to_square(side=80)(image(), target((2, 4, 20, 10)))
    assert numbers.shape == (3, 80, 80)
    assert (numbers[:, 40:] == GREY).all()
    assert found["boxes"].tolist() == [[4, 8, 40, 20]]
    assert found["size"].tolist() == [80, 80]
    assert found["scale"].tolist() == [2, 2]
    tall, _ = to_square(side=16)(image(40, 20), target())
    assert (tall[:, :, 8:] == GREY).all()


def test_a_square_may_be_stretched() -> None:
    numbers, found = to_square(side=60, stretch=True)(image(), target((2, 4, 20, 10)))
    assert numbers.shape == (3, 60, 60)
    assert found["boxes"].tolist() == [[3, 12, 30, 30]]
    assert found["scale"].tolist() == [1.5, 3]


def test_mirroring_exchanges_left_and_right() -> None:
    picture = image()
    numbers, found = as_it_is(flip=1.0)(picture, target((2, 4, 20, 10), (0, 0, 40, 20)))
    assert torch.equal(numbers, picture.flip(-1).float() / 255)
    assert found["boxes"].tolist() == [[20, 4, 38, 10], [0, 0, 40, 20]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 38), st.integers(0, 18), st.integers(1, 2), st.integers(1, 2))
def test_a_box_holds_the_same_pixels_after_mirroring(x: int, y: int, w: int, h: int) -> None:
    picture = torch.zeros(3, 20, 40, dtype=torch.uint8)
    picture[:, y : y + h, x : x + w] = 255
    flipped, found = mirrored(picture, target((x, y, x + w, y + h)))
    x1, y1, x2, y2 = found["boxes"][0].long().tolist()
    assert (flipped[:, y1:y2, x1:x2] == 255).all()
    assert int((flipped[0] == 255).sum()) == w * h
    again, back = mirrored(flipped, found)
    assert torch.equal(again, picture)
    assert back["boxes"].tolist() == [[x, y, x + w, y + h]]


@pytest.mark.parametrize("factor", [2, 3])
def test_masks_and_boxes_are_resized_and_mirrored_alike(factor: int) -> None:
    mask = torch.zeros(1, 20, 40, dtype=torch.bool)
    mask[0, 4:10, 2:20] = True
    whole = target((2, 4, 20, 10)) | {"masks": mask}
    for apply in (to_square(side=40 * factor), to_shorter_side(shorter=20 * factor, flip=1.0)):
        numbers, found = apply(image(), whole)
        assert found["masks"].dtype == torch.bool
        assert found["masks"].shape[1:] == numbers.shape[1:]
        rows, columns = found["masks"][0].nonzero().unbind(1)
        around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert found["boxes"][0].tolist() == [float(side) for side in around]


def test_an_image_without_a_box_goes_through_everything() -> None:
    for apply in (as_it_is(flip=1.0), to_square(side=9), to_shorter_side(shorter=9, flip=1.0)):
        numbers, found = apply(image(), target())
        assert found["boxes"].shape == (0, 4)
        assert found["labels"].shape == (0,)
        assert found["size"].tolist() == list(numbers.shape[1:])


def test_nothing_is_resized_for_nothing() -> None:
    picture, told = image(), target((1, 2, 3, 4))
    same, found = resized(picture, told, (20, 40))
    assert same is picture
    assert found is told


def test_the_given_target_stays_as_it_is() -> None:
    told = target((2, 4, 20, 10))
    for apply in (as_it_is(flip=1.0), to_square(side=9)):
        apply(image(), told)
        assert told["boxes"].tolist() == [[2, 4, 20, 10]]
        assert told["size"].tolist() == [20, 40]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: to_shorter_side(shorter=9, longest=8), "longest=8"),
        (lambda: to_shorter_side(shorter=0), "shorter=0"),
        (lambda: to_square(side=0), "side=0"),
        (lambda: as_it_is(flip=1.5), "flip=1.5"),
    ],
)
def test_nonsense_is_refused(make, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()
