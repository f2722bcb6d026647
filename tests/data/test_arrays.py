"""Order, batches and seeds of data in memory: functions of (seed, epoch, index) alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from toy_parts import jitter

from thesisbench.data.arrays import ArrayDataset, Batch, EpochSampler, Loading, make_loader, mix

N = 10


@pytest.fixture
def dataset() -> ArrayDataset:
    return ArrayDataset(torch.arange(N * 4.0).view(N, 4), torch.arange(N))


def epochs_of(loader: Any, count: int) -> list[list[Batch]]:
    """Batches of the first epochs, as a training loop takes them."""
    found = []
    for epoch in range(count):
        loader.batch_sampler.sampler.set_epoch(epoch)
        found.append(list(loader))
    return found


def order(batches: Sequence[Batch]) -> list[int]:
    return torch.cat([labels for _, labels in batches]).tolist()


def test_a_batch_is_what_plain_indexing_gives(dataset: ArrayDataset) -> None:
    (points,), labels = dataset.__getitems__([(0, 7), (0, 2), (0, 7)])
    assert torch.equal(points, dataset.inputs[0][[7, 2, 7]])
    assert labels.tolist() == [7, 2, 7]
    (one,), label = dataset[(3, 5)]
    assert torch.equal(one, dataset.inputs[0][5:6])
    assert label.tolist() == [5]


def test_all_inputs_are_fetched_alike() -> None:
    first, second = torch.arange(6.0).view(3, 2), torch.arange(3)
    dataset = ArrayDataset([first, second], torch.tensor([5, 6, 7]))
    (a, b), labels = dataset.__getitems__([(0, 2), (0, 0)])
    assert (a.tolist(), b.tolist(), labels.tolist()) == ([[4, 5], [0, 1]], [2, 0], [7, 5])
    assert len(dataset) == 3


def test_inputs_of_another_length_than_the_targets_are_refused() -> None:
    with pytest.raises(ValueError, match=r"inputs have \[3, 2\] samples, targets 3"):
        ArrayDataset([torch.zeros(3, 1), torch.zeros(2, 1)], torch.zeros(3))


def test_an_epoch_holds_every_index_once_in_an_order_decided_by_seed_and_epoch() -> None:
    orders = {}
    for seed, epoch in itertools.product(range(5), range(5)):
        sampler = EpochSampler(50, seed=seed, shuffle=True, epoch=epoch)
        keys = list(sampler)
        torch.manual_seed(1234 + epoch)  # history of the global generator is of no account
        assert keys == list(sampler)
        assert {e for e, _ in keys} == {epoch}
        assert sorted(i for _, i in keys) == list(range(50)) == list(range(len(sampler)))
        orders[seed, epoch] = tuple(i for _, i in keys)
    assert len(set(orders.values())) == 25
    assert tuple(range(50)) not in orders.values()


def test_without_shuffling_the_order_is_the_data_sets_own() -> None:
    assert list(EpochSampler(3, seed=9, shuffle=False, epoch=4)) == [(4, 0), (4, 1), (4, 2)]


def test_set_epoch_is_the_same_as_starting_there() -> None:
    sampler = EpochSampler(20, seed=1, shuffle=True)
    sampler.set_epoch(6)
    assert list(sampler) == list(EpochSampler(20, seed=1, shuffle=True, epoch=6))


def test_mix_has_no_simple_collisions() -> None:
    pairs = list(itertools.product(range(60), repeat=2))
    triples = list(itertools.product(range(12), repeat=3))
    longer = [(s, e, i) for s in (0, 1, 1000) for e in (0, 7) for i in (10**9, 2**40)]
    subjects = [(n,) for n in range(60)] + pairs + triples + longer
    assert len({mix(*numbers) for numbers in subjects}) == len(subjects)
    assert all(0 <= mix(*numbers) < 2**63 for numbers in subjects)
    assert len({mix(*numbers) % 2**32 for numbers in subjects}) == len(subjects), "numpy's seeds"


def test_mix_of_neighbours_differs_in_about_half_of_its_bits() -> None:
    apart = [(mix(3, n) ^ mix(3, n + 1)).bit_count() for n in range(500)]
    assert 30 < sum(apart) / len(apart) < 33
    assert min(apart) > 10


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [4, 4, 2]), (True, [4, 4])])
def test_a_training_epoch_is_cut_into_batches(
    drop_last: bool, sizes: list[int], dataset: ArrayDataset
) -> None:
    loading = Loading(batch_size=4, seed=5, drop_last=drop_last)
    (first, second) = epochs_of(make_loader(dataset, loading, train=True), 2)
    assert [len(labels) for _, labels in first] == sizes
    keys = list(EpochSampler(N, seed=5, shuffle=True, epoch=1))[: sum(sizes)]
    assert order(second) == [i for _, i in keys]
    assert order(first) != order(second)
    for (points,), labels in first:
        assert torch.equal(points, dataset.inputs[0][labels])


def test_evaluation_keeps_the_order_and_every_sample(dataset: ArrayDataset) -> None:
    loading = Loading(batch_size=4, shuffle=True, drop_last=True)
    for batches in epochs_of(make_loader(dataset, loading, train=False), 2):
        assert order(batches) == list(range(N))


def test_augmentation_depends_on_seed_epoch_and_index_but_not_on_the_batch() -> None:
    points = torch.zeros(N, 4)
    dataset = ArrayDataset(points, torch.arange(N), transform=jitter, seed=3)
    (batch,), _ = dataset.__getitems__([(1, 4), (1, 5)])
    (other,), _ = dataset.__getitems__([(1, 5), (2, 4), (1, 4)])
    assert torch.equal(batch[0], other[2])
    assert torch.equal(batch[1], other[0])
    assert not torch.equal(batch[0], other[1])
    (elsewhere,), _ = ArrayDataset(points, torch.arange(N), transform=jitter, seed=4)[(1, 4)]
    assert not torch.equal(batch[0], elsewhere[0])


def test_loader_processes_load_the_same_as_none() -> None:
    dataset = ArrayDataset(torch.zeros(N, 4), torch.arange(N), transform=jitter, seed=3)
    found = []
    for workers in (0, 2):
        loader = make_loader(dataset, Loading(batch_size=3, seed=5, workers=workers), train=True)
        found.append(epochs_of(loader, 2))
        del loader
    for ours, theirs in zip(found[0], found[1], strict=True):
        assert order(ours) == order(theirs)
        for (a,), (b,) in zip([x for x, _ in ours], [x for x, _ in theirs], strict=True):
            assert torch.equal(a, b)
