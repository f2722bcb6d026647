"""Callbacks for toy fits on several processes: one that ends a rank once, amid a fit."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class EndRank(Callback):
    """Ends one rank at the second batch of an epoch, unless the file `done` is there.

    Args:
        done: file that is made first, so that it happens once.
        rank: of the process. epoch: counted from 0.
        how: "kill" (SIGKILL), "raise" (an error), or "leave" (the process just exits, with code 7).
    """

    def __init__(self, *, done: str, rank: int, epoch: int, how: str = "kill") -> None:
        self.done, self.rank, self.epoch, self.how = Path(done), rank, epoch, how

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, batch_index: int
    ) -> None:
        """Looks whether it is time."""
        here = (trainer.global_rank, trainer.current_epoch, batch_index)
        if here != (self.rank, self.epoch, 1) or self.done.exists():
            return
        self.done.touch()
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "leave":
            os._exit(7)
        raise ValueError("this rank has had enough")
