"""What a fit writes down while it runs: metrics.jsonl, one line an epoch, and its progress."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from thesisbench.step import LostRunError
from thesisbench.store.files import write_text


class Journal(Callback):
    """Appends the metrics of every epoch to a file and reports progress.

    A resumed fit first drops the lines of epochs it is about to run again. A line is written before
    the checkpoint of its epoch, so that a kill in between repeats the epoch and loses no line.

    Args:
        path: metrics.jsonl, shared by all attempts.
        report: told {"epoch": done, "epochs": most} after each epoch.
        allowed: asked before each write; False ends the fit (another owner has the run).
        writes: False on a rank other than 0, which only takes part in computing the metrics.
    """

    def __init__(
        self,
        path: Path,
        report: Callable[[dict[str, Any]], None] = lambda _: None,
        allowed: Callable[[], bool] = lambda: True,
        *,
        writes: bool = True,
    ) -> None:
        self.path, self.report, self.allowed, self.writes = path, report, allowed, writes

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Keeps the lines of finished epochs only."""
        self._check()
        if self.writes:
            keep_epochs(self.path, trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Writes one line."""
        self._check()
        line: dict[str, Any] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        line |= {k: float(v) for k, v in trainer.callback_metrics.items()}
        if not self.writes:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.report({"epoch": trainer.current_epoch + 1, "epochs": trainer.max_epochs})

    def _check(self) -> None:
        if not self.allowed():
            raise LostRunError("another process owns this run now")


def keep_epochs(path: Path, count: int) -> None:
    """Leaves the lines of the first `count` epochs in a metrics file; a torn last line goes too."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["epoch"] < count:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    write_text(path, "".join(f"{line}\n" for line in kept), durable=False)
