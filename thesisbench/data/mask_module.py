"""A LightningDataModule over named splits of images with masks in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thesisbench.data.mask_files import MaskFiles, PairList, PairTransform
from thesisbench.data.module import ArrayDataModule
from thesisbench.errors import UserError, unknown


class MaskFilesModule(ArrayDataModule):
    """Named splits of images and masks, listed once when first needed, decoded batch by batch.

    Args:
        name: of the data set, in records. splits: makes the splits: name -> files.
        train: transform of the training split while it is trained on.
        test: that of every split otherwise.
        stand_in: what it stands in for, None for the data set itself.
    """

    def __init__(
        self,
        name: str,
        splits: Callable[[], Mapping[str, PairList]],
        *,
        train: PairTransform,
        test: PairTransform,
        stand_in: str | None = None,
    ) -> None:
        make: Any = splits
        super().__init__(name, make, stand_in=stand_in)
        self._train, self._test = train, test

    def split(self, name: str, *, train: bool = False) -> Any:
        """A split as a data set.

        Raises:
            UserError: the data set has no such split.
        """
        pairs: Mapping[str, Any] = self.arrays
        if name not in pairs:
            raise UserError(unknown(f"split of {self.name}", name, pairs))
        transform = self._train if train else self._test
        return MaskFiles(pairs[name], transform, seed=self.loading.seed)

    def fingerprint(self) -> dict[str, Any]:
        """Name, and count and checksum (of file names) of each split, for the record."""
        pairs: Mapping[str, Any] = self.arrays
        splits = {
            name: {"count": len(split), "sha256": split.checksum(), "of": "names"}
            for name, split in pairs.items()
        }
        return {"name": self.name, "stand_in_for": self.stand_in, "splits": splits}
