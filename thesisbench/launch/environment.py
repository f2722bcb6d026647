"""What a run's process finds in its environment: threads, allocator, devices, no other launcher."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# glibc gives large blocks back to the system at once; training on a CPU is 1.7x slower for it.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
}
# With these Lightning would take the run for a rank that something else has started.
RANKS = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "WORLD_SIZE", "MASTER_PORT")
SLURM = ("SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")


def child_environment(threads: int) -> dict[str, str]:
    """Settings that must be there before a process starts."""
    return {**dict.fromkeys(THREADS, str(threads)), **ALLOCATOR}


def without_ranks() -> dict[str, None]:
    """Settings that must not be there: they tell of ranks, and of other jobs than a run's."""
    return dict.fromkeys((*RANKS, *SLURM))


@contextlib.contextmanager
def changed_environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Environment variables for a while; None takes one away."""
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
