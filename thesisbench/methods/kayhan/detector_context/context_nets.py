"""Three toy detectors that differ in where they crop the object: input, feature map, nowhere.

Kayhan, chapter 3, section "Q-FMNIST" and Table 3.1. All share the trunk conv 3x3 - pool - conv 3x3
- pool and the head FC - FC; the boxes are given (ground truth), so that only the use of context
differs.

*Deviations*. The thesis leaves open: ReLU after convolutions and the hidden layer, 2x2 pools of
stride 2, zero same padding, and the RoIAlign. Ours pools tile/4 x tile/4 bins from the map after
the second pool, with the settings of torchvision's Faster R-CNN: 2x2 samples a bin and
`aligned=False`, which puts bin i halfway between the cells i and i+1, so that the crop mixes in
half of the first cells right of and below the box. `aligned=True, sampling_ratio=1` takes exactly
the cells of boxes that lie on multiples of 4, hence less context.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import roi_align

from thesisbench.layers.border import conv_nd

STRIDE = 4


def crop_boxes(
    images: Float[Tensor, "b c h w"], boxes: Float[Tensor, "b 4"], side: int
) -> Float[Tensor, "b c side side"]:
    """Cut one square of whole pixels out of each image.

    Args:
        images: the images.
        boxes: xyxy with whole numbers, all side x side and inside the images.
        side: side of the squares.

    Raises:
        ValueError: a box that is not so.
    """
    corner = boxes.round().long()
    x1, y1, x2, y2 = corner.unbind(dim=1)
    height, width = images.shape[-2:]
    inside = (x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height)
    fits = inside & (x2 - x1 == side) & (y2 - y1 == side) & (corner == boxes).all(dim=1)
    if not fits.all():
        bad = boxes[~fits][0].tolist()
        raise ValueError(
            f"box {bad} is no {side}x{side} square of whole pixels in {height}x{width}"
        )
    steps = torch.arange(side, device=images.device)
    item = torch.arange(len(images), device=images.device)[:, None, None]
    rows, columns = (y1[:, None] + steps)[:, :, None], (x1[:, None] + steps)[:, None, :]
    return rearrange(images[item, :, rows, columns], "b h w c -> b c h w")


class ContextNet(nn.Module, ABC):
    """Trunk and head that the three share; a subclass says where it crops.

    Args:
        canvas: side of the images.
        tile: side of the objects' boxes.
        classes: number of classes.
        channels: filters of the two convolutions.
        hidden: units of the hidden layer.
        roi_size: bins along each side of a crop from the map; default tile/4.
        sampling_ratio: RoIAlign's samples along each side of a bin.
        aligned: RoIAlign's shift by half a cell (see the module's *Deviations*).

    Raises:
        ValueError: sizes that are no multiples of the stride, 4.
    """

    batch_free = True

    def __init__(
        self,
        *,
        canvas: int = 56,
        tile: int = 28,
        classes: int = 2,
        channels: Sequence[int] = (6, 16),
        hidden: int = 128,
        roi_size: int | None = None,
        sampling_ratio: int = 2,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        if canvas % STRIDE or tile % STRIDE or not 0 < tile <= canvas:
            raise ValueError(f"canvas {canvas} and tile {tile} must be multiples of {STRIDE}")
        first, second = channels
        self.canvas, self.tile = canvas, tile
        self.roi_size = tile // STRIDE if roi_size is None else roi_size
        self.sampling_ratio, self.aligned = sampling_ratio, aligned
        self.trunk = nn.Sequential(
            conv_nd(1, first, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            conv_nd(first, second, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(second * self.map_side**2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    @property
    @abstractmethod
    def map_side(self) -> int:
        """Side of the map that the head takes."""

    @abstractmethod
    def features(
        self, images: Float[Tensor, "b 1 h w"], boxes: Float[Tensor, "b 4"]
    ) -> Float[Tensor, "b c s s"]:
        """The map of the object, with as much context as the detector has."""

    def forward(
        self, images: Float[Tensor, "b 1 h w"], boxes: Float[Tensor, "b 4"]
    ) -> Float[Tensor, "b k"]:
        """Logits of the objects in the boxes (xyxy, in pixels), one an image."""
        return self.head(self.features(images, boxes))


class CropInputNet(ContextNet):
    """Crops the image, as R-CNN: no context."""

    @property
    def map_side(self) -> int:
        """Side of the tile's map."""
        return self.tile // STRIDE

    def features(
        self, images: Float[Tensor, "b 1 h w"], boxes: Float[Tensor, "b 4"]
    ) -> Float[Tensor, "b c s s"]:
        """Trunk of the cropped images."""
        return self.trunk(crop_boxes(images, boxes, self.tile))


class CropFMNet(ContextNet):
    """Crops the feature map by RoIAlign, as Faster R-CNN: context within the receptive field."""

    @property
    def map_side(self) -> int:
        """Bins along each side."""
        return self.roi_size

    def features(
        self, images: Float[Tensor, "b 1 h w"], boxes: Float[Tensor, "b 4"]
    ) -> Float[Tensor, "b c s s"]:
        """RoIAlign of the boxes on the map of the whole images."""
        return self.align(self.trunk(images), boxes)

    def align(
        self, maps: Float[Tensor, "b c h w"], boxes: Float[Tensor, "b 4"]
    ) -> Float[Tensor, "b c s s"]:
        """RoIAlign of one box (in pixels) on each map."""
        item = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)[:, None]
        aligned: Tensor = roi_align(
            maps,
            torch.cat([item, boxes], dim=1).to(maps.dtype),
            output_size=self.roi_size,
            spatial_scale=1 / STRIDE,
            sampling_ratio=self.sampling_ratio,
            aligned=self.aligned,
        )
        return aligned


class NoCropNet(ContextNet):
    """Takes the whole map, as YOLO: full context; the boxes are not used."""

    @property
    def map_side(self) -> int:
        """Side of the canvas's map."""
        return self.canvas // STRIDE

    def features(
        self,
        images: Float[Tensor, "b 1 h w"],
        boxes: Float[Tensor, "b 4"],  # noqa: ARG002  (the same call for all three)
    ) -> Float[Tensor, "b c s s"]:
        """Trunk of the whole images."""
        return self.trunk(images)
