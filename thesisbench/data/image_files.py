"""Images that lie in files and are decoded when needed, one sample after another.

For data sets too large for memory. Loader processes decode; what is random about a sample comes
from (seed, epoch, index), whichever process loads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from thesisbench.data.arrays import Batch, Key, mix
from thesisbench.data.bad_file import BadFileError

FORMATS = ("JPEG", "PNG", "BMP")  # others are not even tried
ImageTransform = Callable[[Image.Image], Tensor]


@dataclass(frozen=True, eq=False)
class ImageList:
    """Image files and their labels.

    Attributes:
        root: folder they lie below. names: their paths below it, as an array of bytes, which
            loader processes share, where a list of text would be copied. labels: of each.
    """

    root: Path
    names: npt.NDArray[np.bytes_]
    labels: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        """File of a sample."""
        return self.root / bytes(self.names[index]).decode()

    def take(self, index: npt.NDArray[np.intp]) -> ImageList:
        """The samples with these numbers."""
        return ImageList(self.root, self.names[index], self.labels[torch.from_numpy(index)])

    def checksum(self) -> str:
        """sha256 (first 16 hex digits) of names and labels; what the files hold is not read."""
        digest = hashlib.sha256(b"\n".join(self.names.tolist()))
        digest.update(self.labels.numpy().astype("<i8").tobytes())
        return digest.hexdigest()[:16]


def read_image(path: Path) -> Image.Image:
    """A decoded RGB image.

    Raises:
        BadFileError: the file is not there, cut short or no image.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise BadFileError(f"no file {path}; was it moved? `thesisbench data verify`") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split()).replace(f" '{path}'", "")
        raise BadFileError(f"cannot read image {path}: {reason}; fetch it anew") from error


class ImageFiles(Dataset[Batch]):
    """Image files, fetched a batch at a time.

    Args:
        images: files and labels.
        transform: image -> tensor of one size for all; what it draws from torch's global generator
            is a function of (seed, epoch, index).
        seed: of the run.
    """

    def __init__(self, images: ImageList, transform: ImageTransform, *, seed: int = 0) -> None:
        self.images, self.transform, self.seed = images, transform, seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: Key) -> Batch:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """The batch of samples with these (epoch, index) keys."""
        with torch.random.fork_rng(devices=[]):
            tensors = [self._load(epoch, index) for epoch, index in keys]
        return (torch.stack(tensors),), self.images.labels[[index for _, index in keys]]

    def _load(self, epoch: int, index: int) -> Any:
        torch.default_generator.manual_seed(mix(self.seed, epoch, index))
        return self.transform(read_image(self.images.path(index)))
