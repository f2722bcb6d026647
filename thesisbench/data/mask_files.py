"""Images with a class for every pixel, which lie in files and are decoded when needed.

Masks are indexed PNG files or the MATLAB files of SBD (`GTcls.Segmentation`). The label 255 is of
pixels that do not count.
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
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from thesisbench.data.arrays import Batch, Key, mix
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.image_files import read_image

IGNORED = 255
Mask = npt.NDArray[np.uint8]
PairTransform = Callable[[Image.Image, Mask], tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class PairList:
    """Files of images and of their masks.

    Attributes:
        root: folder they lie below. images, masks: their paths below it, as arrays of bytes.
        classes: number of classes, background included.
    """

    root: Path
    images: npt.NDArray[np.bytes_]
    masks: npt.NDArray[np.bytes_]
    classes: int

    def __len__(self) -> int:
        return len(self.images)

    def paths(self, index: int) -> tuple[Path, Path]:
        """Files of a sample: image and mask."""
        image, mask = (bytes(names[index]).decode() for names in (self.images, self.masks))
        return self.root / image, self.root / mask

    def checksum(self) -> str:
        """sha256 (first 16 hex digits) of the names; what the files hold is not read."""
        lines = b"\n".join([*self.images.tolist(), *self.masks.tolist()])
        return hashlib.sha256(lines).hexdigest()[:16]


def read_mask(path: Path, classes: int) -> Mask:
    """The labels of a mask, as [h, w].

    Raises:
        BadFileError: the file is not there, cut short, no mask, or has a label that is no class.
    """
    try:
        mask = _read_mat(path) if path.suffix == ".mat" else _read_png(path)
    except FileNotFoundError:
        raise BadFileError(f"no file {path}; was it moved? `thesisbench data verify`") from None
    except BadFileError:
        raise
    except Exception as error:  # a broken file of MATLAB may raise anything
        reason = " ".join(str(error).split()).replace(f" '{path}'", "") or type(error).__name__
        raise BadFileError(f"cannot read mask {path}: {reason}; fetch it anew") from error
    known = np.zeros(256, dtype=bool)
    known[:classes] = known[IGNORED] = True
    if not known[mask].all():
        label = mask[~known[mask]].min()
        text = f"mask {path} has label {label}; valid: 0 to {classes - 1}, and 255 for void"
        raise BadFileError(text)
    return mask


def _read_png(path: Path) -> Mask:
    with Image.open(path, formats=("PNG",)) as image:
        if image.mode not in ("P", "L"):
            raise BadFileError(f"mask {path} is of mode {image.mode}: labels need an indexed PNG")
        return np.array(image)


def _read_mat(path: Path) -> Mask:
    from scipy.io import loadmat

    mask = loadmat(path, squeeze_me=True, struct_as_record=False)["GTcls"].Segmentation
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise BadFileError(f"mask {path} is {mask.dtype} of {mask.ndim} axes, not uint8 of 2")
    return np.ascontiguousarray(mask)


def read_pair(image: Path, mask: Path, classes: int) -> tuple[Image.Image, Mask]:
    """A decoded image and its mask.

    Raises:
        BadFileError: a file that is missing or broken, or sizes that differ.
    """
    picture, labels = read_image(image), read_mask(mask, classes)
    if problem := size_problem(picture, labels, image, mask):
        raise BadFileError(problem)
    return picture, labels


def size_problem(picture: Image.Image, labels: Mask, image: Path, mask: Path) -> str | None:
    """One line that names both files where a mask is of another size than its image."""
    height, width = labels.shape
    if picture.size == (width, height):
        return None
    return (
        f"mask {mask} is {width}x{height}, but its image {image} {picture.width}x{picture.height}"
    )


class MaskFiles(Dataset[Batch]):
    """Images and masks, fetched a batch at a time.

    Args:
        pairs: their files.
        transform: image and mask -> tensors of one size for all; what it draws from torch's global
            generator is a function of (seed, epoch, index).
        seed: of the run.
    """

    def __init__(self, pairs: PairList, transform: PairTransform, *, seed: int = 0) -> None:
        self.pairs, self.transform, self.seed = pairs, transform, seed

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: Key) -> Batch:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """The batch of samples with these (epoch, index) keys."""
        with torch.random.fork_rng(devices=[]):
            loaded = [self._load(epoch, index) for epoch, index in keys]
        images, masks = zip(*loaded, strict=True)
        return (torch.stack(images),), torch.stack(masks)

    def _load(self, epoch: int, index: int) -> Any:
        torch.default_generator.manual_seed(mix(self.seed, epoch, index))
        return self.transform(*read_pair(*self.pairs.paths(index), self.pairs.classes))
