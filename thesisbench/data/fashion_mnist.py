"""Fashion-MNIST in memory, from the publisher's four IDX files, packed or not.

Xiao et al. 2017. Files lie in `FashionMNIST/raw` as torchvision puts them.
"""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

from jaxtyping import Int, UInt8
from torch import Tensor
from torchvision.datasets import FashionMNIST

from thesisbench.data.cifar import hold_out
from thesisbench.errors import UserError
from thesisbench.store.runs import data_root

FILES = tuple(
    f"{split}-{kind}-ubyte.gz"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)
RAW = Path("FashionMNIST") / "raw"
CLASSES = 10


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


def read_fashion_mnist(
    root: Path | None = None,
) -> dict[str, tuple[UInt8[Tensor, "n 28 28"], Int[Tensor, " n"]]]:
    """Training and test images with their classes.

    Args:
        root: folder that holds FashionMNIST/raw; default `default_root()`.

    Raises:
        UserError: files that are not there, cannot be read or do not belong together.
    """
    root = default_root() if root is None else root
    raw = root / RAW
    missing = [n for n in FILES if not any((raw / f).exists() for f in (n, n.removesuffix(".gz")))]
    if missing:
        raise UserError(
            f"Fashion-MNIST is not in {raw}: no {', '.join(missing)}; put the four files "
            f"{', '.join(FILES)} (packed or not) there, or set THESISBENCH_DATA; "
            "`thesisbench data prepare fashion_mnist` downloads them"
        )
    try:
        _unpack(raw)
        parts = {"train": FashionMNIST(root, train=True), "test": FashionMNIST(root, train=False)}
    except (ValueError, OSError, EOFError, RuntimeError, AssertionError) as error:
        raise UserError(f"cannot read Fashion-MNIST in {raw}: {error}; fetch it anew") from error
    for name, part in parts.items():
        if len(part.data) != len(part.targets):
            counts = f"{len(part.data)} images and {len(part.targets)} labels"
            raise UserError(f"Fashion-MNIST in {raw}: {name} has {counts}; fetch it anew")
        if int(part.targets.max()) >= CLASSES:
            raise UserError(f"Fashion-MNIST in {raw}: {name} has labels beyond {CLASSES} classes")
    return {name: (part.data, part.targets) for name, part in parts.items()}


def fashion_mnist_splits(
    *, n_val: int = 10_000, root: str | None = None
) -> dict[str, tuple[UInt8[Tensor, "n 1 28 28"], Int[Tensor, " n"]]]:
    """The splits train, val (the last training images; absent when n_val is 0) and test.

    Args:
        n_val: images kept from training for validation.
        root: folder that holds FashionMNIST/raw; default `default_root()`.

    Raises:
        UserError: as `read_fashion_mnist`, or too many validation images.
    """
    read = read_fashion_mnist(None if root is None else Path(root))
    splits = {name: (images.unsqueeze(1), labels) for name, (images, labels) in read.items()}
    return hold_out(splits, n_val, "fashion_mnist")
