"""Crop-FM whose receptive field ends at the box: a control, which must act like Crop-Input.

Ours, for Kayhan, chapter 3, Table 3.1, claim C1. Crop-FM sees context through the receptive field
of its trunk and in no other way. Here every layer of the trunk sees zeros outside the box, as the
padded convolutions of Crop-Input do; all else is Crop-FM's: one pass over the whole image, and
RoIAlign of the box. So with the weights of a Crop-Input net it gives that net's features, and under
any context the same logits to the bit.

Other ways to keep context out were not taken. Blanking the image alone leaves the maps outside the
box different from zero (biases, and the object itself), which is no longer Crop-Input; a trunk of
1x1 convolutions would be another network.

*Deviations*. RoIAlign takes exactly the cells of the box (`aligned=True, sampling_ratio=1`), where
Crop-FM has torchvision's settings. Boxes lie on multiples of 4.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from thesisbench.methods.kayhan.detector_context.context_nets import STRIDE, CropFMNet


class ConfinedCropFMNet(CropFMNet):
    """Crops the feature map of images whose context no layer sees.

    Args:
        aligned: as in `CropFMNet`, but true.
        sampling_ratio: as in `CropFMNet`, but 1.
        kwargs: of `ContextNet`.
    """

    def __init__(self, *, aligned: bool = True, sampling_ratio: int = 1, **kwargs: Any) -> None:
        super().__init__(aligned=aligned, sampling_ratio=sampling_ratio, **kwargs)

    def features(
        self, images: Float[Tensor, "b 1 h w"], boxes: Float[Tensor, "b 4"]
    ) -> Float[Tensor, "b c s s"]:
        """RoIAlign of the boxes on a map that is zero elsewhere.

        Raises:
            ValueError: boxes that do not lie on multiples of 4, or a map that pools do not halve.
        """
        if (boxes % STRIDE != 0).any():
            bad = boxes[(boxes % STRIDE != 0).any(1)][0].tolist()
            raise ValueError(f"box {bad} does not lie on multiples of {STRIDE}")
        side = images.shape[-1]
        maps = images * inside(boxes, side, 1)
        for layer in self.trunk:
            maps = layer(maps)
            stride, rest = divmod(side, maps.shape[-1])
            if rest or stride not in (1, 2, STRIDE):
                text = f"a map of {maps.shape[-1]} for images of {side}"
                raise ValueError(f"{text}: its cells are not those of the box; keep border=same")
            maps = maps * inside(boxes, maps.shape[-1], stride)
        return self.align(maps, boxes)


def inside(boxes: Float[Tensor, "b 4"], side: int, stride: int) -> Bool[Tensor, "b 1 s s"]:
    """Which cells of square maps lie in the boxes.

    Args:
        boxes: xyxy in pixels, on multiples of the stride.
        side: of the maps.
        stride: pixels of a cell.
    """
    at = torch.arange(side, device=boxes.device) * stride
    x1, y1, x2, y2 = boxes[:, :, None].unbind(1)
    rows, columns = (at >= y1) & (at < y2), (at >= x1) & (at < x2)
    return (rows[:, :, None] & columns[:, None, :])[:, None]
