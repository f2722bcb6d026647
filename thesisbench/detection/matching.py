"""Whether a detector recognised an object, with as little as can be asked of the place.

Kayhan, chapter 3, Figures 3.4 and 3.5: classification accuracy of detectors. Faster R-CNN is right
with a detection of the right class and an IoU of at least 0.25; YOLO is right if a box of the right
class has its centre in the grid cell of the object's centre.

*Deviations*. The thesis does not say which of YOLO's three grids is meant. Ours is that which made
the detection (`cells` of the prediction: grid, row, column); without cells, any grid. As each grid
divides the next, that is the coarsest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import box_iou

from thesisbench.errors import UserError

CellsOf = Callable[[Tensor, Sequence[int], Tensor], Tensor]


class IoUMatch:
    """Right class, and an IoU of at least a threshold.

    Args:
        threshold: least IoU.
    """

    def __init__(self, threshold: float = 0.25) -> None:
        self.threshold = threshold

    def __call__(
        self,
        prediction: Mapping[str, Tensor],
        boxes: Float[Tensor, "n 4"],
        labels: Int[Tensor, " n"],
        size: Sequence[int],  # noqa: ARG002  (the same call for both)
    ) -> Bool[Tensor, " n"]:
        """Which objects of an image were found.

        Args:
            prediction: `boxes` and `labels` of the image.
            boxes: of the objects, xyxy.
            labels: their classes.
            size: height and width of the image.
        """
        near = box_iou(boxes, prediction["boxes"].to(boxes.dtype)) >= self.threshold
        return (near & (labels[:, None] == prediction["labels"])).any(1)


class GridCellMatch:
    """Right class, and the centre in the same cell of a grid.

    Args:
        strides: sides of the cells of each grid in pixels of the image, as numbered in `cells`.
        cells_of: boxes [k 4], size of the image (height, width), grid of each box [k] -> row and
            column [k 2] of the cell with the box's centre; by the strides when None. Detectors that
            resize images have one of their own.

    Raises:
        UserError: no strides, or one below 1.
    """

    def __init__(
        self, strides: Sequence[int] = (8, 16, 32), cells_of: CellsOf | None = None
    ) -> None:
        if not strides or min(strides) < 1:
            raise UserError(f"grid cells need strides of 1 and more; got {list(strides)}")
        self.strides = torch.tensor(list(strides))
        self.cells_of = cells_of or self._by_stride

    def __call__(
        self,
        prediction: Mapping[str, Tensor],
        boxes: Float[Tensor, "n 4"],
        labels: Int[Tensor, " n"],
        size: Sequence[int],
    ) -> Bool[Tensor, " n"]:
        """Which objects of an image were found.

        Args:
            prediction: `boxes`, `labels` and, where known, `cells` [m 3] of the image.
            boxes: of the objects, xyxy.
            labels: their classes.
            size: height and width of the image.

        Raises:
            UserError: a cell of a grid that has no stride.
        """
        cells = prediction.get("cells")
        if cells is not None:
            same = self._same_cell(boxes, cells, size)
        else:
            grids = [torch.tensor(i) for i in range(len(self.strides))]
            theirs = prediction["boxes"].to(boxes.dtype)
            pairs = [(self._in_grid(boxes, size, i), self._in_grid(theirs, size, i)) for i in grids]
            same = torch.stack([(a[:, None] == b).all(-1) for a, b in pairs]).any(0)
        return (same & (labels[:, None] == prediction["labels"])).any(1)

    def _same_cell(
        self, boxes: Float[Tensor, "n 4"], cells: Int[Tensor, "m 3"], size: Sequence[int]
    ) -> Bool[Tensor, "n m"]:
        n, m = len(boxes), len(cells)
        grids = cells[:, 0].long().repeat(n)
        mine = self.cells_of(boxes.repeat_interleave(m, 0), size, grids)
        return (mine.reshape(n, m, 2) == cells[:, 1:]).all(-1)

    def _in_grid(self, boxes: Tensor, size: Sequence[int], grid: Tensor) -> Int[Tensor, "k 2"]:
        return self.cells_of(boxes, size, grid.expand(len(boxes)))

    def _by_stride(self, boxes: Tensor, size: Sequence[int], grids: Tensor) -> Int[Tensor, "k 2"]:
        del size
        if len(grids) and int(grids.max()) >= len(self.strides):
            text = f"the detector has grid {int(grids.max())}"
            raise UserError(f"{text}, but there are {len(self.strides)} strides; set strides")
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        return (centres // self.strides[grids][:, None]).long().flip(1)
