"""A multi-label network as a detector that knows which parts are there, but not where.

Kayhan, chapter 4, MCML: part c is found if its sigmoid is above 0.5 (assumed). Its boxes are the
whole image and mean nothing; verify with T_P = T_M = 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class LabelsOnly:
    """Detections without places.

    Args:
        network: a `MultiLabelNet`, images given one by one -> logits [b k].

    Attributes:
        score_threshold: least probability of a part that is there.
    """

    score_threshold = 0.5

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    @torch.no_grad()
    def detect(
        self, images: Sequence[Tensor], *, score_threshold: float | None = None
    ) -> list[dict[str, Tensor]]:
        """The classes whose probability is large enough, best first.

        Args:
            images: Float[3 h w] in [0, 1].
            score_threshold: least probability.
        """
        least = self.score_threshold if score_threshold is None else score_threshold
        rows = zip(self.network(*images).sigmoid(), images, strict=True)
        return [_prediction(scores, image, least) for scores, image in rows]


def _prediction(scores: Tensor, image: Tensor, least: float) -> dict[str, Tensor]:
    values, labels = scores.sort(descending=True, stable=True)
    keep = values >= least
    whole = torch.tensor([0.0, 0, image.shape[-1], image.shape[-2]])
    boxes = whole.expand(int(keep.sum()), 4)
    return {"boxes": boxes, "scores": values[keep], "labels": labels[keep]}
