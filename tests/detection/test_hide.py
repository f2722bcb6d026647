"""Hidden backgrounds and foregrounds: the chapter's slices, their limits and their complement."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from thesisbench.detection.hide import HIDE, hide_background, hide_foreground, hides_something

H, W = 20, 30
IMAGE = torch.rand(3, H, W, generator=torch.Generator().manual_seed(0)) + 0.01
WHOLE = torch.tensor(
    [[4, 3, 12, 16], [0, 0, 30, 20], [25, 2, 30, 20], [7, 7, 8, 8], [0, 0, 5, 5]]
).float()
PARTLY = torch.tensor([[4.3, 3.6, 12.9, 16.2], [-5, -2, 9.7, 40], [10.4, 10.4, 10.6, 10.6]])
BOXES = torch.cat([WHOLE, PARTLY])


def slices(box: Tensor, p: int, mode: str) -> Tensor:
    """The pseudo code of the chapter, for boxes with whole numbers."""
    x1, y1, x2, y2 = box.int().tolist()
    m = torch.ones(1, H, W) if mode == "fg" else torch.zeros(1, H, W)
    if mode == "bg":
        m[:, max(0, y1 - p) : min(H, y2 + p), max(0, x1 - p) : min(W, x2 + p)] = 1
    elif y1 + p < y2 - p and x1 + p < x2 - p:
        m[:, y1 + p : y2 - p, x1 + p : x2 - p] = 0
    return IMAGE * m


@pytest.mark.parametrize("mode", ["bg", "fg"])
@pytest.mark.parametrize("p", [0, 1, 2, 5, 9, 17])
def test_boxes_of_whole_numbers_give_the_slices_of_the_chapter(mode: str, p: int) -> None:
    hidden = HIDE[mode](IMAGE, WHOLE, torch.full((len(WHOLE),), p))
    for view, box in zip(hidden, WHOLE, strict=True):
        assert torch.equal(view, slices(box, p, mode))


def test_enough_background_gives_the_image_back() -> None:
    for p in (max(W, H), 1000):
        hidden = hide_background(IMAGE, BOXES, torch.full((len(BOXES),), p))
        assert torch.equal(hidden, IMAGE.expand_as(hidden))


def test_a_ring_of_half_the_shorter_side_gives_the_image_back() -> None:
    sides = BOXES[:, 2:] - BOXES[:, :2]
    inside = torch.tensor([[4.3, 3.6, 12.9, 16.2], [0, 0, 9.7, 20], [10.4, 10.4, 10.6, 10.6]])
    sides[len(WHOLE) :] = inside[:, 2:] - inside[:, :2]  # of what lies in the image
    hidden = hide_foreground(IMAGE, BOXES, sides.min(1).values / 2 + 1e-5)
    assert torch.equal(hidden, IMAGE.expand_as(hidden))
    less = hide_foreground(IMAGE, WHOLE[:3], sides[:3].min(1).values / 2 - 1)
    assert (less == 0).flatten(1).any(1).all()


def test_nothing_but_the_box_and_all_but_the_box_add_up_to_the_image_bitwise() -> None:
    zero = torch.zeros(len(BOXES))
    only, rest = hide_background(IMAGE, BOXES, zero), hide_foreground(IMAGE, BOXES, zero)
    assert torch.equal(only + rest, IMAGE.expand_as(only))
    assert ((only == 0) != (rest == 0)).all()
    shown = (only[0, 0] != 0).nonzero()
    assert shown.min(0).values.tolist() == [3, 4]
    assert shown.max(0).values.tolist() == [15, 11]


def test_a_pixel_belongs_to_a_box_when_its_centre_lies_in_it() -> None:
    box = torch.tensor([[3.5, 3.51, 5.5, 5.51]])
    shown = hide_background(IMAGE, box, torch.zeros(1))[0, 0] != 0
    assert shown.nonzero().tolist() == [[4, 3], [4, 4], [5, 3], [5, 4]]


@pytest.mark.parametrize("mode", ["bg", "fg"])
def test_more_pixels_never_show_less(mode: str) -> None:
    before = torch.zeros(len(BOXES), H, W, dtype=torch.bool)
    for p in torch.arange(0, 31) / 2:
        shown = HIDE[mode](IMAGE, BOXES, p.repeat(len(BOXES)))[:, 0] != 0
        assert (shown | ~before).all()
        before = shown
    assert before[0].sum() > 13 * 8


@pytest.mark.parametrize("mode", ["bg", "fg"])
def test_what_hides_nothing_is_known_without_the_image(mode: str) -> None:
    seen = set()
    for p in (0, 0.4, 1, 2.5, 4, 6.5, 20, 31):
        pixels = torch.full((len(BOXES),), p)
        differs = (HIDE[mode](IMAGE, BOXES, pixels) != IMAGE).flatten(1).any(1)
        assert torch.equal(hides_something(mode, (H, W), BOXES, pixels), differs)
        seen |= set(differs.tolist())
    assert seen == {True, False}


def test_pixels_may_differ_by_object_and_by_axis() -> None:
    pixels = torch.tensor([[2.0, 3.0], [0.0, 1.0]])
    hidden = hide_background(IMAGE, WHOLE[[0, 3]], pixels)
    for view, (x1, y1, x2, y2) in zip(hidden, [(2, 0, 14, 19), (7, 6, 8, 9)], strict=True):
        shown = torch.zeros(H, W, dtype=torch.bool)
        shown[y1:y2, x1:x2] = True
        assert torch.equal(view != 0, shown.expand(3, -1, -1))


def test_no_objects_give_no_images() -> None:
    none = torch.zeros(0, 4)
    for hide in HIDE.values():
        assert hide(IMAGE, none, torch.zeros(0)).shape == (0, 3, H, W)
