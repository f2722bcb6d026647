"""Q-FMNIST: four Fashion-MNIST images to an image, the object and its context.

Kayhan, chapter 3, Table 3.1: objects Pullover (label 0) and Shirt (label 1), context from the eight
other classes; 2,000 images each for training, validation and test.

*Deviations*. The thesis does not say which source images serve which split: training takes from
the first 50,000 training images of Fashion-MNIST, validation from the last 10,000, test from the
test images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from thesisbench.data.fashion_mnist import read_fashion_mnist
from thesisbench.methods.kayhan.detector_context.composites import (
    ContextSets,
    ContextSplit,
    TilePool,
    composite_splits,
)

TSHIRT, TROUSER, PULLOVER, DRESS, COAT, SANDAL, SHIRT, SNEAKER, BAG, BOOT = range(10)
FASHION_SETS = ContextSets(
    objects=(PULLOVER, SHIRT),
    semi=((DRESS, COAT, BAG), (TROUSER, SANDAL, BOOT)),
    full=((COAT, DRESS, BAG), (SANDAL, TROUSER, BOOT)),
    others=(TSHIRT, TROUSER, DRESS, COAT, SANDAL, SNEAKER, BAG, BOOT),
)
TRAIN_SHARE = 5 / 6  # of Fashion-MNIST's training images; the rest are validation's sources


def _pool(images: np.ndarray, classes: np.ndarray) -> TilePool:
    """Tiles with grey values 0 to 1."""
    return TilePool(images.astype(np.float32) / 255, classes)


def q_fmnist_splits(
    *,
    context: str,
    data_seed: int,
    n_train: int = 2000,
    n_val: int = 2000,
    n_test: int = 2000,
    root: str | Path | None = None,
) -> dict[str, ContextSplit]:
    """The splits of Q-FMNIST.

    Args:
        context: none, uncorrelated, semi, full or anti.
        data_seed: of the composites.
        n_train: training images.
        n_val: validation images.
        n_test: test images.
        root: folder that holds FashionMNIST/raw; default below the data root.

    Returns:
        train, val and test, each ((images [n, 1, 56, 56], boxes [n, 4]), labels [n]).

    Raises:
        UserError: the files are not there or cannot be read; unknown context.
    """
    read = read_fashion_mnist(None if root is None else Path(root))
    images, classes = (x.numpy() for x in read["train"])
    test_images, test_classes = (x.numpy() for x in read["test"])
    cut = round(len(images) * TRAIN_SHARE)
    pools = {
        "train": _pool(images[:cut], classes[:cut]),
        "val": _pool(images[cut:], classes[cut:]),
        "test": _pool(test_images, test_classes),
    }
    return composite_splits(
        pools,
        {"train": n_train, "val": n_val, "test": n_test},
        context=context,
        sets=FASHION_SETS,
        data_seed=data_seed,
    )
