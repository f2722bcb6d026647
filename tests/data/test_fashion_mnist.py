"""Fashion-MNIST in IDX files; packed files are tested with Q-FMNIST, which is made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from real_formats import truncate, write_fashion_mnist, write_idx

from thesisbench.data.fashion_mnist import RAW, fashion_mnist_splits
from thesisbench.errors import UserError


def test_splits(tmp_path: Path) -> None:
    splits = fashion_mnist_splits(n_val=10, root=str(write_fashion_mnist(tmp_path)))
    images, labels = splits["val"]
    assert images.shape == (10, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert images[:, 0, 3, 4].tolist() == list(range(20, 30))
    assert labels.tolist() == [i % 10 for i in range(20, 30)]
    assert [len(labels) for _, labels in splits.values()] == [20, 10, 20]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("train-images-idx3-ubyte", np.zeros((29, 28, 28)), "29 images and 30 labels"),
        ("t10k-labels-idx1-ubyte", np.full(20, 10), "test has labels beyond 10 classes"),
        ("t10k-labels-idx1-ubyte", None, "cannot read Fashion-MNIST"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    file: str, content: np.ndarray | None, said: str, tmp_path: Path
) -> None:
    path = write_fashion_mnist(tmp_path) / RAW / file
    truncate(path) if content is None else write_idx(path, content)
    with pytest.raises(UserError, match=said):
        fashion_mnist_splits(n_val=10, root=str(tmp_path))
