"""The border location data: an image in one of two corners, far from the border.

Kayhan, chapter 2, experiment 1 (Figure 2.5); arXiv 2003.07064. Each image gives two: in the
top-left corner of a black canvas (class 0) and in the bottom-right one (class 1). All around the
canvas lies a black border of 0 to 512 pixels, so that the classes can be told apart only by looking
that far.

*Deviations*. The canvas of 56x56 images is 112 in the thesis and 120 in the released script. It
matters: the two places are 56 or 64 pixels apart, and where that is no multiple of the network's
total stride, the sampling grid tells them apart without any border. `canvas` chooses. The released
script makes the border by the padding of the first convolution (`location_nets.FirstPadding`)
instead of black pixels; `border=0` with that variant does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.arrays import ArrayDataset, Batch, Key
from thesisbench.data.module import ArrayDataModule
from thesisbench.errors import UserError
from thesisbench.methods.kayhan.full_conv.corner_patch import place_in_corners
from thesisbench.methods.kayhan.full_conv.grating_textures import texture_patches
from thesisbench.methods.kayhan.full_conv.location_images import image_patches

Split = tuple[Tensor, Tensor]
Counts = dict[str, int]


def surround(batch: Batch, keys: Sequence[Key], seed: int, *, border: int) -> Batch:
    """Put black pixels around the images of a batch.

    Args:
        batch: images and labels.
        keys: of the samples.
        seed: of the run; nothing is drawn.
        border: pixels on each side.
    """
    del keys, seed
    (images,), labels = batch
    return (F.pad(images, [border] * 4),), labels


class BorderLocationModule(ArrayDataModule):
    """The splits of the experiment. The black border is made when a batch is loaded.

    Args:
        name: of the data set, in records.
        splits: makes canvases and labels of each split.
        border: black pixels around each canvas.
        stand_in: what it stands in for.

    Raises:
        UserError: a border below 0.
    """

    def __init__(
        self,
        name: str,
        splits: Callable[[], dict[str, Split]],
        *,
        border: int = 0,
        stand_in: str | None = None,
    ) -> None:
        if border < 0:
            raise UserError(f"dataset.border={border}: give 0 or more pixels")
        super().__init__(name, splits, stand_in=stand_in)
        self.border = border

    def split(self, name: str, *, train: bool = False) -> ArrayDataset:
        """A split as a data set of canvases with their border."""
        dataset = super().split(name, train=train)
        dataset.transform = partial(surround, border=self.border)
        return dataset


def image_location_splits(
    *,
    data_seed: int,
    n_train: int = 2000,
    n_val: int = 2000,
    n_test: int = 2000,
    patch: int = 56,
    canvas: int = 112,
    protocol: str = "held_out",
    root: str | None = None,
) -> dict[str, Split]:
    """Splits of the real experiment, from ImageNet's validation images.

    Args:
        data_seed: of the choice of images.
        n_train: training images, two of each photograph.
        n_val: validation images.
        n_test: test images.
        patch: side of the small photographs.
        canvas: side of the black canvas without its border.
        protocol: held_out, or released (all splits from the same photographs).
        root: folder of photographs; default imagenet/val below the data root.

    Raises:
        UserError: an odd number of images, a patch that does not fit, photographs that are not
            there or cannot be read.
    """
    counts = _halves({"train": n_train, "val": n_val, "test": n_test})
    made = image_patches(
        data_seed=data_seed, counts=counts, side=patch, protocol=protocol, root=root
    )
    return {name: place_in_corners(p, canvas=canvas) for name, p in made.items()}


def texture_location_splits(
    *,
    data_seed: int,
    n_train: int = 400,
    n_val: int = 400,
    n_test: int = 400,
    patch: int = 14,
    canvas: int = 28,
) -> dict[str, Split]:
    """Splits of the stand-in: textures in place of photographs, all a quarter as large.

    Args:
        data_seed: of the textures.
        n_train: training images, two of each texture.
        n_val: validation images.
        n_test: test images.
        patch: side of the textures.
        canvas: side of the black canvas without its border.

    Raises:
        UserError: an odd number of images, a patch that does not fit.
    """
    counts = _halves({"train": n_train, "val": n_val, "test": n_test})
    made = texture_patches(data_seed=data_seed, counts=counts, side=patch)
    return {name: place_in_corners(p, canvas=canvas) for name, p in made.items()}


def _halves(sizes: Counts) -> Counts:
    """Patches that give so many images."""
    for name, n in sizes.items():
        if n % 2 or n < 2:
            raise UserError(f"n_{name}={n} must be even: each patch gives an image of each class")
    return {name: n // 2 for name, n in sizes.items()}
