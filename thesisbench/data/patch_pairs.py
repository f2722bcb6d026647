"""Pairs of grey patches in memory: matching pairs to train on, pairs with labels to test on.

A split is `(patches, pairs)`: patches [p, 1, h, w], as numbers or as bytes, and pairs [n, 3] of
(index of one patch, index of the other, what is known of the two): the point that both show in a
training or validation split, 1 (matching) or 0 in a test split. A patch may be in many pairs.

A batch of b pairs is one tensor of 2b patches, the two of a pair one after the other, and b
targets; so any network of patches takes it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import repeat
from jaxtyping import Float, Int
from torch import Tensor

from thesisbench.data.arrays import ArrayDataset, Batch, BatchTransform, Key, mix
from thesisbench.data.module import ArrayDataModule
from thesisbench.errors import UserError, unknown


class PatchPairs(ArrayDataset):
    """Pairs of patches, fetched a batch at a time.

    Args:
        patches: all patches; bytes become numbers from 0 to 1.
        pairs: index of one, index of the other, target.
        transform: random augmentation of a batch, from its keys and the seed.
        seed: given to the transform.
    """

    def __init__(
        self,
        patches: Float[Tensor, "p 1 h w"] | Int[Tensor, "p 1 h w"],
        pairs: Int[Tensor, "n 3"],
        *,
        transform: BatchTransform | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(pairs[:, :2], pairs[:, 2], transform=transform, seed=seed)
        self.patches = patches

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """The pairs with these (epoch, index) keys."""
        index = torch.tensor([i for _, i in keys])
        patches = self.patches[self.inputs[0][index].flatten()]
        if not patches.is_floating_point():
            patches = patches.float() / 255
        batch = ((patches,), self.targets[index])
        return batch if self.transform is None else self.transform(batch, keys, self.seed)


class PatchPairsModule(ArrayDataModule):
    """Named splits of pairs of patches, built once when first needed.

    Takes the arguments of `ArrayDataModule`; `splits` makes name -> (patches, pairs).
    """

    def split(self, name: str, *, train: bool = False) -> ArrayDataset:
        """A split as a data set.

        Raises:
            UserError: the data set has no such split.
        """
        if name not in self.arrays:
            raise UserError(unknown(f"split of {self.name}", name, self.arrays))
        patches, pairs = self.arrays[name]
        assert isinstance(patches, Tensor)
        transform = self._transform if train else None
        return PatchPairs(patches, pairs, transform=transform, seed=self.loading.seed)


def flip_and_turn(batch: Batch, keys: Sequence[Key], seed: int) -> Batch:
    """Transposes and mirrors half of the pairs each, both patches of a pair alike.

    The two together make a turn by 90 degrees. Drawn from (seed, epoch, index).

    Args:
        batch: 2b square patches, those of a pair one after the other; b targets.
        keys: (epoch, index) of the pairs.
        seed: of the run.
    """
    (patches,), targets = batch
    drawn = torch.tensor([mix(seed, epoch, index) for epoch, index in keys])
    transposed, mirrored = (repeat(drawn >> bit & 1 == 1, "b -> (b 2) 1 1 1") for bit in (0, 1))
    patches = torch.where(transposed, patches.mT, patches)
    return (torch.where(mirrored, patches.flip(-1), patches),), targets
