"""Drawn bicycles: boxes hold their pixels, states have their shares, places follow the prior."""

from __future__ import annotations

import math

import pytest
import torch

from thesisbench.data.stand_ins import procedural_bikes as bikes
from thesisbench.data.stand_ins.bike_skeleton import NAMES, SIDE
from thesisbench.data.stand_ins.procedural_bikes import (
    SHARES,
    Bikes,
    half_of,
    procedural_bikes_splits,
    states_of,
)
from thesisbench.errors import UserError

PLAIN = {"prior": 1.0, "contrast": 0.3, "frame": 0.0, "noise": 0.0, "clutter": 0, "jitter": 0.0}


@pytest.fixture(scope="module")
def split():
    return procedural_bikes_splits(data_seed=5, n_train=150, n_test=1)["train"]


def boxes_of(split) -> torch.Tensor:
    return split.boxes.view(-1, len(NAMES), 4)


def test_every_image_has_ten_parts_with_boxes_in_the_image(split) -> None:
    assert len(NAMES) == 10
    assert split.images.shape == (150, 3, SIDE, SIDE)
    assert split.images.dtype == torch.uint8
    assert (split.counts == 10).all()
    assert split.classes == NAMES
    boxes = boxes_of(split)
    assert boxes.min() >= 0
    assert boxes.max() <= SIDE
    assert (boxes[..., 2:] - boxes[..., :2]).min() >= 3


def test_states_have_the_shares_of_delftbikes(split) -> None:
    states = split.flags["state"]
    for state, share in enumerate(SHARES):
        found = float((states == state).float().mean())
        assert found == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / len(states)))
    assert sum(SHARES) == pytest.approx(1)
    edges = torch.tensor([[0.0, 0.604, 0.606, 0.664, 0.666, 0.859, 0.861, 0.999]])
    assert states_of(edges).tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]]


def test_present_parts_are_trained_on(split) -> None:
    trained = split.trained_on()
    assert len(trained) == 150
    assert set(trained.flags["state"].tolist()) == {0, 1}
    assert len(trained.labels) == int((split.flags["state"] < 2).sum())


def _drawn_with(monkeypatch: pytest.MonkeyPatch, state: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same bicycles with all parts in one state: images 0 to 1, and boxes."""
    same = lambda drawn: torch.full(drawn.shape, state)  # noqa: E731
    monkeypatch.setattr(bikes, "states_of", same)
    images, boxes, _ = Bikes(**PLAIN).draw(3, range(24))
    return images.float() / 255, boxes


def test_the_box_of_a_part_is_the_smallest_that_holds_its_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A part alone, drawn intact, differs from the bicycle without parts within its box only."""
    without, _ = _drawn_with(monkeypatch, 2)
    for number in range(len(NAMES)):
        only = torch.full((24, len(NAMES)), 2)
        only[:, number] = 0
        monkeypatch.setattr(bikes, "states_of", lambda drawn, only=only: only)
        images, boxes, _ = Bikes(**PLAIN).draw(3, range(24))
        changed = (images.float() / 255 != without).any(1)
        for covered, box in zip(changed, boxes[:, number], strict=True):
            x1, y1, x2, y2 = box.long().tolist()
            inside = covered[y1:y2, x1:x2]
            assert int(inside.sum()) == int(covered.sum()) > 0
            assert inside[0].any()
            assert inside[-1].any()
            assert inside[:, 0].any()
            assert inside[:, -1].any()


def test_absent_parts_leave_no_pixel_and_have_the_box_of_intact_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    intact, there = _drawn_with(monkeypatch, 0)
    absent, missing = _drawn_with(monkeypatch, 2)
    assert torch.equal(there, missing)
    ground = Bikes(**(PLAIN | {"contrast": 0.0})).draw(3, range(24))[0].float() / 255
    assert torch.equal(absent, ground)
    assert (intact - absent).abs().amax((1, 2, 3)).min() > 0.1


def test_damaged_parts_are_drawn_by_half(monkeypatch: pytest.MonkeyPatch) -> None:
    absent, _ = _drawn_with(monkeypatch, 2)
    intact, _ = _drawn_with(monkeypatch, 0)
    damaged, _ = _drawn_with(monkeypatch, 1)
    seen = [((image - absent).abs().amax(1) > 0.02).sum((1, 2)) for image in (intact, damaged)]
    share = seen[1] / seen[0]
    assert 0.35 < float(share.mean()) < 0.65
    assert share.max() < 0.9


def test_each_half_of_a_box_is_erased_as_often() -> None:
    box = torch.tensor([[10.0, 20, 30, 60]]).expand(4, 4)
    erased = half_of(box, torch.tensor([0.1, 0.3, 0.6, 0.9]))
    middle = torch.tensor([[15, 40], [25, 40], [20, 30], [20, 50]])  # left, right, upper, lower
    for number, (x, y) in enumerate(middle.tolist()):
        expected = [number == k for k in range(4)]
        if number < 2:
            assert [bool(erased[k, y, x]) for k in (0, 1)] == expected[:2]
        else:
            assert [bool(erased[k, y, x]) for k in (2, 3)] == expected[2:]
    assert (erased.float().mean((1, 2)) > 0.1).all()


def test_occluded_parts_are_covered_with_another_texture(monkeypatch: pytest.MonkeyPatch) -> None:
    _, boxes = _drawn_with(monkeypatch, 0)
    only = torch.zeros(24, len(NAMES), dtype=torch.long)
    only[:, -1] = 3  # the light, drawn last
    monkeypatch.setattr(bikes, "states_of", lambda drawn: only)
    stronger = [Bikes(**(PLAIN | {"contrast": c})).draw(3, range(24))[0] for c in (0.3, 0.6)]
    for image, other, box in zip(*stronger, boxes[:, -1], strict=True):
        x1, y1, x2, y2 = box.long().tolist()
        assert torch.equal(image[:, y1:y2, x1:x2], other[:, y1:y2, x1:x2]), "the part is not seen"


def test_the_prior_says_how_far_places_tell_parts() -> None:
    spread = {}
    for prior in (0.0, 0.5, 1.0):
        found = procedural_bikes_splits(data_seed=2, n_train=60, n_test=1, position_prior=prior)
        boxes = boxes_of(found["train"])
        centres = (boxes[..., :2] + boxes[..., 2:]) / 2
        spread[prior] = float(centres.std(0).mean())
    assert spread[1.0] < 6
    assert spread[0.0] > 18
    assert spread[1.0] < spread[0.5] < spread[0.0]
    middle = math.hypot(0.5 * spread[0.0], 0.5 * spread[1.0])
    assert spread[0.5] == pytest.approx(middle, rel=0.15)


def test_with_prior_1_the_layout_is_a_bicycle(split) -> None:
    boxes = boxes_of(split)
    centres = dict(zip(NAMES, ((boxes[..., :2] + boxes[..., 2:]) / 2).unbind(1), strict=True))
    assert (centres["back_wheel"][:, 0] < centres["front_wheel"][:, 0]).all()
    assert (centres["saddle"][:, 1] < centres["back_wheel"][:, 1]).all()
    assert (centres["bell"][:, 1] < centres["pedal"][:, 1]).all()
    wheels = boxes[:, 0, 2:] - boxes[:, 0, :2]
    assert 19 <= wheels.min() <= wheels.max() <= 32


def test_with_prior_0_parts_do_not_know_of_each_other() -> None:
    found = procedural_bikes_splits(data_seed=4, n_train=100, n_test=1, position_prior=0.0)
    centres = boxes_of(found["train"])[..., :2]
    both = torch.corrcoef(centres[..., 0].T) - torch.eye(len(NAMES))
    assert both.abs().max() < 0.45, "six standard errors would be 0.6"


def test_images_are_functions_of_seed_and_index() -> None:
    ten = procedural_bikes_splits(data_seed=7, n_train=10, n_test=3)
    few = procedural_bikes_splits(data_seed=7, n_train=4, n_test=3)
    assert torch.equal(few["train"].images, ten["train"].images[:4])
    assert torch.equal(few["train"].boxes, ten["train"].boxes[:40])
    assert torch.equal(few["test"].images, ten["test"].images)
    assert not torch.equal(ten["train"].images[:3], ten["test"].images)
    later, *_ = Bikes(**PLAIN).draw(3, range(5, 8))
    early, *_ = Bikes(**PLAIN).draw(3, range(8))
    assert torch.equal(later, early[5:])
    other = procedural_bikes_splits(data_seed=8, n_train=4, n_test=3)
    assert not torch.equal(other["train"].images, few["train"].images)


def test_settings_change_what_they_say_and_nothing_else() -> None:
    base = procedural_bikes_splits(data_seed=7, n_train=6, n_test=1)["train"]
    for change in ({"contrast": 0.3}, {"noise": 0.0}, {"clutter": 0}, {"frame": 0.1}):
        other = procedural_bikes_splits(data_seed=7, n_train=6, n_test=1, **change)["train"]
        assert torch.equal(other.boxes, base.boxes)
        assert torch.equal(other.flags["state"], base.flags["state"])
        assert not torch.equal(other.images, base.images)
    moved = procedural_bikes_splits(data_seed=7, n_train=6, n_test=1, jitter=0.0)["train"]
    assert 0 < (moved.boxes - base.boxes).abs().max() <= 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n_train": 0}, "n_train"),
        ({"n_val": -1}, "n_val"),
        ({"position_prior": 1.5}, "position_prior=1.5"),
        ({"noise": -0.1}, "not be negative"),
        ({"clutter": -1}, "not be negative"),
    ],
)
def test_nonsense_is_refused(given, said: str) -> None:
    with pytest.raises(UserError, match=said):
        procedural_bikes_splits(data_seed=0, **given)
