"""Q-FMNIST: four Fashion-MNIST images to an image, the object and its context.

Kayhan, chapter 3, Table 3.1: objects Pullover (label 0) and Shirt (label 1), context from the eight
other classes; 2,000 images each for training, validation and test.

*Deviations*. The thesis does not say which source images serve which split: training takes from
the first 50,000 training images of Fashion-MNIST, validation from the last 10,000, test from the
test images.
"""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
from torchvision.datasets import FashionMNIST

from thesisbench.errors import UserError
from thesisbench.methods.kayhan.detector_context.composites import (
    ContextSets,
    ContextSplit,
    TilePool,
    composite_splits,
)
from thesisbench.store.runs import data_root

TSHIRT, TROUSER, PULLOVER, DRESS, COAT, SANDAL, SHIRT, SNEAKER, BAG, BOOT = range(10)
FASHION_SETS = ContextSets(
    objects=(PULLOVER, SHIRT),
    semi=((DRESS, COAT, BAG), (TROUSER, SANDAL, BOOT)),
    full=((COAT, DRESS, BAG), (SANDAL, TROUSER, BOOT)),
    others=(TSHIRT, TROUSER, DRESS, COAT, SANDAL, SNEAKER, BAG, BOOT),
)
FILES = tuple(
    f"{split}-{kind}-ubyte.gz"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)
TRAIN_SHARE = 5 / 6  # of Fashion-MNIST's training images; the rest are validation's sources


def default_root() -> Path:
    """Folder of Fashion-MNIST: `fashion_mnist` under THESISBENCH_DATA (~/.cache/thesisbench)."""
    return data_root() / "fashion_mnist"


def _unpack(raw: Path) -> None:
    """Unpack the .gz files that have no plain file beside them, as torchvision expects."""
    for name in FILES:
        packed, plain = raw / name, raw / name.removesuffix(".gz")
        if packed.exists() and not plain.exists():
            partial = plain.with_suffix(f".{os.getpid()}.partial")
            with gzip.open(packed) as source, partial.open("wb") as target:
                shutil.copyfileobj(source, target)
            partial.replace(plain)


def _load(root: Path) -> tuple[FashionMNIST, FashionMNIST]:
    """Training and test part of Fashion-MNIST in torchvision's layout."""
    raw = root / "FashionMNIST" / "raw"
    missing = [n for n in FILES if not any((raw / f).exists() for f in (n, n.removesuffix(".gz")))]
    if missing:
        raise UserError(
            f"Fashion-MNIST is not in {raw}: no {', '.join(missing)}; put the four files "
            f"{', '.join(FILES)} (packed or not) there, or set THESISBENCH_DATA"
        )
    try:
        _unpack(raw)
        return FashionMNIST(root, train=True), FashionMNIST(root, train=False)
    except (ValueError, OSError, EOFError, RuntimeError, AssertionError) as error:
        raise UserError(f"cannot read Fashion-MNIST in {raw}: {error}; fetch it anew") from error


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
        root: folder that holds FashionMNIST/raw; default `default_root()`.

    Returns:
        train, val and test, each ((images [n, 1, 56, 56], boxes [n, 4]), labels [n]).

    Raises:
        UserError: the files are not there or cannot be read; unknown context.
    """
    train, test = _load(default_root() if root is None else Path(root))
    images, classes = train.data.numpy(), train.targets.numpy()
    cut = round(len(images) * TRAIN_SHARE)
    pools = {
        "train": _pool(images[:cut], classes[:cut]),
        "val": _pool(images[cut:], classes[cut:]),
        "test": _pool(test.data.numpy(), test.targets.numpy()),
    }
    return composite_splits(
        pools,
        {"train": n_train, "val": n_val, "test": n_test},
        context=context,
        sets=FASHION_SETS,
        data_seed=data_seed,
    )
