"""CIFAR in the publisher's format: what is read, and what is said of broken files."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from real_formats import truncate, write_cifar

from thesisbench.data.cifar import cifar_splits, read_cifar
from thesisbench.errors import UserError

TENTH = Path("cifar-10-batches-py")


def test_splits_of_cifar10(tmp_path: Path) -> None:
    splits = cifar_splits(name="cifar10", n_val=30, root=str(write_cifar(tmp_path)))
    assert {name: len(labels) for name, (_, labels) in splits.items()} == {
        "train": 70,
        "val": 30,
        "test": 20,
    }
    images, labels = splits["val"]
    assert images.dtype == torch.uint8
    assert images.shape == (30, 3, 32, 32)
    assert images[:, 0, 0, 0].tolist() == [*range(10, 20), *range(20)]  # the last 30 of 5 x 20
    assert labels.tolist() == [i % 10 for i in (*range(10, 20), *range(20))]


def test_pixels_lie_as_channels_rows_columns(tmp_path: Path) -> None:
    write_cifar(tmp_path, "cifar100", per_file=2)
    data = np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8)
    entry = {"data": data, "fine_labels": [99, 0]}
    (tmp_path / "cifar-100-python" / "train").write_bytes(pickle.dumps(entry, protocol=2))
    images, labels = read_cifar("cifar100", tmp_path)["train"]
    assert labels.tolist() == [99, 0]
    assert images[1, 2, 5, 7] == data[1, 2 * 1024 + 5 * 32 + 7]


def test_no_validation_images(tmp_path: Path) -> None:
    assert list(cifar_splits(name="cifar10", n_val=0, root=str(write_cifar(tmp_path)))) == [
        "train",
        "test",
    ]


class Harmful:
    def __reduce__(self) -> object:
        return os.system, ("touch harmed",)


def _harmful(path: Path) -> None:
    path.write_bytes(pickle.dumps({"data": Harmful(), "labels": []}))


def _other_set(path: Path) -> None:
    entry = {"data": np.zeros((2, 3072), np.uint8), "labels": [3, 10]}
    path.write_bytes(pickle.dumps(entry, protocol=2))


def _too_few_labels(path: Path) -> None:
    entry = {"data": np.zeros((2, 3072), np.uint8), "labels": [3]}
    path.write_bytes(pickle.dumps(entry, protocol=2))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (Path.unlink, "no file .*data_batch_3"),
        (truncate, "cannot read .*data_batch_3: "),
        (lambda p: p.write_bytes(b""), "cannot read .*data_batch_3: "),
        (_harmful, "cannot read .*data_batch_3: it asks for (posix|nt).system"),
        (_other_set, "data_batch_3 has labels beyond 10 classes"),
        (_too_few_labels, "data_batch_3 has 2 images and 1 labels"),
    ],
)
def test_a_broken_file_is_named(
    harm: object, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    harm(write_cifar(tmp_path) / TENTH / "data_batch_3")  # type: ignore[operator]
    with pytest.raises(UserError, match=said) as caught:
        cifar_splits(name="cifar10", root=str(tmp_path))
    assert "\n" not in str(caught.value)
    assert not Path("harmed").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "cifar11"}, "unknown CIFAR set 'cifar11'; valid: cifar10, cifar100"),
        ({"name": "cifar100"}, "thesisbench data prepare cifar100"),
        ({"name": "cifar10", "n_val": 100}, "n_val=100 must be from 0 to 99"),
        ({"name": "cifar10", "n_val": -1}, "n_val=-1 must be from 0 to 99"),
    ],
)
def test_bad_input_gets_one_clear_line(
    arguments: dict[str, object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said):
        cifar_splits(root=str(write_cifar(tmp_path)), **arguments)  # type: ignore[arg-type]
