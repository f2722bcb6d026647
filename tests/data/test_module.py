"""The data module: splits by name, loaders for Lightning, and fingerprints."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from toy_parts import jitter

from thesisbench.data.arrays import Loading
from thesisbench.data.module import ArrayDataModule, checksum
from thesisbench.errors import UserError


def splits() -> Any:
    return {
        "train": (torch.zeros(6, 4), torch.arange(6)),
        "test": ([torch.ones(3, 2), torch.ones(3, 1)], torch.arange(3)),
    }


def test_splits_are_made_once_and_only_when_needed() -> None:
    made = []

    def make() -> Any:
        made.append(1)
        return splits()

    data = ArrayDataModule("toy", make)
    assert made == []
    assert len(data.split("train")) == 6
    assert len(data.split("test")) == 3
    assert made == [1]


def test_only_the_training_split_is_augmented_and_with_the_seed_of_the_run() -> None:
    data = ArrayDataModule("toy", splits, transform=jitter)
    data.loading = Loading(batch_size=2, seed=8)
    (plain,), _ = data.split("train")[(0, 1)]
    (augmented,), _ = data.split("train", train=True)[(0, 1)]
    assert plain.abs().sum() == 0
    assert augmented.abs().sum() > 0
    data.loading = Loading(batch_size=2, seed=9)
    (other,), _ = data.split("train", train=True)[(0, 1)]
    assert not torch.equal(augmented, other)


def test_training_starts_at_the_epoch_the_fit_is_about_to_run() -> None:
    data = ArrayDataModule("toy", splits)
    data.loading = Loading(batch_size=6)
    orders = []
    for epoch in (0, 3):
        progress = SimpleNamespace(current=SimpleNamespace(processed=epoch))
        loop = SimpleNamespace(epoch_progress=progress)
        data.trainer = SimpleNamespace(fit_loop=loop)  # type: ignore[assignment]
        (batch,) = data.train_dataloader()
        orders.append(batch[1].tolist())
    loader = data.train_dataloader()
    loader.batch_sampler.sampler.set_epoch(0)
    assert next(iter(loader))[1].tolist() == orders[0] != orders[1]


def test_validation_is_absent_where_there_is_no_such_split() -> None:
    assert ArrayDataModule("toy", splits).val_dataloader() == []


def test_an_unknown_split_is_named_with_the_valid_ones() -> None:
    with pytest.raises(UserError, match=r"unknown split of toy 'tset'; valid: test, train"):
        ArrayDataModule("toy", splits).split("tset")


def test_the_fingerprint_tells_count_and_content_of_each_split() -> None:
    print_ = ArrayDataModule("toy", splits, stand_in="big").fingerprint()
    assert print_["name"] == "toy"
    assert print_["stand_in_for"] == "big"
    assert {name: split["count"] for name, split in print_["splits"].items()} == {
        "train": 6,
        "test": 3,
    }
    changed = splits()
    changed["train"][0][5, 3] = 1e-30
    other = ArrayDataModule("toy", lambda: changed).fingerprint()
    assert other["splits"]["train"] != print_["splits"]["train"]
    assert other["splits"]["test"] == print_["splits"]["test"]


def test_the_checksum_is_sha256_of_type_shape_and_bytes() -> None:
    values = torch.tensor([[1.5, -2.0]])
    text = b"torch.float32(1, 2)" + values.numpy().tobytes()
    assert checksum(values) == hashlib.sha256(text).hexdigest()[:16]


def test_the_checksum_tells_values_types_shapes_and_order_apart() -> None:
    zero = torch.zeros(2, 2)
    subjects = [
        (zero,),
        (zero.view(4),),
        (zero.double(),),
        (zero, zero),
        (torch.tensor(0),),
        (torch.tensor(0.0),),
        (-zero,),
        (torch.tensor([1.0]), torch.tensor([2.0])),
        (torch.tensor([2.0]), torch.tensor([1.0])),
        (torch.tensor([True]),),
        (torch.zeros(0, 2),),
        (torch.zeros(4, dtype=torch.bfloat16),),
    ]
    assert len({checksum(*tensors) for tensors in subjects}) == len(subjects)


def test_the_checksum_does_not_depend_on_how_a_tensor_lies_in_memory() -> None:
    values = torch.arange(6.0).view(2, 3)
    strided = values.T.contiguous().T
    assert not strided.is_contiguous()
    assert checksum(strided) == checksum(values)
