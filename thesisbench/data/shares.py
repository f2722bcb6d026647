"""Which samples of each global batch a process takes, when several work on one run.

A global batch is cut into ranks x accumulate contiguous parts, as equal as can be, so that their
union over all ranks is the batch of one process: every sample once, none twice. A last batch may
have fewer samples than parts; the process of an empty part repeats a sample, so that all make the
same number of steps, and the count of the part says 0, so that it weighs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed
from torch.utils.data import Sampler


@dataclass(frozen=True)
class Share:
    """The part of one process in each global batch.

    Attributes:
        rank: of this process. ranks: how many there are.
        accumulate: parts that each does one after another.
    """

    rank: int = 0
    ranks: int = 1
    accumulate: int = 1

    @property
    def parts(self) -> int:
        """Parts of a global batch."""
        return self.ranks * self.accumulate

    @property
    def whole(self) -> bool:
        """Whether this process does each global batch in one go."""
        return self.parts == 1

    def bounds(self, size: int, turn: int) -> tuple[int, int]:
        """Where a part of this process begins and ends in a global batch.

        Args:
            size: samples of the global batch.
            turn: which of this process's parts.

        >>> [Share(rank, 2).bounds(5, 0) for rank in (0, 1)]
        [(0, 2), (2, 5)]
        """
        part = self.rank * self.accumulate + turn
        return part * size // self.parts, (part + 1) * size // self.parts


WHOLE = Share()  # of the only process


class ShareSampler(Sampler[Any]):
    """Yields the keys of one process's parts, batch after batch.

    Args:
        sampler: yields the keys of all samples, in the order of all processes.
        batch_size: global. drop_last: leave out a smaller last global batch.
        share: which parts are this process's.
    """

    def __init__(self, sampler: Any, batch_size: int, *, drop_last: bool, share: Share) -> None:
        self.sampler, self.batch_size, self.share = sampler, batch_size, share
        size = len(sampler)
        full, rest = divmod(size, batch_size)
        self.sizes = [batch_size] * full + ([rest] if rest and not drop_last else [])

    def __len__(self) -> int:
        return len(self.sizes) * self.share.accumulate

    def __iter__(self) -> Iterator[list[Any]]:
        keys = iter(self.sampler)
        for size in self.sizes:
            batch = [next(keys) for _ in range(size)]
            for turn in range(self.share.accumulate):
                first, last = self.share.bounds(size, turn)
                yield batch[first:last] or batch[:1]

    def count(self, index: int) -> int:
        """Samples of this process's part number `index` that are not repeated ones."""
        step, turn = divmod(index, self.share.accumulate)
        first, last = self.share.bounds(self.sizes[step], turn)
        return last - first

    def weight(self, index: int) -> float:
        """What the mean loss over a part counts beside those of equal parts; 1 for a full batch.

        Gradients of parts are averaged, so that a smaller part has to count less.
        """
        step = index // self.share.accumulate
        return self.count(index) * self.share.parts / self.sizes[step]

    def positions(self, rank: int, limit: int | None = None) -> list[int]:
        """Places in the order of all samples of what a process takes, without repeated ones.

        Args:
            rank: of the process.
            limit: global batches that are taken; None for all.
        """
        share = Share(rank, self.share.ranks, self.share.accumulate)
        found: list[int] = []
        start = 0
        for size in self.sizes[:limit]:
            for turn in range(share.accumulate):
                first, last = share.bounds(size, turn)
                found += range(start + first, start + last)
            start += size
        return found


def gather(rows: Tensor, sampler: ShareSampler, limit: int | None = None) -> Tensor:
    """The rows of all processes in the order of the samples; all processes call it.

    Args:
        rows: this process's, in the order of its parts, without those of repeated samples.
        sampler: that shared the samples out.
        limit: global batches that were taken; None for all.
    """
    if sampler.share.ranks == 1:
        return rows
    places = [sampler.positions(rank, limit) for rank in range(sampler.share.ranks)]
    most = max(map(len, places))
    mine = rows.new_zeros((most, *rows.shape[1:]))
    mine[: len(rows)] = rows
    theirs = [torch.empty_like(mine) for _ in places]
    distributed.all_gather(theirs, mine)
    whole = rows.new_empty((sum(map(len, places)), *rows.shape[1:]))
    for part, place in zip(theirs, places, strict=True):
        whole[torch.tensor(place, dtype=torch.long)] = part[: len(place)]
    return whole
