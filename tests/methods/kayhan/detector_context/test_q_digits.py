"""The digits stand-in: stretched tiles, separate sources, thesis order of the context."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from thesisbench.methods.kayhan.detector_context.q_digits import (
    DIGIT_SETS,
    q_digits_splits,
    stretch_to_tile,
)


def _tiles(side=16):
    digits, classes = load_digits(return_X_y=True)
    return stretch_to_tile(torch.from_numpy(digits / 16).float().reshape(-1, 8, 8), side), classes


def test_stretched_digits_reach_every_edge_of_their_tile():
    tiles, _ = _tiles()
    assert tiles.shape == (1797, 16, 16)
    for edge in (tiles[:, 0], tiles[:, -1], tiles[:, :, 0], tiles[:, :, -1]):
        assert (edge.amax(dim=1) > 0).all()
    assert tiles.min() >= 0
    assert tiles.max() <= 1


def _stretch_by_hand(image, side):
    """Bilinear, pixel by pixel, over the bounding box of the ink."""
    rows, columns = np.nonzero(image)
    (top, bottom), (left, right) = (rows.min(), rows.max()), (columns.min(), columns.max())
    tile = np.zeros((side, side))
    for i in range(side):
        for j in range(side):
            y = top + (bottom - top) * i / (side - 1)
            x = left + (right - left) * j / (side - 1)
            for row in range(image.shape[0]):
                for column in range(image.shape[1]):
                    weight = max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column))
                    tile[i, j] += weight * image[row, column]
    return tile


@pytest.mark.parametrize("index", [0, 1, 500])
def test_stretching_equals_the_slow_reference(index):
    digits, _ = load_digits(return_X_y=True)
    image = digits[index].reshape(8, 8) / 16
    tiles, _ = _tiles(side=11)
    np.testing.assert_allclose(tiles[index].numpy(), _stretch_by_hand(image, 11), atol=1e-5)


def _keys(images):
    return {row.numpy().tobytes() for row in images.flatten(1)}


def test_images_hold_digits_and_the_test_has_its_own_sources():
    splits = q_digits_splits(
        context="full", data_seed=3, n_train=200, n_val=100, n_test=150, noise=0.0
    )
    tiles, classes = _tiles()
    sources = {"train": slice(0, 1000), "val": slice(0, 1000), "test": slice(1000, None)}
    for name, part in sources.items():
        (images, boxes), labels = splits[name]
        assert images.shape[1:] == (1, 32, 32)
        assert boxes[0].tolist() == [0, 0, 16, 16]
        for label in (0, 1):
            mine = images[labels == label]
            wanted = (DIGIT_SETS.objects[label], *DIGIT_SETS.full[label])
            corners = ((0, 0), (0, 16), (16, 0), (16, 16))
            for (y, x), digit in zip(corners, wanted, strict=True):
                pool = _keys(tiles[part][classes[part] == digit])
                assert _keys(mine[:, 0, y : y + 16, x : x + 16]) <= pool
    assert [len(labels) for _, labels in splits.values()] == [200, 100, 150]


def test_objects_carry_noise_of_the_grey_range_and_are_the_same_under_every_context():
    sizes = {"n_train": 20, "n_val": 20, "n_test": 400}
    (clean, _), _ = q_digits_splits(context="none", data_seed=0, noise=0.0, **sizes)["test"]
    (noisy, _), _ = q_digits_splits(context="none", data_seed=0, **sizes)["test"]
    (other, _), _ = q_digits_splits(context="anti", data_seed=0, **sizes)["test"]
    assert abs((noisy - clean)[..., :16, :16].std() - 0.9) < 0.01
    assert torch.equal(noisy[..., :16, :16], other[..., :16, :16])


def test_class_sets_follow_the_chapter():
    assert DIGIT_SETS.objects == (3, 8)
    assert [set(triple) for triple in DIGIT_SETS.semi] == [{0, 1, 2}, {4, 5, 6}]
    assert [set(triple) for triple in DIGIT_SETS.full] == [{0, 1, 2}, {4, 5, 6}]
    assert set(DIGIT_SETS.others) == set(range(10)) - {3, 8}
