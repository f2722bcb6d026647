"""Random numbers of many samples are those of `mix`, sample by sample."""

from __future__ import annotations

import pytest
import torch

from thesisbench.data.arrays import mix
from thesisbench.data.draws import mixed, uniform

KEYS = [(0, 0), (0, 1), (3, 1), (2**20, 2**33)]


@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_each_number_is_the_mix_of_seed_epoch_index_and_turn(seed: int) -> None:
    found = mixed(seed, KEYS, 3)
    expected = [[mix(seed, epoch, index, k) for k in range(3)] for epoch, index in KEYS]
    assert found.tolist() == expected


def test_numbers_do_not_depend_on_the_company() -> None:
    assert mixed(5, KEYS, 2)[2].tolist() == mixed(5, KEYS[2:3], 2)[0].tolist()


def test_uniform_numbers_fill_the_unit_interval_evenly() -> None:
    drawn = uniform(1, [(0, i) for i in range(20_000)], 2)
    assert drawn.dtype == torch.float64
    assert 0 <= float(drawn.min()) < 1e-3 < 0.999 < float(drawn.max()) < 1
    counts = torch.histc(drawn.float(), 10, 0, 1)
    assert (counts / 40_000 - 0.1).abs().max() < 0.006  # four standard deviations
    assert torch.corrcoef(drawn.T)[0, 1].abs() < 0.03
