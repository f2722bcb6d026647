"""Asks a detector which of the objects whose places are known it recognises.

Kayhan, chapter 3, Figure 3.4: what counts as right differs by the kind of detector, so that the
place matters as little as can be (`thesisbench.detection.matching`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from thesisbench.detection.matching import GridCellMatch, IoUMatch
from thesisbench.errors import UserError
from thesisbench.metrics.detection_ap import ignored, there

MATCHES = ("iou", "cell", "crop")

Recognise = Callable[[list[Tensor], list[Tensor], list[Tensor]], list[Tensor]]


def recogniser(
    network: Any,
    *,
    match: str,
    iou: float = 0.25,
    strides: Sequence[int] = (8, 16, 32),
    score_threshold: float | None = None,
) -> Recognise:
    """Images, boxes and labels of the objects on each -> which of these are recognised.

    Args:
        network: with `detect`, or with `classify` where crops are asked.
        match: iou, cell or crop.
        iou: least overlap.
        strides: of grids, where the detector has no `cells_of`.
        score_threshold: least score of a detection; the detector's own when None.

    Raises:
        UserError: the network cannot be asked so.
    """
    wanted = "classify" if match == "crop" else "detect"
    if not hasattr(network, wanted):
        text = f"match={match} needs a detector with `{wanted}`"
        raise UserError(f"{text}; the fit has a {type(network).__name__}")
    if match == "crop":

        def classified(
            images: list[Tensor], boxes: list[Tensor], labels: list[Tensor]
        ) -> list[Tensor]:
            rows = zip(network.classify(images, boxes), labels, strict=True)
            return [logits.argmax(1) == mine for logits, mine in rows]

        return classified
    own_cells = getattr(network, "cells_of", None)
    same: Any = IoUMatch(iou) if match == "iou" else GridCellMatch(strides, own_cells)

    def detected(images: list[Tensor], boxes: list[Tensor], labels: list[Tensor]) -> list[Tensor]:
        found = network.detect(images, score_threshold=score_threshold)
        parts = zip(found, boxes, labels, images, strict=True)
        return [same(p, b, k, tuple(image.shape[-2:])) for p, b, k, image in parts]

    return detected


def objects(target: dict[str, Tensor]) -> tuple[Float[Tensor, "n 4"], Int[Tensor, " n"]]:
    """Boxes and classes of the objects that count: no crowds, no missing parts."""
    keep = there(target) & ~ignored(target)
    return target["boxes"][keep], target["labels"][keep]
