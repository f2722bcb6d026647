"""A detector that looks at no image: each part at its mean place, always.

Ours, for Kayhan, chapter 4: the prior of position alone, and so the most that can be hallucinated.
It finds all present and all missing parts where the place does not matter (R_P = R_M = 1), and as
many as lie at the usual place otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesisbench.errors import UserError, unknown

Score = Literal["one", "presence"]


class MeanBoxDetector:
    """Finds every part that it has seen at its mean box, in every image.

    Args:
        boxes: of the parts that were seen, xyxy, as shares of the width and height of their image.
        labels: which parts these are.
        images: that they were seen on.
        parts: number of kinds of parts.
        score: of a detection: one, or presence (the share of the images that have the part).

    Raises:
        UserError: another score, or no part at all.
    """

    def __init__(
        self,
        *,
        boxes: Float[Tensor, "m 4"],
        labels: Int[Tensor, " m"],
        images: int,
        parts: int,
        score: Score = "one",
    ) -> None:
        if score not in ("one", "presence"):
            raise UserError(unknown("score of the mean boxes", str(score), ("one", "presence")))
        if not len(labels):
            raise UserError("no part is there in the training images: no mean boxes")
        counts = torch.bincount(labels, minlength=parts)
        sums = torch.zeros(parts, 4, dtype=torch.double).index_add_(0, labels, boxes.double())
        shares = counts / images if score == "presence" else counts.clamp(max=1).float()
        order = shares.argsort(descending=True, stable=True)[: int((counts > 0).sum())]
        self.boxes = (sums[order] / counts[order, None]).float()
        self.scores, self.labels = shares[order], order
        self.classes, self.limit, self.score_threshold = parts, parts, 0.05

    def detect(
        self, images: Sequence[Tensor], *, score_threshold: float | None = None
    ) -> list[dict[str, Tensor]]:
        """The same parts in each image, in its pixels, best first.

        Args:
            images: Float[3 h w]; only their sizes matter.
            score_threshold: least score.
        """
        least = self.score_threshold if score_threshold is None else score_threshold
        keep = self.scores >= least
        found = {"scores": self.scores[keep], "labels": self.labels[keep]}
        ends = [torch.tensor([x.shape[-1], x.shape[-2]]).repeat(2) for x in images]
        return [{"boxes": self.boxes[keep] * end, **found} for end in ends]
