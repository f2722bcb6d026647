"""What toy configurations instantiate: a network with global randomness, blobs, and small computes.

Imported by the tests and, through --allow-targets, by the runs they start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from thesisbench.data.arrays import Batch, mix
from thesisbench.step import StepContext


class ToyNet(nn.Module):
    """Four numbers to two logits, with dropout (global generator) and batch statistics."""

    def __init__(self, *, width: int = 8, dropout: float = 0.3) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.dropout(self.body(x)))
        return out


class ToyConvNet(nn.Sequential):
    """Four numbers as an image of 2 x 2 pixels, through two convolutions, to two logits."""

    def __init__(self) -> None:
        first, second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        image, flat = nn.Unflatten(1, (1, 2, 2)), nn.Flatten()
        super().__init__(image, first, nn.ReLU(), second, nn.ReLU(), flat, nn.Linear(16, 2))


def blobs(*, n: int = 24, data_seed: int = 0, val: bool = True, noise: float = 1.0) -> Any:
    """Two overlapping clouds of points: train, test and, when asked for, val."""
    generator = torch.Generator().manual_seed(data_seed)

    def split() -> tuple[Tensor, Tensor]:
        labels = torch.arange(n) % 2
        points = torch.randn(n, 4, generator=generator) * noise + labels[:, None]
        return points, labels

    names = ("train", "val", "test") if val else ("train", "test")
    return {name: split() for name in names}


def jitter(batch: Batch, keys: Sequence[tuple[int, int]], seed: int) -> Batch:
    """Noise on every sample, drawn from (seed, epoch, index)."""
    (points,), labels = batch
    noise = [
        torch.randn(4, generator=torch.Generator().manual_seed(mix(seed, epoch, index)))
        for epoch, index in keys
    ]
    return (points + 0.1 * torch.stack(noise),), labels


class Number:
    """A compute of a number that takes a while.

    Args:
        seconds: how long. k: the number depends on it and on the seed.
        wants: it fails where this file is not there; "kill" kills the process.
        told: a file that it appends a line to when it begins and when it ends.
    """

    def __init__(
        self, *, seconds: float = 0.0, k: int = 0, wants: str = "", told: str = ""
    ) -> None:
        self.seconds, self.k, self.wants, self.told = seconds, k, wants, told

    def __call__(self, context: StepContext) -> dict[str, float]:
        self._tell(context, "begin")
        time.sleep(self.seconds)
        if self.wants == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.wants and not Path(self.wants).exists():
            raise ValueError(f"no file {self.wants} yet")
        self._tell(context, "end")
        return {"number": float(mix(context.config["seed"], self.k) % 1000)}

    def _tell(self, context: StepContext, word: str) -> None:
        if self.told:
            attempt = context.attempt.parent.name
            line = f"{word} {context.folder.id} {attempt} {os.getpid()} {time.time():.6f}\n"
            descriptor = os.open(self.told, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.write(descriptor, line.encode())
            os.close(descriptor)


class Blabber:
    """A compute that prints its environment, has it in its variables, and fails quoting it."""

    def __init__(self, *, k: int = 0, **_: Any) -> None:
        self.k = k

    def __call__(self, context: StepContext) -> dict[str, float]:
        environment = dict(os.environ)
        print("printed", environment.get("HF_TOKEN"))
        print(environment)
        raise RuntimeError(f"cannot fetch with {environment}")


class Environment:
    """A compute that tells what its process sees: threads and allocator settings."""

    def __call__(self, context: StepContext) -> dict[str, float]:
        print("said by the child")
        numbers: Mapping[str, str] = {
            "omp": os.environ.get("OMP_NUM_THREADS", "0"),
            "mmap": os.environ.get("MALLOC_MMAP_THRESHOLD_", "0"),
            "trim": os.environ.get("MALLOC_TRIM_THRESHOLD_", "0"),
        }
        return {"threads": torch.get_num_threads(), **{k: float(v) for k, v in numbers.items()}}


class NotANumber:
    """A compute of a metric that cannot be recorded."""

    def __call__(self, context: StepContext) -> dict[str, float]:
        return {"good": 1.0, "bad": float("nan")}


class HungryNet(ToyNet):
    """A network without batch statistics that has memory for few samples at a time.

    Args:
        most: samples of a training batch that it can hold.
    """

    batch_free = True

    def __init__(self, *, most: int = 3, width: int = 8) -> None:
        super().__init__(width=width, dropout=0.0)
        self.most = most
        self.body = nn.Sequential(nn.Linear(4, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) > self.most:
            raise torch.OutOfMemoryError(f"CUDA out of memory: {len(x)} samples")
        return super().forward(x)


class Offspring:
    """A compute that starts a process, tells its id and waits for it.

    Args:
        told: file for the id.
    """

    def __init__(self, *, told: str) -> None:
        self.told = Path(told)

    def __call__(self, context: StepContext) -> dict[str, float]:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
        self.told.with_suffix(".part").write_text(str(child.pid))
        self.told.with_suffix(".part").replace(self.told)
        return {"code": float(child.wait())}
