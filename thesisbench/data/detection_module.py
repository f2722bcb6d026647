"""A LightningDataModule over named splits of images with boxes, in files or in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thesisbench.data.arrays import make_loader
from thesisbench.data.detection_files import BoxFiles, BoxSplit, BoxTransform
from thesisbench.data.module import ArrayDataModule
from thesisbench.errors import UserError, unknown


class DetectionDataModule(ArrayDataModule):
    """Named splits of images with boxes; batches are (list of images, list of targets).

    A training split hands over what is trained on: no difficult boxes and no missing parts. So do
    the batches of the validation split that a fit measures its loss on; `split`, `loader` and
    `share` have everything otherwise.

    Args:
        name: of the data set, in records. splits: makes the splits: name -> images and boxes.
        train: transform of the training split while it is trained on.
        test: that of every split otherwise.
        keep_empty: train on images without a box, too.
        stand_in: what it stands in for, None for the data set itself.
    """

    def __init__(
        self,
        name: str,
        splits: Callable[[], Mapping[str, BoxSplit]],
        *,
        train: BoxTransform,
        test: BoxTransform,
        keep_empty: bool = True,
        stand_in: str | None = None,
    ) -> None:
        make: Any = splits
        super().__init__(name, make, stand_in=stand_in)
        self._train, self._test, self._keep_empty = train, test, keep_empty
        self._trained: dict[str, BoxSplit] = {}

    def boxes(self, name: str, *, trained: bool = False) -> BoxSplit:
        """Images and boxes of a split, before any transform.

        Args:
            name: of the split.
            trained: only what is trained on.

        Raises:
            UserError: the data set has no such split; all images are left out.
        """
        splits: Mapping[str, Any] = self.arrays
        if name not in splits:
            raise UserError(unknown(f"split of {self.name}", name, splits))
        if not trained:
            found: BoxSplit = splits[name]
            return found
        if name not in self._trained:
            chosen = splits[name].trained_on(keep_empty=self._keep_empty)
            if not len(chosen):
                raise UserError(f"no image of {self.name} ({name}) has a box to train on")
            self._trained[name] = chosen
        return self._trained[name]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        splits: Mapping[str, Any] = self.arrays
        names: tuple[str, ...] = next(iter(splits.values())).classes
        return names

    def split(self, name: str, *, train: bool = False) -> Any:
        """A split as a data set.

        Raises:
            UserError: the data set has no such split.
        """
        transform = self._train if train else self._test
        return BoxFiles(self.boxes(name, trained=train), transform, seed=self.loading.seed)

    def val_dataloader(self) -> Any:
        """Batches of what would be trained on in the validation split; none when there is none."""
        if "val" not in self.arrays:
            return []
        chosen: Any = BoxFiles(self.boxes("val", trained=True), self._test, seed=self.loading.seed)
        return make_loader(chosen, self.loading, train=False)

    def fingerprint(self) -> dict[str, Any]:
        """Name, and counts, checksum and broken annotations of each split, for the record."""
        splits: Mapping[str, Any] = self.arrays
        found = {name: split.facts() for name, split in splits.items()}
        return {"name": self.name, "stand_in_for": self.stand_in, "splits": found}
