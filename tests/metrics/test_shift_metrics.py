"""Diagonal-shift accuracy and consistency against slow references, and their exact properties."""

import math

import pytest
import torch

from thesisbench.data.arrays import mix
from thesisbench.errors import UserError
from thesisbench.metrics.shifts import (
    DiagonalShiftAccuracy,
    ShiftConsistency,
    diagonal_window,
    generalization_gap,
)


def _logits(n=7, shifts=5, classes=4):
    return torch.randn(n, shifts, classes, generator=torch.Generator().manual_seed(1))


def test_a_window_starts_at_the_offset_in_both_axes():
    images = torch.arange(36.0).view(1, 1, 6, 6)
    assert diagonal_window(images, 2, 3).tolist() == [[[[14, 15, 16], [20, 21, 22], [26, 27, 28]]]]
    assert torch.equal(diagonal_window(images, 0, 6), images)


@pytest.mark.parametrize(("size", "offset"), [((6, 6), 4), ((6, 9), 4), ((6, 6), -1)])
def test_a_window_outside_the_image_is_refused_with_both_sizes(size, offset):
    with pytest.raises(UserError, match=rf"3 pixels at offset {offset} leaves images of 6x"):
        diagonal_window(torch.zeros(1, 1, *size), offset, 3)


def test_accuracy_and_probability_equal_the_slow_reference():
    logits, labels = _logits(), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    right, probability = [], []
    for image, label in zip(logits.tolist(), labels.tolist(), strict=True):
        for scores in image:
            right.append(scores.index(max(scores)) == label)
            total = sum(math.exp(s) for s in scores)
            probability.append(math.exp(scores[label]) / total)
    metric = DiagonalShiftAccuracy(shifts=5, crop=3)
    for part in (slice(0, 3), slice(3, 3), slice(3, 7)):  # in parts, one of them empty
        metric.update(logits[part], labels[part])
    found = metric.compute()
    assert found["accuracy"].item() == pytest.approx(100 * sum(right) / 35)
    assert found["probability"].item() == pytest.approx(100 * sum(probability) / 35, rel=1e-6)
    assert 0 < sum(right) < 35, "the example shows something"


def test_one_image_right_at_one_of_four_shifts_is_a_quarter():
    logits = torch.zeros(1, 4, 2)
    logits[0, :, 1] = torch.tensor([1.0, 1.0, -1.0, 1.0])
    metric = DiagonalShiftAccuracy(shifts=4, crop=1)
    metric.update(logits, torch.tensor([0]))
    assert metric.compute()["accuracy"].item() == 25.0
    metric.reset()
    metric.update(logits, torch.tensor([1]))
    assert metric.compute()["accuracy"].item() == 75.0


def test_the_metric_cuts_the_windows_it_wants():
    images = torch.randn(2, 1, 8, 8)
    windows = list(DiagonalShiftAccuracy(shifts=4, crop=5).windows(images))
    assert [w.shape[-2:] for w in windows] == [(5, 5)] * 4
    assert all(torch.equal(w, images[..., t : t + 5, t : t + 5]) for t, w in enumerate(windows))


def test_consistency_equals_the_slow_reference():
    classes = _logits(n=9, shifts=6, classes=3).argmax(2)
    metric = ShiftConsistency(pairs=4, max_shift=5, seed=11)
    agreed = 0
    for number, row in enumerate(classes.tolist()):
        for pair in range(4):
            a, b = (mix(11, 0, number, 2 * pair + end) % 5 + 1 for end in (0, 1))
            agreed += row[a] == row[b]
    metric.update(classes[:2], torch.tensor([0, 1]))
    metric.update(classes[2:], torch.arange(2, 9))
    assert metric.compute().item() == pytest.approx(100 * agreed / 36)
    assert 0 < agreed < 36, "the example shows something"


def test_pairs_are_uniform_independent_and_never_zero():
    draws = ShiftConsistency(pairs=5, max_shift=4, seed=0).draws(torch.arange(4000))
    assert (draws.min().item(), draws.max().item()) == (1, 4)
    table = torch.zeros(4, 4)
    table.index_put_(
        (draws[..., 0].flatten() - 1, draws[..., 1].flatten() - 1),
        torch.ones(20000),
        accumulate=True,
    )
    assert (table / 20000 - 1 / 16).abs().max() < 0.01


def test_pairs_depend_on_seed_and_number_alone():
    metric = ShiftConsistency(pairs=5, max_shift=64, seed=0)
    whole = metric.draws(torch.arange(6))
    assert torch.equal(metric.draws(torch.tensor([4])), whole[4:5])
    assert not torch.equal(whole[3], whole[4])
    assert not torch.equal(ShiftConsistency(seed=1).draws(torch.arange(6)), whole)


def test_shift_zero_plays_no_part_and_equal_classes_always_agree():
    classes = torch.full((50, 65), 3)
    classes[:, 0] = 1
    metric = ShiftConsistency(pairs=5, max_shift=64)
    metric.update(classes, torch.arange(50))
    assert metric.compute().item() == 100.0


def test_two_halves_count_as_the_whole():
    logits, labels, numbers = _logits(n=8), torch.arange(8) % 4, torch.arange(8)

    def states(part):
        accuracy = DiagonalShiftAccuracy(shifts=5, crop=1)
        accuracy.update(logits[part], labels[part])
        consistency = ShiftConsistency(pairs=2, max_shift=4)
        consistency.update(logits[part].argmax(2), numbers[part])
        return accuracy.metric_state | consistency.metric_state | {"n": accuracy.count}

    whole, first, second = (states(slice(*ends)) for ends in ((0, 8), (0, 3), (3, 8)))
    for name in whole:  # what torchmetrics adds up over processes
        assert torch.isclose(whole[name], first[name] + second[name], rtol=1e-12), name


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: DiagonalShiftAccuracy(shifts=0), "shifts=0"),
        (lambda: DiagonalShiftAccuracy(crop=0), "crop=0"),
        (lambda: ShiftConsistency(pairs=0), "pairs=0"),
        (lambda: ShiftConsistency(max_shift=0), "max_shift=0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(make, text):
    with pytest.raises(UserError, match=text):
        make()


def test_predictions_at_another_number_of_shifts_are_refused():
    with pytest.raises(ValueError, match="at 5 shifts, not 4"):
        DiagonalShiftAccuracy(shifts=4, crop=1).update(_logits(), torch.zeros(7).long())
    with pytest.raises(ValueError, match="at 5 shifts, not at 0 to 5"):
        ShiftConsistency(max_shift=5).update(_logits().argmax(2), torch.arange(7))


def test_the_gap_is_train_minus_test_in_points():
    assert generalization_gap(90.0, 64.25) == 25.75
    assert generalization_gap(50.0, 60.0) == -10.0
    with pytest.raises(ValueError, match="test accuracy 101"):
        generalization_gap(90.0, 101.0)
