"""The shares of all processes are the batches of one: every sample once, none twice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from thesisbench.data import shares
from thesisbench.data.arrays import ArrayDataset, Loading, make_loader
from thesisbench.data.shares import Share, ShareSampler, gather

SIZES = (1, 2, 5, 12, 13, 25, 47)
CUTS = ((1, 1), (2, 1), (1, 2), (2, 3), (3, 2), (4, 1))


def sampler(size: int, rank: int, ranks: int, turns: int, *, batch: int = 12) -> ShareSampler:
    share = Share(rank, ranks, turns)
    return ShareSampler(range(size), batch, drop_last=False, share=share)


def steps(size: int, ranks: int, turns: int) -> list[list[list[int]]]:
    """Step -> parts of all ranks, without repeated samples."""
    found: list[list[list[int]]] = []
    for rank in range(ranks):
        mine = sampler(size, rank, ranks, turns)
        for index, part in enumerate(mine):
            step = index // turns
            if step == len(found):
                found.append([])
            found[step].append(part[: mine.count(index)])
    return found


@pytest.mark.parametrize(("ranks", "turns"), CUTS)
@pytest.mark.parametrize("size", SIZES)
def test_the_parts_of_a_step_are_the_batch_of_one_process(
    size: int, ranks: int, turns: int
) -> None:
    whole = [list(range(start, min(start + 12, size))) for start in range(0, size, 12)]
    parts = steps(size, ranks, turns)
    assert [sorted(i for part in step for i in part) for step in parts] == whole
    for step in parts:
        lengths = [len(part) for part in step]
        assert max(lengths) - min(lengths) <= 1, "as equal as can be"


@pytest.mark.parametrize(("ranks", "turns"), CUTS)
@pytest.mark.parametrize("size", SIZES)
def test_all_processes_make_equally_many_steps_and_no_part_is_empty(
    size: int, ranks: int, turns: int
) -> None:
    each = [list(sampler(size, rank, ranks, turns)) for rank in range(ranks)]
    lengths = {len(batches) for batches in each}
    assert lengths == {len(sampler(size, 0, ranks, turns))}
    assert all(part for batches in each for part in batches)


@pytest.mark.parametrize(("ranks", "turns"), CUTS)
@pytest.mark.parametrize("size", SIZES)
def test_weighted_means_of_parts_average_to_the_mean_of_the_batch(
    size: int, ranks: int, turns: int
) -> None:
    values = torch.randn(size, generator=torch.Generator().manual_seed(size), dtype=torch.float64)
    samplers = [sampler(size, rank, ranks, turns) for rank in range(ranks)]
    means = torch.zeros(len(samplers[0].sizes), dtype=torch.float64)
    for mine in samplers:
        for index, part in enumerate(mine):
            weighted = mine.weight(index) * values[part].mean()
            means[index // turns] += weighted / (ranks * turns)
    expected = [values[start : start + 12].mean() for start in range(0, size, 12)]
    torch.testing.assert_close(means, torch.stack(expected))


def test_a_full_batch_has_the_weight_one_exactly() -> None:
    assert {sampler(24, r, 2, 3).weight(i) for r in (0, 1) for i in range(6)} == {1.0}


def test_a_smaller_last_batch_can_be_left_out() -> None:
    short = ShareSampler(range(13), 12, drop_last=True, share=Share(1, 2))
    assert list(short) == [list(range(6, 12))]


@pytest.mark.parametrize("shuffle", [True, False])
def test_loaders_of_all_ranks_load_the_samples_of_one(shuffle: bool) -> None:
    data = ArrayDataset(torch.arange(25)[:, None], torch.arange(25))

    def labels(rank: int, ranks: int) -> list[Tensor]:
        loading = Loading(6, seed=3, shuffle=shuffle, share=Share(rank, ranks))
        loader = make_loader(data, loading, train=True, epoch=2)
        return [y[: loader.batch_sampler.count(i)] for i, (_, y) in enumerate(loader)]

    for together, *apart in zip(labels(0, 1), labels(0, 3), labels(1, 3), labels(2, 3),
                                strict=True):  # fmt: skip
        assert torch.equal(torch.cat(apart), together)


@pytest.mark.parametrize("limit", [None, 1, 2])
@pytest.mark.parametrize(("ranks", "turns"), CUTS)
def test_gathered_rows_are_in_the_order_of_the_samples(
    ranks: int, turns: int, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 29
    rows = torch.arange(size)[:, None] * torch.tensor([1, 10])
    samplers = [sampler(size, rank, ranks, turns) for rank in range(ranks)]
    places = [mine.positions(mine.share.rank, limit) for mine in samplers]
    most = max(map(len, places))

    def all_gather(theirs: list[Tensor], mine: Tensor) -> None:
        assert len(mine) == most, "what is sent is of one size"
        for tensor, place in zip(theirs, places, strict=True):
            tensor[: len(place)] = rows[place]

    fake: Any = type("Fake", (), {"all_gather": staticmethod(all_gather)})
    monkeypatch.setattr(shares, "distributed", fake)
    count = size if limit is None else min(size, 12 * limit)
    for mine, place in zip(samplers, places, strict=True):
        assert torch.equal(gather(rows[place], mine, limit), rows[:count])
