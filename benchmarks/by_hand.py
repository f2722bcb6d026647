"""The baseline of all training benchmarks: the Red-Green experiment as a plain PyTorch loop.

The same network, data, batches, optimiser and validation as the recipe
`kayhan/full_conv/red_green`, without any framework: no logging, no checkpoints, no resuming.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.border import ConvertBorder
from thesisbench.methods.kayhan.full_conv.red_green import red_green_splits
from thesisbench.methods.kayhan.full_conv.red_green_net import RedGreenNet

BATCH = 200
# name of the option -> border and pad mode
BORDERS: dict[str, dict[str, Any]] = {
    "valid": {"border": "valid"},
    "same": {"border": "same"},
    "circular": {"border": "same", "pad_mode": "circular"},
    "full": {"border": "full"},
}


@dataclass(frozen=True)
class Size:
    """How much is trained.

    Attributes:
        epochs: of the fit. n_train, n_val, n_test: images of the splits.
    """

    epochs: int
    n_train: int = 2000
    n_val: int = 1000
    n_test: int = 1000

    @property
    def steps(self) -> int:
        """Training steps an epoch."""
        return -(-self.n_train // BATCH)

    @property
    def overrides(self) -> list[str]:
        """The same size for the recipe."""
        counts = [
            f"dataset.splits.n_{n}={getattr(self, f'n_{n}')}" for n in ("train", "val", "test")
        ]
        return [f"schedule.epochs={self.epochs}", *counts]


def build(border: str) -> nn.Module:
    """The network with one of the four ways of handling borders."""
    network = RedGreenNet()
    ConvertBorder(**BORDERS[border])(network)
    return network


def make_optimizer(network: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimiser."""
    return torch.optim.Adadelta(network.parameters(), lr=1.0, rho=0.9, eps=1e-6, weight_decay=5e-5)


def fit(border: str, size: Size, seed: int, on_epoch: Callable[[], None] = lambda: None) -> float:
    """Trains for all epochs; `on_epoch` is called after each. Returns the last validation loss."""
    torch.manual_seed(seed)
    splits = red_green_splits(
        protocol="released", n_train=size.n_train, n_val=size.n_val, n_test=size.n_test
    )
    network = build(border)
    optimizer = make_optimizer(network)
    loss = float("nan")
    for _ in range(size.epochs):
        network.train()
        for images, labels in zip(*(x.split(BATCH) for x in splits["train"]), strict=True):
            step(network, optimizer, images, labels)
        loss = validate(network, *splits["val"])
        on_epoch()
    return loss


def step(
    network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor
) -> None:
    """One step of training."""
    optimizer.zero_grad()
    F.cross_entropy(network(images), labels).backward()
    optimizer.step()


@torch.no_grad()
def validate(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Mean loss over a split, batch by batch."""
    network.eval()
    total = 0.0
    for x, y in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        total += float(F.cross_entropy(network(x), y, reduction="sum"))
    return total / len(labels)
