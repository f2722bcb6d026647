"""Pictures of images with boxes, for the pages of tables."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

GAP = 4  # pixels between panels
GREEN, RED, GREY = (0, 200, 0), (230, 0, 0), (170, 170, 170)
BLACK = (0, 0, 0)
Colour = tuple[int, int, int]


def with_boxes(
    image: Float[Tensor, "3 h w"],
    boxes: Float[Tensor, "n 4"],
    colours: Sequence[Colour],
    names: Sequence[str | None] | None = None,
    *,
    side: int = 300,
) -> UInt8[Tensor, "3 h2 w2"]:
    """An image with boxes drawn on it, enlarged a whole number of times.

    Args:
        image: numbers from 0 to 1.
        boxes: xyxy; those without an area in the image are left out.
        colours: of each box.
        names: written at each box; None for nothing.
        side: of the enlarged image at most, in pixels.
    """
    factor = max(1, side // max(image.shape[-2:]))
    large = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    large = large.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    ends = torch.tensor([large.shape[2], large.shape[1]]).repeat(2) - 1
    places = (boxes * factor).clamp(min=0).minimum(ends)
    drawn = (places[:, 2:] > places[:, :2]).all(1).nonzero().flatten().tolist()
    texts = names or [None] * len(boxes)
    for named in (False, True):  # texts on top
        some = [i for i in drawn if (texts[i] is not None) == named]
        if some:
            words = [str(texts[i]) for i in some] if named else None
            large = _drawn(large, places[some], [colours[i] for i in some], words)
    return large


def _drawn(
    image: Tensor, boxes: Tensor, colours: list[Colour], names: list[str] | None
) -> UInt8[Tensor, "3 h w"]:
    filled = {"label_colors": BLACK, "fill_labels": True} if names else {}
    result: Tensor = draw_bounding_boxes(image, boxes, names, colors=colours, width=2, **filled)
    return result


def side_by_side(panels: Sequence[UInt8[Tensor, "3 h w"]]) -> UInt8[Tensor, "3 h w2"]:
    """Pictures of one height beside each other, with white gaps between."""
    gap = torch.full((3, panels[0].shape[1], GAP), 255, dtype=torch.uint8)
    row = [part for panel in panels for part in (gap, panel)][1:]
    return torch.cat(row, dim=2)
