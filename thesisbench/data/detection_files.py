"""Images with boxes: splits of a detection data set, in files or in memory, and their batches.

A target (`thesisbench.data.targets`) also has its image's `size` (height, width as the network gets
it), `scale` (by which width and height were multiplied) and `number` (of the image in the split).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.annotation_check import Problems
from thesisbench.data.arrays import Key, mix
from thesisbench.data.coco_masks import masks_of
from thesisbench.data.image_files import read_image
from thesisbench.data.targets import MISSING, Target

DetectionBatch = tuple[list[Tensor], list[Target]]
BoxTransform = Callable[[UInt8[Tensor, "3 h w"], Target], tuple[Float[Tensor, "3 h2 w2"], Target]]


@dataclass(frozen=True, eq=False)
class ImagePaths:
    """Image files: `names` are their paths below `root`, as an array of bytes."""

    root: Path
    names: npt.NDArray[np.bytes_]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Path of an image below the root."""
        return bytes(self.names[index]).decode()

    def path(self, index: int) -> Path:
        """File of an image."""
        return self.root / self.name(index)


@dataclass(frozen=True, eq=False)
class BoxSplit:
    """Images and the boxes on them.

    Attributes:
        images: files, or the images themselves.
        sizes: height and width of each image, as annotated.
        first: place of each image's first box among all boxes, and their number at the end.
        boxes: of all images, one image after another, in pixels. labels: their classes.
        flags: more about each box: `crowd`, and what the data set has of `difficult` and `state`.
        classes: their names.
        segmentations: of each box, in COCO's JSON; None without masks.
        problems: what was wrong with the annotations.
    """

    images: ImagePaths | UInt8[Tensor, "n 3 h w"]
    sizes: Int[Tensor, "n 2"]
    first: Int[Tensor, " n1"]
    boxes: Float[Tensor, "m 4"]
    labels: Int[Tensor, " m"]
    flags: Mapping[str, Tensor]
    classes: tuple[str, ...]
    segmentations: tuple[bytes, ...] | None = None
    problems: Problems = field(default_factory=Problems)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def counts(self) -> Int[Tensor, " n"]:
        """Boxes of each image."""
        return self.first.diff()

    def name(self, index: int) -> str:
        """What an image is called: its path below the root, or its number."""
        return f"image {index}" if isinstance(self.images, Tensor) else self.images.name(index)

    def image(self, index: int) -> UInt8[Tensor, "3 h w"]:
        """A decoded image.

        Raises:
            BadFileError: its file is missing or broken.
        """
        if isinstance(self.images, Tensor):
            return self.images[index]
        decoded: Tensor = F.pil_to_tensor(read_image(self.images.path(index)))
        return decoded

    def target(self, index: int, height: int, width: int) -> Target:
        """The boxes of an image, cut off where it is smaller than annotated.

        Args:
            index: of the image.
            height: of the decoded image.
            width: of the decoded image.
        """
        rows = slice(int(self.first[index]), int(self.first[index + 1]))
        ends = torch.tensor([width, height, width, height], dtype=torch.float32)
        found = {"boxes": self.boxes[rows].minimum(ends), "labels": self.labels[rows]}
        found |= {name: values[rows] for name, values in self.flags.items()}
        if self.segmentations is not None:
            annotated = self.sizes[index].tolist()
            found["masks"] = masks_of(self.segmentations[rows], annotated, (height, width))
        whole = (found["boxes"][:, 2:] > found["boxes"][:, :2]).all(1)
        about = {"size": torch.tensor([height, width]), "scale": torch.ones(2)}
        about["number"] = torch.tensor(index)
        return {name: values[whole] for name, values in found.items()} | about

    def take(self, index: Int[Tensor, " k"]) -> BoxSplit:
        """The images with these numbers."""
        counts = self.counts[index]
        first = _first(counts)
        inner = torch.arange(int(counts.sum())) - first[:-1].repeat_interleave(counts)
        rows = self.first[index].repeat_interleave(counts) + inner
        if isinstance(self.images, Tensor):
            images: Any = self.images[index]
        else:
            images = replace(self.images, names=self.images.names[index.numpy()])
        return replace(self._rows(rows), images=images, sizes=self.sizes[index], first=first)

    def keep(self, wanted: Bool[Tensor, " m"]) -> BoxSplit:
        """All images with some of the boxes."""
        image = torch.arange(len(self)).repeat_interleave(self.counts)
        counts = torch.bincount(image[wanted], minlength=len(self))
        (rows,) = wanted.nonzero(as_tuple=True)
        return replace(self._rows(rows), first=_first(counts))

    def trained_on(self, *, keep_empty: bool = True) -> BoxSplit:
        """What a training sees: neither difficult boxes nor parts that are not there.

        Args:
            keep_empty: keep images on which no box is left.
        """
        wanted = torch.ones(len(self.labels), dtype=torch.bool)
        if "difficult" in self.flags:
            wanted &= ~self.flags["difficult"]
        if "state" in self.flags:
            wanted &= self.flags["state"] < MISSING
        split = self if bool(wanted.all()) else self.keep(wanted)
        if keep_empty or bool((split.counts > 0).all()):
            return split
        return split.take((split.counts > 0).nonzero().flatten())

    def _rows(self, rows: Int[Tensor, " k"]) -> BoxSplit:
        """The same images with these boxes; `first` is not yet right."""
        flags = {name: values[rows] for name, values in self.flags.items()}
        masks = self.segmentations
        chosen = None if masks is None else tuple(masks[i] for i in rows.tolist())
        boxes, labels = self.boxes[rows], self.labels[rows]
        return replace(self, boxes=boxes, labels=labels, flags=flags, segmentations=chosen)

    def checksum(self) -> str:
        """sha256 (first 16 hex digits) of names and boxes, and of images in memory."""
        digest = hashlib.sha256()
        if isinstance(self.images, Tensor):
            digest.update(self.images.numpy().tobytes())
        else:
            digest.update(b"\n".join(self.images.names.tolist()))
        for values in (self.first, self.boxes, self.labels, *self.flags.values()):
            digest.update(values.numpy().tobytes())
        return digest.hexdigest()[:16]

    def facts(self) -> dict[str, Any]:
        """Counts for the record: images, boxes, images without any, and broken annotations."""
        found: dict[str, Any] = {"count": len(self), "sha256": self.checksum()}
        found |= {"of": "images" if isinstance(self.images, Tensor) else "names and boxes"}
        found |= {"boxes": len(self.labels), "empty": int((self.counts == 0).sum())}
        broken = self.problems.told()
        return found | ({"broken": broken} if broken else {})


def _first(counts: Int[Tensor, " n"]) -> Int[Tensor, " n1"]:
    return torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])


def split_in_memory(
    images: UInt8[Tensor, "n 3 h w"],
    boxes: Float[Tensor, "n k 4"],
    labels: Int[Tensor, "n k"],
    there: Bool[Tensor, "n k"],
    classes: tuple[str, ...],
    **flags: Tensor,
) -> BoxSplit:
    """A split of images in memory, each with up to k boxes.

    Args:
        images: as bytes.
        boxes: in pixels.
        labels: their classes.
        there: which of the k there are.
        classes: names of the classes.
        **flags: more about each box, [n, k].
    """
    sides = torch.tensor(images.shape[-2:])
    columns = {"crowd": torch.zeros_like(there), **flags}
    return BoxSplit(
        images=images,
        sizes=sides.expand(len(images), 2).contiguous(),
        first=_first(there.sum(1)),
        boxes=boxes[there],
        labels=labels[there],
        flags={name: values[there] for name, values in columns.items()},
        classes=classes,
    )


def hold_out(split: BoxSplit, n_val: int, data_seed: int) -> dict[str, BoxSplit]:
    """A training split, and a validation split taken from it; none when `n_val` is 0.

    Args:
        split: to choose from.
        n_val: images of the validation split; fewer are the first of more.
        data_seed: of the choice.
    """
    if not n_val:
        return {"train": split}
    generator = torch.Generator().manual_seed(mix(data_seed, len(split)))
    order = torch.randperm(len(split), generator=generator)
    return {
        "train": split.take(order[n_val:].sort().values),
        "val": split.take(order[:n_val].sort().values),
    }


class BoxFiles(Dataset[DetectionBatch]):
    """Images and targets, fetched a batch at a time.

    Args:
        boxes: split of images with boxes.
        transform: image and target -> both as the network gets them; what it draws from torch's
            global generator is a function of (seed, epoch, index).
        seed: of the run.
    """

    def __init__(self, boxes: BoxSplit, transform: BoxTransform, *, seed: int = 0) -> None:
        self.boxes, self.transform, self.seed = boxes, transform, seed

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, key: Key) -> DetectionBatch:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[Key]) -> DetectionBatch:
        """The batch of samples with these (epoch, index) keys."""
        with torch.random.fork_rng(devices=[]):
            loaded = [self._load(epoch, index) for epoch, index in keys]
        return [image for image, _ in loaded], [target for _, target in loaded]

    def _load(self, epoch: int, index: int) -> tuple[Tensor, Target]:
        torch.default_generator.manual_seed(mix(self.seed, epoch, index))
        image = self.boxes.image(index)
        height, width = image.shape[-2:]
        return self.transform(image, self.boxes.target(index, height, width))
