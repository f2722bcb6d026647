"""Random numbers of many samples at once, each a function of (seed, epoch, index) alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from thesisbench.data.arrays import Key

_MASK = 0xFFFFFFFFFFFFFFFF


def mixed(seed: int, keys: Sequence[Key], count: int) -> npt.NDArray[np.uint64]:
    """`mix(seed, epoch, index, k)` for each key and each k below `count`, as [b, count].

    Args:
        seed: of the run.
        keys: (epoch, index) of the samples.
        count: numbers for each.

    >>> from thesisbench.data.arrays import mix
    >>> int(mixed(3, [(1, 7)], 2)[0, 1]) == mix(3, 1, 7, 1)
    True
    """
    epochs, indices = np.asarray(keys, dtype=np.int64).astype(np.uint64).T
    state = np.full((len(keys), 1), 0x9E3779B97F4A7C15, dtype=np.uint64)
    turns = np.arange(count, dtype=np.uint64)[None, :]
    for number in (np.uint64(seed & _MASK), epochs[:, None], indices[:, None], turns):
        state = (state ^ number) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return state >> np.uint64(1)


def uniform(seed: int, keys: Sequence[Key], count: int) -> Float[Tensor, "b count"]:
    """Numbers in [0, 1), as doubles: the upper 53 bits of `mixed`."""
    return torch.from_numpy((mixed(seed, keys, count) >> np.uint64(10)) * 2.0**-53)
