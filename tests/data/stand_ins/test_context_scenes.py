"""Scenes: boxes hold their objects, textures go with classes as far as rho says, forms fit."""

from __future__ import annotations

import math

import pytest
import torch

from thesisbench.data.stand_ins import context_scenes as scenes
from thesisbench.data.stand_ins.context_scenes import (
    CLASSES,
    SIDE,
    Scenes,
    contents,
    context_scenes_splits,
    numbers_of,
    shapes,
    textures,
)
from thesisbench.errors import UserError

PLAIN = {"turn": 0, "contrast": 0.4, "texture": 0.1, "noise": 0.0, "sides": (14, 36)}


def drawn_contents(rho: float, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scene and class of each object of n images."""
    scene, labels, there = contents(*numbers_of(3, [(0, i) for i in range(n)]), rho)
    return scene[:, None].expand_as(labels)[there], labels[there]


def test_images_have_one_to_three_objects_of_eight_classes() -> None:
    split = context_scenes_splits(data_seed=3, n_train=80, n_test=1, rho=0.0)["train"]
    assert split.images.shape == (80, 3, SIDE, SIDE)
    assert set(split.counts.tolist()) == {1, 2, 3}
    assert split.labels.bincount(minlength=8).min() > 5
    assert len(CLASSES) == len(set(CLASSES)) == 8
    sides = split.boxes[:, 2:] - split.boxes[:, :2]
    assert split.boxes.min() >= 0
    assert split.boxes.max() <= SIDE
    assert sides.min() >= 5
    assert sides.max() <= 48


@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_a_class_has_its_own_texture_as_often_as_rho_says(rho: float) -> None:
    expected = rho + (1 - rho) / 8
    scene, labels = drawn_contents(rho, 3000)
    found = float((scene == labels).float().mean())
    assert found == pytest.approx(expected, abs=0.03 if rho < 1 else 0)


def test_with_rho_0_the_texture_says_nothing_about_the_class() -> None:
    scene, labels = drawn_contents(0.0, 3000)
    table = torch.zeros(8, 8)
    table.index_put_((labels, scene), torch.ones(1), accumulate=True)
    expected = table.sum(1, keepdim=True) * table.sum(0, keepdim=True) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    assert statistic < 95, "chi squared of 49 degrees of freedom; 95 is 1 in 10,000"


def test_the_texture_that_is_drawn_is_that_of_the_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    drawn = scenes.textures
    monkeypatch.setattr(scenes, "textures", lambda k, d: (seen.append(k), drawn(k, d))[1])
    for turn in (0, 3):
        Scenes(rho=0.5, **(PLAIN | {"turn": turn})).draw(3, range(20))
    assert torch.equal((seen[0] + 3) % 8, seen[1])
    *_, found = Scenes(rho=0.5, **PLAIN).draw(3, range(20))
    assert torch.equal(seen[-1], found)


def test_test_scenes_may_have_another_context() -> None:
    base, other = (
        context_scenes_splits(data_seed=3, n_train=10, n_test=60, rho=1.0, test_rho=rho)
        for rho in (None, 0.0)
    )
    assert torch.equal(base["train"].images, other["train"].images)
    assert torch.equal(base["test"].flags["scene"], base["test"].labels)
    same = other["test"].flags["scene"] == other["test"].labels
    assert float(same.float().mean()) < 0.3
    turned = context_scenes_splits(data_seed=3, n_train=10, n_test=20, rho=1.0, test_turn=4)
    straight = context_scenes_splits(data_seed=3, n_train=10, n_test=20, rho=1.0)
    assert torch.equal(turned["test"].boxes, straight["test"].boxes)
    assert torch.equal(turned["train"].images, straight["train"].images)
    assert not torch.equal(turned["test"].images, straight["test"].images)


def test_textures_differ_in_direction_or_frequency() -> None:
    waves = textures(torch.arange(8), torch.full((8, 4), 0.5))
    assert waves.shape == (8, 3, SIDE, SIDE)
    assert waves.abs().max() <= 1
    assert len(set(peaks(waves))) == 8
    other = textures(torch.arange(8), torch.tensor([0.1, 0.9, 0.2, 0.4]).expand(8, 4))
    assert peaks(other) == peaks(waves), "phase and tint tell nothing"


def peaks(waves: torch.Tensor) -> list[tuple[int, int]]:
    """Cycles down and across an image at which a wave is strongest."""
    places = torch.fft.rfft2(waves[:, 0]).abs().flatten(1).argmax(1)
    found = [divmod(place, SIDE // 2 + 1) for place in places.tolist()]
    return [(min(down, SIDE - down) if across == 0 else down, across) for down, across in found]


def test_boxes_hold_the_pixels_of_their_objects() -> None:
    images, boxes, _, there, _ = Scenes(rho=0.0, **PLAIN).draw(3, range(30))
    other, *_ = Scenes(rho=0.0, **(PLAIN | {"contrast": 0.2})).draw(3, range(30))
    changed = (images != other).any(1)
    for pixels, some, real in zip(changed, boxes, there, strict=True):
        left = pixels.clone()
        for x1, y1, x2, y2 in some[real].long().tolist():
            inside = pixels[y1:y2, x1:x2]
            assert inside[0].any()
            assert inside[-1].any()
            assert inside[:, 0].any()
            assert inside[:, -1].any()
            left[y1:y2, x1:x2] = False
        assert not left.any(), "what is drawn lies in the boxes"
        assert (some[~real] == 0).all()


def test_objects_do_not_overlap() -> None:
    split = context_scenes_splits(data_seed=6, n_train=60, n_test=1, sides=(36, 36))["train"]
    for index in range(60):
        boxes = split.target(index, SIDE, SIDE)["boxes"]
        for i in range(len(boxes)):
            for j in range(i):
                low, high = torch.maximum(boxes[i], boxes[j]), torch.minimum(boxes[i], boxes[j])
                assert (high[2:] <= low[:2]).any()


def drawn(name: str, radius: float = 40.0, turn: float = 0.0) -> torch.Tensor:
    label = torch.tensor([CLASSES.index(name)])
    middle = torch.tensor([[64.0, 64.0]])
    return shapes(label, middle, torch.tensor([radius]), torch.tensor([turn]))[0]


def test_forms_have_the_areas_of_their_formulas() -> None:
    r = 40.0
    star_area = 10 * 0.5 * (1.3 * r) * (0.45 * 1.3 * r) * math.sin(math.pi / 5)
    expected = {
        "disc": math.pi * (1.05 * r) ** 2,
        "ring": math.pi * ((1.1 * r) ** 2 - (0.6 * r) ** 2),
        "square": (1.8 * r) ** 2,
        "cross": 2 * 2.4 * 0.8 * r**2 - (0.8 * r) ** 2,
        "bar": 2.6 * r * r,
        "hexagon": 1.5 * math.sqrt(3) * (1.15 * r) ** 2,
        "triangle": 0.75 * math.sqrt(3) * (1.3 * r) ** 2,
        "star": star_area,
    }
    assert set(expected) == set(CLASSES)
    for name, area in expected.items():
        for turn in (0.0, 0.2):
            assert int(drawn(name, turn=turn).sum()) == pytest.approx(area, rel=0.03), name


def test_forms_have_their_symmetries_and_no_two_are_alike() -> None:
    found = {name: drawn(name) for name in CLASSES}
    for name, pixels in found.items():
        assert torch.equal(pixels, pixels.flip(1)), name
        assert torch.equal(pixels, pixels.flip(0)) == (name not in ("triangle", "star"))
        assert torch.equal(pixels, pixels.T) == (name in ("disc", "ring", "square", "cross"))
    for i, a in enumerate(CLASSES):
        for b in CLASSES[:i]:
            both = (found[a] & found[b]).sum() / (found[a] | found[b]).sum()
            assert both < 0.95, (a, b)
    assert not found["ring"][60:68, 60:68].any()
    assert found["star"][20, 64], "a corner at the top"


def test_images_are_functions_of_seed_and_index() -> None:
    ten, few = (context_scenes_splits(data_seed=7, n_train=n, n_test=3) for n in (10, 4))
    assert torch.equal(few["train"].images, ten["train"].images[:4])
    assert torch.equal(few["test"].images, ten["test"].images)
    later, early = (Scenes(rho=0.5, **PLAIN).draw(3, r)[0] for r in (range(5, 8), range(8)))
    assert torch.equal(later, early[5:])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n_test": 0}, "n_test"),
        ({"rho": 2.0}, "rho=2.0"),
        ({"test_rho": -0.5}, "test_rho=-0.5"),
        ({"contrast": -1.0}, "not be negative"),
        ({"sides": (20, 60)}, r"sides=\[20, 60\]"),
    ],
)
def test_nonsense_is_refused(given, said: str) -> None:
    with pytest.raises(UserError, match=said):
        context_scenes_splits(data_seed=0, **given)
