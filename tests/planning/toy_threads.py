"""A callback that fails where torch does not compute with the threads it should."""

from __future__ import annotations

import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class NeedsThreads(Callback):
    """Looks when the training begins.

    Args:
        count: of threads.
    """

    def __init__(self, *, count: int) -> None:
        super().__init__()
        self.count = count

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        found = torch.get_num_threads()
        if found != self.count:
            raise ValueError(f"{found} threads, not {self.count}")
