"""How context goes with the object; a pixel of each tile holds its class, to be read off."""

import numpy as np
import pytest
import torch

from thesisbench.errors import UserError
from thesisbench.methods.kayhan.detector_context.composites import (
    CONTEXTS,
    ContextSets,
    TilePool,
    compose_quadrants,
    composite_splits,
)

SETS = ContextSets(
    objects=(3, 8),
    semi=((0, 1, 2), (4, 5, 6)),
    full=((1, 0, 2), (5, 4, 6)),
    others=(0, 1, 2, 4, 5, 6, 7, 9),
)
SIDE = 4


def _pool(seed=0):
    """Tiles whose top-left pixel is class + 1 and whose others are noise."""
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(10), 20))
    tiles = np.random.default_rng(seed + 1).random((200, SIDE, SIDE)).astype(np.float32)
    tiles[:, 0, 0] = classes + 1
    return TilePool(tiles, classes)


def _splits(context, seed=0, n=400, noise=0.0):
    pools = {"train": _pool(), "val": _pool(), "test": _pool(7)}
    return composite_splits(
        pools, dict.fromkeys(pools, n), context=context, sets=SETS, data_seed=seed, noise=noise
    )


def _classes(images):
    """Classes at top-left, up-right, bottom-left, bottom-right; -1 for a black tile."""
    return (images[:, 0, ::SIDE, ::SIDE].flatten(1) - 1).int()


def _triples(context, name="test"):
    (images, _), labels = _splits(context)[name]
    return labels, [tuple(row) for row in _classes(images)[:, 1:].tolist()]


def test_quadrants_lie_as_printed():
    objects = torch.full((1, 2, 2), 1.0)
    context = torch.tensor([2.0, 3.0, 4.0])[None, :, None, None].expand(1, 3, 2, 2)
    image = compose_quadrants(objects, context)
    assert image.tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]]]


def test_shapes_boxes_and_balance():
    (images, boxes), labels = _splits("full")["train"]
    assert images.shape == (400, 1, 2 * SIDE, 2 * SIDE)
    assert images.dtype == boxes.dtype == torch.float32
    assert torch.equal(boxes, torch.tensor([[0.0, 0, SIDE, SIDE]]).repeat(400, 1))
    assert labels.tolist() == [0, 1] * 200
    assert _classes(images)[:, 0].tolist() == [3, 8] * 200


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_the_object_quadrant_is_identical_over_contexts(name):
    quadrants = []
    for context in CONTEXTS:
        (images, _), labels = _splits(context, noise=0.9)[name]
        quadrants.append(images[..., :SIDE, :SIDE])
        assert labels.tolist() == [0, 1] * 200
    assert all(torch.equal(quadrants[0], other) for other in quadrants[1:])


def test_none_leaves_the_rest_black():
    (images, _), _ = _splits("none", noise=0.9)["train"]
    images = images.clone()
    images[..., :SIDE, :SIDE] = 0
    assert not images.any()


def test_noise_touches_the_object_alone():
    (clean, _), _ = _splits("full")["train"]
    (noisy, _), _ = _splits("full", noise=0.9)["train"]
    difference = noisy - clean
    assert abs(difference[..., :SIDE, :SIDE].std() - 0.9) < 0.05
    difference[..., :SIDE, :SIDE] = 0
    assert not difference.any()


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_full_context_is_a_function_of_the_label(name):
    labels, triples = _triples("full", name)
    assert triples == [SETS.full[label] for label in labels.tolist()]


def test_anti_trains_as_full_and_swaps_the_test():
    full, anti = _splits("full"), _splits("anti")
    for name in ("train", "val"):
        assert torch.equal(full[name][0][0], anti[name][0][0])
    labels, triples = _triples("anti")
    assert triples == [SETS.full[1 - label] for label in labels.tolist()]


def test_semi_keeps_the_triple_together_three_times_in_four():
    labels, triples = _triples("semi")
    for label in (0, 1):
        own = [t for t, y in zip(triples, labels.tolist(), strict=True) if y == label]
        share = own.count(SETS.semi[label]) / len(own)
        assert abs(share - 0.75) < 0.1  # sd 0.031
        assert own.count(SETS.semi[label]) + own.count(SETS.semi[1 - label]) == len(own)


def test_uncorrelated_draws_each_place_from_all_others_whatever_the_label():
    labels, triples = _triples("uncorrelated")
    for place in range(3):
        for label in (0, 1):
            drawn = [t[place] for t, y in zip(triples, labels.tolist(), strict=True) if y == label]
            counts = np.bincount(drawn, minlength=10)
            assert set(np.flatnonzero(counts)) == set(SETS.others)
            assert counts[list(SETS.others)].min() >= 8  # 25 expected, sd 4.7
    assert len(set(triples)) > 200


def test_draws_depend_on_seed_and_split():
    one, two, other = _splits("semi", 1), _splits("semi", 1), _splits("semi", 2)
    assert all(torch.equal(one[name][0][0], two[name][0][0]) for name in one)
    assert not torch.equal(one["train"][0][0], other["train"][0][0])
    assert not torch.equal(one["train"][0][0], one["val"][0][0])


def test_object_and_context_sources_are_drawn_independently():
    """All classes alike, tiles numbered: equal numbers in object and context 1 time in 20."""
    classes = np.repeat(np.arange(10), 20)
    numbers = np.tile(np.arange(20, dtype=np.float32), 10)
    pool = TilePool(np.broadcast_to(numbers[:, None, None], (200, SIDE, SIDE)), classes)
    (images, _), _ = composite_splits(
        {"test": pool}, {"test": 1000}, context="full", sets=SETS, data_seed=0
    )["test"]
    drawn = images[:, 0, ::SIDE, ::SIDE].flatten(1)
    in_order = drawn[:, 1:].flatten()[:1000]  # as one stream would repeat the object's draws
    assert 0.02 < (in_order == drawn[:, 0]).float().mean() < 0.09  # sd 0.007
    assert 0.02 < (drawn[:, 1] == drawn[:, 0]).float().mean() < 0.09


def test_pools_draw_only_and_all_tiles_of_the_wanted_class():
    pool, rng = _pool(), np.random.default_rng(0)
    wanted = rng.integers(0, 10, (50, 40))
    drawn = pool.draw(wanted, rng)
    assert drawn.shape == (50, 40, SIDE, SIDE)
    assert np.array_equal(drawn[..., 0, 0], wanted + 1)
    assert len(np.unique(drawn.reshape(-1, SIDE * SIDE), axis=0)) == 200


def test_unknown_contexts_and_absent_classes_are_refused():
    with pytest.raises(UserError, match="unknown context 'ful'"):
        _splits("ful")
    with pytest.raises(UserError, match="none of class 4"):
        TilePool(np.zeros((2, 2, 2), np.float32), np.array([3, 5])).draw(
            np.array([4]), np.random.default_rng(0)
        )
