"""Shifted digits: disjoint balanced splits, places near the centre, moves from (seed, epoch)."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from thesisbench.data.arrays import Loading
from thesisbench.data.module import ArrayDataModule
from thesisbench.data.stand_ins.shifted_digits import (
    MOST,
    move_from_centre,
    roll_each,
    shifted_digits_splits,
)
from thesisbench.errors import UserError

DIGIT = 16
CLEAN = {"data_seed": 3, "noise": 0.0}


@pytest.fixture(scope="module")
def splits():
    return shifted_digits_splits(per_class=100, **CLEAN)


def _ink(image):
    """First and last row and column with ink."""
    rows, columns = torch.nonzero(image.amax(1))[:, 0], torch.nonzero(image.amax(0))[:, 0]
    return [int(v) for v in (rows[0], rows[-1], columns[0], columns[-1])]


def _cut_out(image):
    """The ink of an image, wherever it is."""
    top, bottom, left, right = _ink(image)
    return image[top : bottom + 1, left : right + 1].numpy().tobytes()


def test_the_rarest_class_gives_the_number_of_digits():
    assert np.bincount(load_digits(return_X_y=True)[1]).min() == MOST


def test_splits_are_balanced_and_their_classes_take_turns(splits):
    for name, count in {"train": 100, "val": 74, "wide": 74}.items():
        images, labels = splits[name]
        assert labels.tolist() == list(range(10)) * count
        side = 48 if name == "wide" else 32
        assert images.shape == (10 * count, 1, side, side)
        assert images.min() >= 0
        assert images.max() <= 1


def test_no_digit_is_in_two_splits(splits):
    seen = [_cut_out(i[0]) for name in ("train", "val") for i in splits[name][0]]
    assert len(seen) == 1740
    assert len(set(seen)) >= 1735  # a few of scikit-learn's 8x8 digits are alike when cut out


def test_fewer_training_digits_are_the_first_of_more_and_the_tests_stay(splits):
    few = shifted_digits_splits(per_class=5, **CLEAN)
    assert torch.equal(few["train"][0], splits["train"][0][:50])
    for name in ("val", "wide"):
        assert torch.equal(few[name][0], splits[name][0])


def test_labels_are_those_of_the_digits(splits):
    digits, classes = load_digits(return_X_y=True)
    small = torch.from_numpy(digits / 16).float().view(-1, 1, 8, 8)
    middle = splits["train"][0][:40, :, 8:24, 8:24]
    # Bilinear enlargement by two keeps the mean of the image away from its edges, nearly.
    halved = torch.nn.functional.avg_pool2d(middle, 2)
    distance = torch.cdist(halved.flatten(1), small.flatten(1))
    assert classes[distance.argmin(1).numpy()].tolist() == splits["train"][1][:40].tolist()


def test_training_digits_lie_in_the_very_centre(splits):
    outside = splits["train"][0].clone()
    outside[..., 8:24, 8:24] = 0
    assert outside.abs().max() == 0
    assert splits["train"][0][..., 8:24, 8:24].amax((0, 1))[[0, -1]].amax() > 0, "the tile is used"


def test_validation_images_are_the_middle_of_wide_ones(splits):
    assert torch.equal(splits["wide"][0][..., 8:40, 8:40], splits["val"][0])
    top, _, left, _ = _ink(splits["wide"][0].amax((0, 1)))
    assert 8 < top < 16, "moved from the centre, by chance"
    assert 8 < left < 16


def test_places_have_the_given_spread(splits):
    # The tile of a digit is 16 wide, but not its ink: compare with the same digits unmoved.
    still = shifted_digits_splits(per_class=100, sigma=0.0, **CLEAN)["val"][0]
    pairs = zip(splits["val"][0], still, strict=True)
    moves = np.array([np.subtract(_ink(a[0]), _ink(b[0])) for a, b in pairs])
    assert (moves[:, 0] == moves[:, 1]).all()  # moved as a whole
    assert (moves[:, 2] == moves[:, 3]).all()
    assert moves[:, [0, 2]].std(0) == pytest.approx([2.0, 2.0], abs=0.2)
    assert moves[:, [0, 2]].mean(0) == pytest.approx([0.0, 0.0], abs=0.3)


def test_seeds_draw_other_parts_and_places(splits):
    other = shifted_digits_splits(per_class=100, data_seed=4, noise=0.0)
    assert not torch.equal(other["val"][0], splits["val"][0])
    again = shifted_digits_splits(per_class=100, **CLEAN)
    assert all(torch.equal(again[n][0], splits[n][0]) for n in splits)


def test_noise_is_everywhere_has_the_given_spread_and_moves_with_the_window(splits):
    noisy = shifted_digits_splits(data_seed=3, per_class=100, noise=0.25)
    for name in splits:
        added = noisy[name][0] - splits[name][0]
        assert added.std().item() == pytest.approx(0.25, rel=0.02)
        assert added[..., 0, :].std().item() == pytest.approx(0.25, rel=0.05)
    assert torch.equal(noisy["wide"][0][..., 8:40, 8:40], noisy["val"][0])
    assert torch.equal(
        shifted_digits_splits(data_seed=3, per_class=5, noise=0.25)["train"][0],
        noisy["train"][0][:50],
    )


def test_noise_on_the_digit_keeps_the_ground_black_and_moves_with_the_digit():
    places = {"per_class": 50, "digit": 12, "canvas": 28, "noise_on": "digit", "sigma": 1.0}
    noisy = shifted_digits_splits(data_seed=3, noise=0.3, **places)
    still = shifted_digits_splits(data_seed=3, noise=0.0, **places)
    for name in ("train", "wide"):
        added = noisy[name][0] - still[name][0]
        assert ((added != 0).sum((1, 2, 3)) == 12 * 12).all()
        assert added[added != 0].std().item() == pytest.approx(0.3, rel=0.02)
        for image in added[:20]:
            top, bottom, left, right = _ink(image[0].abs())
            assert (bottom - top, right - left) == (11, 11), "a square, wherever the digit is"
    few = shifted_digits_splits(data_seed=3, noise=0.3, **{**places, "per_class": 5})
    assert torch.equal(few["train"][0], noisy["train"][0][:50])
    assert torch.equal(few["wide"][0], noisy["wide"][0])


def test_digits_can_be_of_any_size_from_that_of_the_source_on():
    digits, classes = load_digits(return_X_y=True)
    images, labels = shifted_digits_splits(
        data_seed=0, per_class=100, digit=8, canvas=12, noise=0.0, sigma=0.0
    )["train"]
    known = {(k, d.tobytes()) for k, d in zip(classes.tolist(), digits / 16, strict=True)}
    cut = images[:, 0, 2:10, 2:10].reshape(len(images), 64).double().numpy()
    assert all((k, d.tobytes()) in known for k, d in zip(labels.tolist(), cut, strict=True))


def _roll_slowly(image, down, right):
    moved = torch.empty_like(image)
    _, height, width = image.shape
    for i in range(height):
        for j in range(width):
            moved[:, (i + down) % height, (j + right) % width] = image[:, i, j]
    return moved


def test_rolling_each_equals_the_slow_reference():
    images = torch.randn(3, 2, 5, 4)
    offsets = torch.tensor([[0, 0], [2, -1], [-3, 3]])
    slow = [_roll_slowly(i, *o) for i, o in zip(images, offsets.tolist(), strict=True)]
    assert torch.equal(roll_each(images, offsets), torch.stack(slow))


def test_moves_depend_on_seed_epoch_and_index_alone(splits):
    images, labels = splits["train"]

    def moved(keys, seed=7):
        index = torch.tensor([i for _, i in keys])
        batch = ((images[index],), labels[index])
        return move_from_centre(batch, keys, seed, sigma=2.0)[0][0]

    together = moved([(0, 1), (4, 2), (0, 30)])
    assert torch.equal(together[1], moved([(4, 2)])[0])
    assert not torch.equal(together[1], moved([(5, 2)])[0])
    assert not torch.equal(together[1], moved([(4, 2)], seed=8)[0])


def test_moves_have_the_given_spread_and_keep_the_digit_whole(splits):
    images = torch.zeros(1000, 1, 32, 32)
    images[..., 8 : 8 + DIGIT, 8 : 8 + DIGIT] = 1
    keys = [(2, i) for i in range(1000)]
    for sigma, spread in ((2.0, 2.0), (50.0, None)):
        (moved,), _ = move_from_centre(((images,), torch.zeros(1000)), keys, 0, sigma=sigma)
        places = np.array([_ink(image[0]) for image in moved])
        assert (places[:, 1] - places[:, 0] == DIGIT - 1).all(), "no digit leaves and comes back"
        if spread:
            assert places[:, [0, 2]].std(0) == pytest.approx([spread] * 2, abs=0.15)
            assert places[:, [0, 2]].mean(0) == pytest.approx([8, 8], abs=0.25)
        else:
            assert set(places[:, 0]) <= set(range(17))


def test_the_module_moves_training_images_only():
    data = ArrayDataModule(
        "shifted_digits",
        lambda: shifted_digits_splits(data_seed=0, per_class=2),
        transform=lambda *a: move_from_centre(*a, sigma=3.0),
    )
    data.loading = Loading(batch_size=4, seed=1)
    keys = [(0, i) for i in range(20)]
    plain, trained = (data.split("train", train=t).__getitems__(keys)[0][0] for t in (False, True))
    assert torch.equal(plain, data.arrays["train"][0])
    assert not torch.equal(plain, trained)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"per_class": 101}, "per_class=101, n_val=74: at least 1 each, and at most 174"),
        ({"n_val": 0}, "n_val=0"),
        ({"canvas": 17}, "canvas=17 is too small"),
        ({"reach": 3}, "reach=3 must be an even number"),
        ({"digit": 7}, "digit=7 is too small: digits have 8 pixels"),
        ({"digit": 31}, "canvas=32 is too small: digits of 31 pixels"),
        ({"noise_on": "ink"}, "unknown noise_on='ink'; valid: canvas, digit"),
    ],
)
def test_sizes_that_cannot_be_are_refused(changes, text):
    with pytest.raises(UserError, match=text):
        shifted_digits_splits(**{"data_seed": 0, **changes})
