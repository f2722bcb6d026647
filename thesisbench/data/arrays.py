"""Data sets held in memory and their loading, as a function of (seed, epoch, index).

Nothing drawn here depends on generator history, worker count or device count: a sampler yields
(epoch, index), and whatever is random about a sample is drawn from (seed, epoch, index).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from thesisbench.data.shares import WHOLE, Share, ShareSampler

Batch = tuple[tuple[Tensor, ...], Tensor]
Key = tuple[int, int]
BatchTransform = Callable[[Batch, Sequence[Key], int], Batch]


@dataclass(frozen=True)
class Loading:
    """How splits are turned into batches.

    Attributes:
        batch_size: samples a batch (global). seed: of the order and of augmentation.
        shuffle: permute the training split by (seed, epoch).
        drop_last: leave out a smaller last training batch. limit: at most so many batches.
        workers: loader processes; they do not change what is loaded.
        share: parts of each batch that this process does.
    """

    batch_size: int
    seed: int = 0
    shuffle: bool = True
    drop_last: bool = False
    limit: int | None = None
    workers: int = 0
    share: Share = WHOLE


class ArrayDataset(Dataset[Batch]):
    """Inputs and targets in memory, fetched a batch at a time.

    Args:
        inputs: tensors whose first axis counts samples.
        targets: labels, first axis alike.
        transform: random augmentation of a batch, from its keys and the seed.
        finish: applied to each input of a batch thereafter, such as bytes to numbers.
        seed: given to the transform.
    """

    def __init__(
        self,
        inputs: Tensor | Sequence[Tensor],
        targets: Tensor,
        *,
        transform: BatchTransform | None = None,
        finish: Callable[[Tensor], Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        self.inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        self.targets = targets
        self.transform, self.finish = transform, finish
        self.seed = seed
        if any(len(x) != len(targets) for x in self.inputs):
            counts = [len(x) for x in self.inputs]
            raise ValueError(f"inputs have {counts} samples, targets {len(targets)}")

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, key: Key) -> Batch:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """The batch of samples with these (epoch, index) keys."""
        index = torch.tensor([i for _, i in keys])
        batch = (tuple(x[index] for x in self.inputs), self.targets[index])
        if self.transform is not None:
            batch = self.transform(batch, keys, self.seed)
        if self.finish is not None:
            batch = tuple(self.finish(x) for x in batch[0]), batch[1]
        return batch


class EpochSampler(Sampler[Key]):
    """Yields (epoch, index): all indices once, permuted by (seed, epoch) when asked.

    >>> list(EpochSampler(3, seed=0, shuffle=False))
    [(0, 0), (0, 1), (0, 2)]
    """

    def __init__(self, size: int, *, seed: int, shuffle: bool, epoch: int = 0) -> None:
        self.size, self.seed, self.shuffle, self.epoch = size, seed, shuffle, epoch

    def set_epoch(self, epoch: int) -> None:
        """Called by the training loop before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Key]:
        order: Iterable[int] = range(self.size)
        if self.shuffle:
            generator = torch.Generator().manual_seed(mix(self.seed, self.epoch))
            order = torch.randperm(self.size, generator=generator).tolist()
        return iter([(self.epoch, i) for i in order])


def mix(*numbers: int) -> int:
    """One 63-bit seed from several integers; unlike a sum, it has no simple collisions.

    >>> mix(1, 2) == mix(1, 2), mix(1, 2) == mix(2, 1)
    (True, False)
    """
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state ^ (number & 0xFFFFFFFFFFFFFFFF)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return state >> 1


def make_loader(dataset: ArrayDataset, loading: Loading, *, train: bool, epoch: int = 0) -> Any:
    """A DataLoader over this process's share of a split that loads whole batches."""
    order = EpochSampler(
        len(dataset), seed=loading.seed, shuffle=train and loading.shuffle, epoch=epoch
    )
    drop_last = train and loading.drop_last
    return DataLoader(
        dataset,
        batch_sampler=ShareSampler(
            order, loading.batch_size, drop_last=drop_last, share=loading.share
        ),
        num_workers=loading.workers,
        collate_fn=_as_is,
        generator=torch.Generator().manual_seed(mix(loading.seed, epoch)),
        persistent_workers=loading.workers > 0,
        multiprocessing_context=_worker_context(loading.workers),
    )


def _worker_context(workers: int) -> str | None:
    """Loader processes are forked where that is safe, so that they need not import torch again.

    The default of a run's own process is the start method of its launcher, not that of the system.
    """
    return "fork" if workers and sys.platform == "linux" else None


def _as_is(batch: Any) -> Any:
    return batch


Splits = Mapping[str, tuple[Tensor | Sequence[Tensor], Tensor]]
