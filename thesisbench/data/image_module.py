"""A LightningDataModule over named splits of image files; as `ArrayDataModule`, but streaming."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from thesisbench.data.image_files import ImageFiles
from thesisbench.data.module import ArrayDataModule
from thesisbench.errors import UserError, unknown


class ImageFilesModule(ArrayDataModule):
    """Named splits of image files, listed once when first needed and decoded batch by batch.

    Args:
        name: of the data set, in records. splits: makes the splits: name -> files and labels.
        train: transform of the training split while it is trained on.
        test: that of every split otherwise.
        stand_in: what it stands in for, None for the data set itself.

    Attributes:
        files: the data set of a split: (list of files, transform, seed) -> batches.
        checked: what the checksum of a list of files is of.
    """

    files: ClassVar[Callable[..., Any]] = ImageFiles
    checked: ClassVar[str] = "names and labels"

    def __init__(
        self,
        name: str,
        splits: Callable[[], Mapping[str, Any]],
        *,
        train: Callable[..., Any],
        test: Callable[..., Any],
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
        images: Mapping[str, Any] = self.arrays
        if name not in images:
            raise UserError(unknown(f"split of {self.name}", name, images))
        transform = self._train if train else self._test
        return type(self).files(images[name], transform, seed=self.loading.seed)

    def fingerprint(self) -> dict[str, Any]:
        """Name, and count and checksum of each split, for the record."""
        images: Mapping[str, Any] = self.arrays
        splits = {
            name: {"count": len(split), "sha256": split.checksum(), "of": self.checked}
            for name, split in images.items()
        }
        return {"name": self.name, "stand_in_for": self.stand_in, "splits": splits}
