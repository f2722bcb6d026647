"""Randomness as a function of (seed, epoch), so that a resumed fit continues bit for bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from thesisbench.data.arrays import mix


def seed_all(*numbers: int) -> None:
    """Seeds every global generator: with one number itself, with several from all of them."""
    seed = numbers[0] if len(numbers) == 1 else mix(*numbers)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class SeedEachEpoch(Callback):
    """Seeds all global generators from (seed, epoch) at the first batch of each epoch.

    At the first batch, not at the start of the epoch: a resumed epoch creates its loader's iterator
    before that hook, a normal one after it. Ranks other than 0 draw numbers of their own.
    """

    def __init__(self, seed: int, rank: int = 0) -> None:
        self.seed, self.rank = seed, rank

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, batch_index: int
    ) -> None:
        """Seeds at batch 0."""
        if batch_index == 0:
            others = (self.rank,) if self.rank else ()
            seed_all(self.seed, trainer.current_epoch, *others)
