"""Thin structures: forms by geometry, colours that do not tell the class, draws by the seed."""

from __future__ import annotations

import math

import pytest
import torch

from thesisbench.data.arrays import Loading
from thesisbench.data.module import ArrayDataModule
from thesisbench.data.stand_ins.thin_seg import (
    CLASSES,
    OBJECTS,
    _shape,
    draw_images,
    flip_pairs,
    thin_seg_splits,
)
from thesisbench.errors import UserError


@pytest.fixture(scope="module")
def splits() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return thin_seg_splits(data_seed=5, n_train=64, n_val=64)


def test_every_class_is_there_and_none_is_rare(splits) -> None:
    for images, masks in splits.values():
        assert images.shape == (64, 3, 64, 64)
        assert masks.shape == (64, 64, 64)
        share = masks.flatten().bincount(minlength=len(CLASSES)) / masks.numel()
        assert len(share) == 5
        assert share.min() > 0.02
        assert share.argmax() == 0


def test_fewer_images_are_the_first_of_more_and_splits_differ(splits) -> None:
    few = thin_seg_splits(data_seed=5, n_train=10, n_val=3)
    for name, n in (("train", 10), ("val", 3)):
        for one, other in zip(few[name], splits[name], strict=True):
            assert torch.equal(one, other[:n])
    assert not torch.equal(splits["train"][1], splits["val"][1])
    other = thin_seg_splits(data_seed=6, n_train=10, n_val=3)
    assert not torch.equal(other["train"][1], few["train"][1])


def test_difficulty_is_noise_alone(splits) -> None:
    clean, hard = (thin_seg_splits(data_seed=5, n_train=8, n_val=8, difficulty=d) for d in (0, 2))
    assert torch.equal(clean["val"][1], hard["val"][1])
    assert clean["val"][0].min() >= 0
    assert clean["val"][0].max() <= 1
    noise = hard["val"][0] - clean["val"][0]
    assert float(noise.std()) == pytest.approx(0.5, rel=0.02)
    assert float((splits["val"][0][:8] - clean["val"][0]).std()) == pytest.approx(0.25, rel=0.02)


def _drawn(**numbers: float) -> torch.Tensor:
    """Numbers of one object in the middle of the image; by default small, unturned and thin."""
    names = ("r", "g", "b", "x", "y", "size", "turn", "thick")
    middle = {"x": 0.5, "y": 0.5}
    return torch.tensor([[(middle | numbers).get(name, 0.0) for name in names]])


@pytest.mark.parametrize(("thick", "width"), [(0.0, 1), (0.34, 2), (0.99, 3)])
def test_lines_are_one_to_three_pixels_wide(thick: float, width: int) -> None:
    centre = 0.5 + 0.5 / (0.8 * 64) * (width % 2)  # odd widths lie on pixel centres
    lines = _shape(3, _drawn(thick=thick, x=centre, y=centre, turn=0.5), 64)[0]
    columns = lines.any(0).nonzero().flatten()
    assert len(columns) == width
    assert int(lines.sum()) == width * int(lines.any(1).sum())
    for turn in (0.13, 0.3, 0.77):  # a slanted line has no gap
        slanted = _shape(3, _drawn(thick=thick, turn=turn, size=1.0), 64)[0]
        longest = max(int(slanted.any(0).sum()), int(slanted.any(1).sum()))
        assert longest >= 2 * 64 * 0.45 * math.sqrt(0.5) - 2


def test_rings_are_the_pixels_within_half_a_width_of_a_circle() -> None:
    ring = _shape(4, _drawn(size=0.5, thick=0.5), 64)[0]
    for i in range(64):
        for j in range(64):
            distance = math.hypot(i + 0.5 - 32, j + 0.5 - 32)
            assert bool(ring[i, j]) == (abs(distance - 64 * 0.13) <= 1.0)


@pytest.mark.parametrize(("label", "corners"), [(1, 3), (2, 6)])
def test_polygons_have_the_area_of_their_formula(label: int, corners: int) -> None:
    radius = 64 * 0.28
    area = corners / 2 * radius**2 * math.sin(2 * math.pi / corners)
    for turn in (0.0, 0.3):
        found = int(_shape(label, _drawn(size=1.0, turn=turn), 64).sum())
        assert found == pytest.approx(area, rel=0.05)


def test_objects_are_brighter_than_the_ground_but_colours_do_not_tell_which_they_are() -> None:
    images, masks = draw_images(3, 200, side=64, noise=0.0)
    brighter = 0
    for image, mask in zip(images, masks, strict=True):
        thin, polygon = (image[:, (mask > low) & (mask <= low + 2)] for low in (2, 0))
        assert image[:, mask == 0].max() <= 0.3
        assert min(thin.min(), polygon.min()) >= 0.45 - 1e-6
        distance = float(thin.mean() - polygon.mean())
        assert abs(distance) == pytest.approx(0.3, abs=0.1)
        brighter += distance > 0
    assert 70 < brighter < 130


def test_thin_objects_lie_on_top() -> None:
    assert list(OBJECTS) == sorted(OBJECTS, key=lambda label: label > 2)


def test_images_and_masks_flip_together_by_seed_epoch_and_index(splits) -> None:
    _, masks = splits["train"]
    marked = masks[:, None].float().expand(-1, 3, -1, -1)
    keys = [(2, i) for i in range(len(masks))]
    (flipped,), turned = flip_pairs(((marked,), masks), keys, 7)
    assert torch.equal(flipped[:, 0], turned.float())
    kinds = {0: 0, 1: 0, 2: 0, 3: 0}
    for mask, new in zip(masks, turned, strict=True):
        options = [mask, mask.flip(0), mask.flip(1), mask.flip(0, 1)]
        kinds[next(k for k, o in enumerate(options) if torch.equal(o, new))] += 1
    assert min(kinds.values()) > 5
    (_,), alone = flip_pairs(((marked[9:10],), masks[9:10]), [(2, 9)], 7)
    assert torch.equal(alone[0], turned[9])
    (_,), later = flip_pairs(((marked,), masks), [(3, i) for _, i in keys], 7)
    assert not torch.equal(later, turned)


def test_a_module_loads_images_with_their_masks(splits) -> None:
    module = ArrayDataModule("thin_seg", lambda: splits, transform=flip_pairs)
    module.loading = Loading(batch_size=8, seed=1)
    (images,), masks = next(iter(module.loader("val")))
    assert torch.equal(images, splits["val"][0][:8])
    assert torch.equal(masks, splits["val"][1][:8])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n_train": 0}, "n_train=0"),
        ({"side": 16}, "side=16"),
        ({"difficulty": -1}, "not negative"),
    ],
)
def test_nonsense_is_refused(given: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        thin_seg_splits(data_seed=0, **given)
