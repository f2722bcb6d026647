"""A region proposal network alone: boxes of anything, with the score that it is an object.

The first stage of Faster R-CNN (Ren et al., arXiv 1506.01497), torchvision's, trained for itself:
it sees all objects as one class, 0.

*Deviations*. None known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from thesisbench.data.targets import Target
from thesisbench.detection.faster_rcnn import SIZES
from thesisbench.detection.features import Pyramid
from thesisbench.detection.torchvision_detector import (
    TorchvisionDetector,
    anchors,
    start_narrow,
    two,
)


class ScoredProposals(RegionProposalNetwork):
    """torchvision's network, which keeps the scores of its last proposals.

    Attributes:
        scores: of the proposals of each image.
    """

    scores: list[Tensor]

    def filter_proposals(self, *args: Any) -> tuple[list[Tensor], list[Tensor]]:
        """Proposals and their scores."""
        boxes, self.scores = super().filter_proposals(*args)
        return boxes, self.scores


class ProposalsFound(nn.Module):
    """Takes the place of a second stage: hands proposals over as detections of class 0.

    Args:
        rpn: that made them.
    """

    def __init__(self, rpn: ScoredProposals) -> None:
        super().__init__()
        self._scores = lambda: rpn.scores

    def forward(
        self, features: Any, proposals: list[Tensor], *_: Any
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """The detections of each image, and no loss."""
        del features
        pairs = zip(proposals, self._scores(), strict=True)
        found = [
            {"boxes": boxes, "scores": scores, "labels": torch.zeros_like(scores).long()}
            for boxes, scores in pairs
        ]
        return found, {}


class ProposalDetector(TorchvisionDetector, GeneralizedRCNN):
    """A region proposal network as a detector of one class; see `rpn`."""

    kind = GeneralizedRCNN
    agnostic = True

    @property
    def scorer(self) -> Any:
        """The proposal network."""
        return self.rpn

    def losses(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """`loss_objectness` and `loss_rpn_box_reg`; classes do not matter."""
        one = [{**target, "labels": torch.zeros_like(target["labels"])} for target in targets]
        return super().losses(images, one)


def rpn(
    backbone: nn.Module,
    *,
    levels: int = 4,
    channels: int = 256,
    extra: str = "pool",
    anchor_sizes: Sequence[Sequence[float]] = SIZES,
    proposals: Sequence[int] = (2000, 1000),
    sampled: int = 256,
    short_side: int | None = 800,
    long_side: int = 1333,
    trainable: int | None = None,
    frozen_eps: float | None = None,
    score_threshold: float = 0.0,
    limit: int = 1000,
) -> ProposalDetector:
    """A region proposal network with torchvision's settings; arguments as those of `faster_rcnn`.

    Args:
        backbone: a classifier.
        levels: of `Pyramid`, as the next two.
        channels: of all maps.
        extra: maps behind the last.
        anchor_sizes: sizes of anchors in pixels of the resized image, for each map.
        proposals: most boxes of a map before overlapping ones go, in training and in evaluation.
        sampled: anchors of an image that train.
        short_side: that images are resized to, without exceeding `long_side`; null leaves them.
        long_side: most of the other side.
        trainable: of `Pyramid`, as the next.
        frozen_eps: freezes normalisations where it is a number.
        score_threshold: of proposals, from 0 to 1.
        limit: most proposals of an image.

    Raises:
        UserError: options that do not fit each other or the backbone.
    """
    settings: dict[str, Any] = {"trainable": trainable, "frozen_eps": frozen_eps, "extra": extra}
    pyramid = Pyramid(backbone, levels=levels, channels=channels, **settings)
    generator = anchors(anchor_sizes, pyramid.count)
    head = RPNHead(pyramid.out_channels, generator.num_anchors_per_location()[0])
    start_narrow(head, pyramid.out_channels)
    before = dict(zip(("training", "testing"), two("proposals", proposals), strict=True))
    after = {"training": limit, "testing": limit}
    network = ScoredProposals(generator, head, 0.7, 0.3, sampled, 0.5, before, after, 0.7)
    detector = ProposalDetector(pyramid, network, ProposalsFound(network), nn.Identity())
    detector.prepare(
        classes=1,
        first=0,
        score_threshold=score_threshold,
        limit=limit,
        short_side=short_side,
        long_side=long_side,
    )
    return detector
