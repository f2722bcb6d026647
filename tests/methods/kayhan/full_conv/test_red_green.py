"""Facts of the Red-Green images and of the two split protocols."""

from collections import Counter

import pytest
import torch

from thesisbench.errors import UserError
from thesisbench.methods.kayhan.full_conv.red_green import (
    DISTINCT,
    generate_red_green,
    make_dissimilar,
    red_green_splits,
)


def _corner(plane):
    """Top row and left column of the one 4x4 square of a plane; asserts that it is one."""
    rows, columns = torch.nonzero(plane, as_tuple=True)
    top, left = int(rows.min()), int(columns.min())
    assert plane[top : top + 4, left : left + 4].eq(1).all()
    assert plane.sum() == 16
    return top, left


def _squares(images, labels):
    """(label, left row, left column, right row, right column) by colour and class."""
    found = []
    for image, label in zip(images, labels.tolist(), strict=True):
        assert not image[2].any()
        red, green = _corner(image[0]), _corner(image[1])
        found.append((label, *((red, green) if label == 0 else (green, red))))
    return found


def _distinct(images):
    return len(images.flatten(1).unique(dim=0))


@pytest.fixture(scope="module")
def sample():
    images, labels = generate_red_green(2000, seed=11)
    return images, labels, _squares(images, labels)


def test_images_are_as_stated(sample):
    images, labels, squares = sample
    assert images.shape == (2000, 3, 32, 32)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.long
    assert labels.tolist() == [0, 1] * 1000
    for label, (row1, x1), (row2, x2) in squares:
        lowest = 3 if label == 0 else 19
        assert lowest <= row1 <= lowest + 7
        assert lowest <= row2 <= lowest + 7
        assert 0 <= x1 <= 9
        assert x1 + 5 <= x2 <= 27


def test_every_value_in_the_stated_ranges_occurs_evenly(sample):
    _, _, squares = sample
    left = Counter(x1 for _, (_, x1), _ in squares)
    assert sorted(left) == list(range(10))
    assert all(140 < n < 260 for n in left.values())  # 200 expected, sd 13
    tops = Counter(row for label, *both in squares if label == 0 for row, _ in both)
    assert sorted(tops) == list(range(3, 11))
    assert all(180 < n < 320 for n in tops.values())  # 250 expected, sd 15
    together = sum(row1 == row2 for _, (row1, _), (row2, _) in squares)
    assert 170 < together < 330  # rows are independent: 1 in 8
    assert max(x2 for _, _, (_, x2) in squares) == 27


def test_right_columns_follow_the_redrawing_generator(sample):
    """Slow reference: U{x1..27} redrawn until five columns away, then compared by their means."""
    generator = torch.Generator().manual_seed(0)
    drawn = []
    while len(drawn) < 2000:
        x1 = int(torch.randint(0, 10, (), generator=generator))
        x2 = x1
        while x2 - x1 < 5:
            x2 = int(torch.randint(x1, 28, (), generator=generator))
        drawn.append(x2)
    ours = torch.tensor([float(x2) for _, _, (_, x2) in sample[2]])
    reference = torch.tensor(drawn).float()
    assert abs(ours.mean() - reference.mean()) < 0.8  # standard error 0.18
    assert abs(ours.std() - reference.std()) < 0.6


def test_dissimilar_swaps_the_heights_and_keeps_the_order(sample):
    images, labels, squares = sample
    moved = _squares(make_dissimilar(images, labels), labels)
    for (label, (row1, x1), (row2, x2)), (_, left, right) in zip(squares, moved, strict=True):
        step = 16 if label == 0 else -16
        assert left == (row1 + step, x1)
        assert right == (row2 + step, x2)


def test_dissimilar_refuses_to_lose_an_object():
    images, labels = generate_red_green(4, seed=0)
    with pytest.raises(ValueError, match="leave the image"):
        make_dissimilar(images, 1 - labels)


def test_released_protocol_repeats_training_images():
    splits = red_green_splits(protocol="released")
    train, labels = splits["train"]
    assert {name: len(y) for name, (_, y) in splits.items()} == {
        "train": 2000,
        "val": 1000,
        "similar": 1000,
        "dissimilar": 1000,
    }
    for name in ("val", "similar"):
        assert torch.equal(splits[name][0], train[:1000])
        assert torch.equal(splits[name][1], labels[:1000])
    moved, same_labels = splits["dissimilar"]
    assert torch.equal(moved, make_dissimilar(train[:1000], labels[:1000]))
    assert torch.equal(same_labels, labels[:1000])
    assert _distinct(train) == 1911  # counted in the released images


def test_held_out_protocol_has_disjoint_splits():
    splits = red_green_splits(protocol="held_out", data_seed=3)
    images = [splits[name][0] for name in ("train", "val", "similar", "dissimilar")]
    assert [len(x) for x in images] == [2000, 1000, 1000, 1000]
    assert _distinct(torch.cat(images)) == sum(_distinct(x) for x in images)
    assert torch.equal(images[3], make_dissimilar(*splits["similar"]))


def test_held_out_protocol_redraws_where_collisions_are_certain():
    splits = red_green_splits(
        protocol="held_out", n_train=DISTINCT // 4, n_val=DISTINCT // 8, n_test=DISTINCT // 8
    )
    images = [splits[name][0] for name in ("train", "val", "similar")]
    assert _distinct(torch.cat(images)) == sum(_distinct(x) for x in images)
    _squares(splits["similar"][0][:200], splits["similar"][1][:200])


@pytest.mark.parametrize("protocol", ["released", "held_out"])
def test_splits_depend_on_the_data_seed_alone(protocol):
    sizes = {"n_train": 40, "n_val": 20, "n_test": 20}
    one, two, other = (
        red_green_splits(protocol=protocol, data_seed=seed, **sizes) for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name][0], two[name][0]) for name in one)
    assert not torch.equal(one["train"][0], other["train"][0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "relesed"}, "unknown protocol 'relesed'"),
        ({"protocol": "held_out", "n_train": 20000}, "at most 11840"),
        ({"protocol": "released", "n_train": 500}, "must not exceed n_train=500"),
    ],
)
def test_impossible_splits_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        red_green_splits(**options)
