"""Corruption errors and flip rates: by hand, and of a network by itself."""

import pytest
import torch

from thesisbench.data.corruptions.severities import STANDARD
from thesisbench.errors import UserError
from thesisbench.metrics.alexnet_errors import ALEXNET
from thesisbench.metrics.robustness import (
    corruption_errors,
    flip_rate,
    mean_corruption_error,
    mean_flip_rate,
)

# Means over severities as other evaluations print them.
PRINTED = {
    "gaussian_noise": 0.886428, "shot_noise": 0.894468, "impulse_noise": 0.922640,
    "defocus_blur": 0.819880, "glass_blur": 0.826268, "motion_blur": 0.785948,
    "zoom_blur": 0.798360, "snow": 0.866816, "frost": 0.826572, "fog": 0.819324,
    "brightness": 0.564592, "contrast": 0.853204, "elastic_transform": 0.646056,
    "pixelate": 0.717840, "jpeg_compression": 0.606500,
}  # fmt: skip


def test_alexnet_is_100_by_itself():
    assert mean_corruption_error(ALEXNET, ALEXNET) == pytest.approx(100)
    few = {name: {2: levels[2], 5: levels[5]} for name, levels in ALEXNET.items()}
    assert mean_corruption_error(few, ALEXNET) == pytest.approx(100)


def test_the_constants_have_the_means_that_are_printed_elsewhere():
    assert set(ALEXNET) == set(STANDARD)
    means = corruption_errors(ALEXNET)
    assert means == pytest.approx({name: 100 * share for name, share in PRINTED.items()})


def test_errors_by_hand():
    errors = {"fog": {1: 10.0, 2: 30.0}, "snow": {1: 20.0, 2: 80.0}}
    reference = {"fog": {1: 20.0, 2: 60.0}, "snow": {1: 50.0, 2: 50.0}}
    assert corruption_errors(errors) == {"fog": 20.0, "snow": 50.0}
    assert corruption_errors(errors, reference) == {"fog": 50.0, "snow": 100.0}
    assert mean_corruption_error(errors) == 35.0
    assert mean_corruption_error(errors, reference) == 75.0


def test_a_sum_over_severities_is_divided_not_each_of_them():
    errors, reference = {"fog": {1: 10.0, 5: 30.0}}, {"fog": {1: 20.0, 5: 20.0}}
    assert mean_corruption_error(errors, reference) == 100.0


def test_what_the_reference_lacks_is_named():
    with pytest.raises(UserError, match="no error for spatter at severity 1"):
        mean_corruption_error({"spatter": {1: 3.0}}, ALEXNET)
    with pytest.raises(UserError, match="no error for fog at severity 3"):
        mean_corruption_error({"fog": {1: 3.0, 3: 4.0}}, {"fog": {1: 3.0}})
    with pytest.raises(UserError, match="makes no error for fog"):
        mean_corruption_error({"fog": {1: 3.0}}, {"fog": {1: 0.0}})


def test_a_constant_predictor_never_flips():
    classes = torch.full((4, 7), 3)
    assert flip_rate(classes, to_first=True) == flip_rate(classes, to_first=False) == 0


def test_flips_by_hand():
    classes = torch.tensor([[0, 1, 1, 0], [2, 2, 2, 2]])
    assert flip_rate(classes, to_first=False) == pytest.approx(100 * 2 / 6)
    assert flip_rate(classes, to_first=True) == pytest.approx(100 * 2 / 6)
    away = torch.tensor([[0, 1, 1, 1]])
    assert flip_rate(away, to_first=False) == pytest.approx(100 / 3)
    assert flip_rate(away, to_first=True) == 100
    with pytest.raises(ValueError, match="1 frames"):
        flip_rate(torch.zeros(2, 1), to_first=True)


def test_mean_flip_rates():
    rates = {"tilt": 4.0, "snow": 9.0}
    assert mean_flip_rate(rates) == 6.5
    assert mean_flip_rate(rates, {"tilt": 8.0, "snow": 9.0, "scale": 1.0}) == 75.0
    assert mean_flip_rate(rates, rates) == 100.0
    with pytest.raises(UserError, match="no flip rate for snow"):
        mean_flip_rate(rates, {"tilt": 8.0})
