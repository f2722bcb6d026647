"""Kept and aliased energy against the transfer functions of the pools."""

import math

import pytest
import torch

from thesisbench.errors import UserError
from thesisbench.methods.zhao.lift_pool.aliasing import POOLS, Aliasing, sinusoids, spectra_after

SIDE = 32
CYCLES = [n for n in range(1, 16) if n != 8]
RESPONSE = {
    "subsample": lambda w: 1.0,
    "average": lambda w: math.cos(w / 2),
    "haar": lambda w: math.cos(w / 2),
    # taps -1/8, 1/4, 3/4, 1/4, -1/8 (appendix A: s of the even samples)
    "cdf22": lambda w: 0.75 + 0.5 * math.cos(w) - 0.25 * math.cos(2 * w),
}


@pytest.mark.parametrize("name", RESPONSE)
def test_linear_pools_keep_and_alias_what_their_transfer_function_says(name):
    metrics = Aliasing(pool=name, side=SIDE)()
    gain = {n: RESPONSE[name](2 * math.pi * n / SIDE) ** 2 for n in CYCLES}
    for n in CYCLES:
        assert metrics[f"aliased_{n}"] == pytest.approx(gain[n] if n > 8 else 0, abs=1e-9)
    kept = sum(gain[n] for n in CYCLES if n < 8) / len(CYCLES)
    aliased = sum(gain[n] for n in CYCLES if n > 8) / len(CYCLES)
    assert metrics["kept_1d"] == pytest.approx(kept)
    assert metrics["aliased_1d"] == pytest.approx(aliased)
    assert metrics["kept_2d"] == pytest.approx(len(CYCLES) ** 2 * kept**2 / len(CYCLES) ** 2)
    assert metrics["aliased_2d"] == pytest.approx((kept + aliased) ** 2 - kept**2)


def test_subsampling_aliases_all_high_frequencies_and_averaging_least():
    aliased = {name: Aliasing(pool=name)()["aliased_1d"] for name in POOLS}
    assert aliased["subsample"] == pytest.approx(0.5)
    assert aliased["average"] < aliased["cdf22"] < aliased["max"] < aliased["subsample"]


def test_max_pooling_makes_harmonics_of_frequencies_that_fit():
    metrics = Aliasing(pool="max")()
    assert metrics["aliased_3"] > 1e-3
    assert Aliasing(pool="average")()["aliased_3"] == pytest.approx(0, abs=1e-12)


def test_waves_have_their_frequency_and_phase():
    waves = sinusoids(torch.tensor([[0, 2], [3, 0]]), side=8, phases=4)
    assert waves.shape == (2, 4, 8, 8)
    assert torch.allclose(waves[0, 0], waves[0, 0, :1].expand(8, 8))
    assert waves[0, 0, 0].tolist() == pytest.approx([1, 0, -1, 0, 1, 0, -1, 0], abs=1e-12)
    assert waves[0, 1, 0].tolist() == pytest.approx([0, -1, 0, 1, 0, -1, 0, 1], abs=1e-12)


def test_two_dimensional_waves_that_fit_along_one_axis_only_are_aliased():
    shares = spectra_after(lambda x: x[..., ::2, ::2], torch.tensor([[2, 12], [2, 3]]), side=32)
    assert shares[0].tolist() == pytest.approx([0, 1])
    assert shares[1].tolist() == pytest.approx([1, 0])


def test_bad_arguments_are_said():
    with pytest.raises(UserError, match="unknown pool 'median'"):
        Aliasing(pool="median")
    with pytest.raises(UserError, match="side=30 must be a multiple of 4"):
        Aliasing(side=30)
