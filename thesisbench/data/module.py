"""A LightningDataModule over named splits held in memory, with fingerprints for the record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from thesisbench.data.arrays import ArrayDataset, BatchTransform, Loading, Splits, make_loader
from thesisbench.data.shares import WHOLE
from thesisbench.errors import UserError, unknown


class ArrayDataModule(LightningDataModule):
    """Named splits, built once when first needed.

    Args:
        name: of the data set, in records. splits: makes the splits: name -> (inputs, targets).
        transform: augmentation of the training split.
        finish: applied to the inputs of every batch of every split, such as bytes to numbers.
        stand_in: what it stands in for, None for the data set itself.
    """

    def __init__(
        self,
        name: str,
        splits: Callable[[], Splits],
        *,
        transform: BatchTransform | None = None,
        finish: Callable[[Tensor], Tensor] | None = None,
        stand_in: str | None = None,
    ) -> None:
        super().__init__()
        self._finish = finish
        self.name, self._make, self._transform, self.stand_in = name, splits, transform, stand_in
        self.loading = Loading(batch_size=256)

    @cached_property
    def arrays(self) -> Splits:
        """All splits."""
        return self._make()

    def split(self, name: str, *, train: bool = False) -> ArrayDataset:
        """A split as a data set.

        Raises:
            UserError: the data set has no such split.
        """
        if name not in self.arrays:
            raise UserError(unknown(f"split of {self.name}", name, self.arrays))
        inputs, targets = self.arrays[name]
        transform = self._transform if train else None
        settings: Any = {"transform": transform, "finish": self._finish}
        return ArrayDataset(inputs, targets, **settings, seed=self.loading.seed)

    def loader(self, name: str) -> Any:
        """Batches of a whole split in its own order."""
        return make_loader(self.split(name), replace(self.loading, share=WHOLE), train=False)

    def share(self, name: str) -> Any:
        """This process's share of the batches of a split, in its own order."""
        return make_loader(self.split(name), self.loading, train=False)

    def train_dataloader(self) -> Any:
        """Batches of the training split, in the order of the epoch the fit is about to run."""
        assert self.trainer is not None
        epoch: int = self.trainer.fit_loop.epoch_progress.current.processed  # type: ignore[attr-defined]
        return make_loader(self.split("train", train=True), self.loading, train=True, epoch=epoch)

    def val_dataloader(self) -> Any:
        """Batches of the validation split; none when the data set has none."""
        return self.share("val") if "val" in self.arrays else []

    def fingerprint(self) -> dict[str, Any]:
        """Name, and count and checksum of each split, for the record."""
        splits = {}
        for name, (inputs, targets) in self.arrays.items():
            tensors = [inputs, targets] if isinstance(inputs, Tensor) else [*inputs, targets]
            splits[name] = {"count": len(targets), "sha256": checksum(*tensors)}
        return {"name": self.name, "stand_in_for": self.stand_in, "splits": splits}


def checksum(*tensors: Tensor) -> str:
    """sha256 (first 16 hex digits) of the values, types and shapes of tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
