"""What our wrappings of torchvision's detectors share: modes, sizes, numbers of classes, anchors.

torchvision counts classes from 1 behind a background, or as COCO does; its detectors compute losses
in training mode only, with the layers in that mode too. Here labels count from 0, and losses can be
had in evaluation mode.

*Deviations*. All kinds keep 100 detections an image (torchvision's RetinaNet 300: `limit=300`). The
hidden layers of heads start at N(0, 0.01^2), for 256 channels; those of narrower heads, which next
to nothing would pass, start at He's variance 2/n.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from thesisbench.data.targets import Prediction, Target
from thesisbench.detection.coco_ids import COCO_IDS, COCO_OUTPUTS
from thesisbench.detection.detector import (
    MEAN,
    STD,
    Detector,
    same_draws,
    trained_on,
)
from thesisbench.detection.features import Pyramid, keep_border
from thesisbench.errors import UserError

RATIOS = (0.5, 1.0, 2.0)
WIDTH = 256  # of torchvision's heads


class KeptSize(GeneralizedRCNNTransform):
    """torchvision's transform of images for a network, without the resizing."""

    def resize(
        self, image: Tensor, target: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor] | None]:
        """The image and its target as they are."""
        return image, target


class TorchvisionDetector(Detector):
    """What the three kinds share: numbers of classes, sizes of images, modes.

    A kind inherits from this class and from torchvision's, whose `forward` does the work.

    Attributes:
        numbers: what torchvision's network calls each class. known: the class of each number, -1
            for none.
    """

    kind: type[nn.Module]
    numbers: Tensor
    known: Tensor
    backbone: Pyramid
    transform: GeneralizedRCNNTransform

    @property
    def varied(self) -> nn.Module:
        """The backbone without its pyramid."""
        return self.backbone.body

    def prepare(
        self,
        *,
        classes: int,
        first: int,
        coco_ids: bool = False,
        score_threshold: float,
        limit: int,
        short_side: int | None,
        long_side: int,
    ) -> None:
        """Sets what is alike, once torchvision's part is there.

        Args:
            classes: of `thesisbench.detection.faster_rcnn`, as all but the next.
            first: what torchvision calls our class 0.
            coco_ids: whether the network counts classes as COCO does.
            score_threshold: of detections.
            limit: most detections of an image.
            short_side: that images are resized to.
            long_side: most of the other side.
        """
        self.classes, self.score_threshold, self.limit = classes, score_threshold, limit
        numbers = COCO_IDS if coco_ids else tuple(range(first, classes + first))
        known = torch.full((max(numbers) + 1,), -1)
        known[torch.tensor(numbers)] = torch.arange(classes)
        self.register_buffer("numbers", torch.tensor(numbers), persistent=False)
        self.register_buffer("known", known, persistent=False)
        transform = KeptSize if short_side is None else GeneralizedRCNNTransform
        self.transform = transform(short_side or 0, long_side, list(MEAN), list(STD))
        for name, part in self.named_children():
            if name != "backbone":
                keep_border(part)

    def losses(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The losses by torchvision's names (`loss_classifier`, `loss_objectness`, ...)."""
        given = [self._numbered(trained_on(target)) for target in targets]
        if self.training:
            return self._run(images, given)
        with self._as_if_training(), same_draws(next(self.parameters()).device):
            return self._run(images, given)

    def find(self, images: list[Tensor], score_threshold: float) -> list[Prediction]:
        """The detections, with our numbers of classes."""
        with self._threshold(score_threshold):
            return [self._named(one) for one in self._run(images, None)]

    def _run(self, images: Sequence[Tensor], targets: list[Target] | None) -> Any:
        run: Any = self.kind.forward
        return run(self, list(images), targets)

    def _numbered(self, target: Target) -> Target:
        return {**target, "labels": self.numbers[target["labels"].long()]}

    def _named(self, found: Prediction) -> Prediction:
        """Detections with our labels; those of numbers without a class are left out."""
        labels: Int[Tensor, " m"] = found["labels"]
        ours = torch.where(labels < len(self.known), labels, 0)
        named = {**found, "labels": torch.where(ours == labels, self.known[ours], -1)}
        if "masks" in named:
            named["masks"] = named["masks"][:, 0] > 0.5
        keep = named["labels"] >= 0
        return {name: value[keep] for name, value in named.items()}

    @contextmanager
    def _as_if_training(self) -> Iterator[None]:
        """Lets torchvision compute losses, while the layers stay in evaluation mode."""
        names = ("transform", "rpn", "roi_heads")
        modules = [self, *(m for n, m in self.named_children() if n in names)]
        for module in modules:
            module.training = True
        try:
            yield
        finally:
            for module in modules:
                module.training = False

    @property
    def scorer(self) -> Any:
        """The part of torchvision's detector that has the threshold, `score_thresh`."""
        return getattr(self, "roi_heads", self)

    @contextmanager
    def _threshold(self, value: float) -> Iterator[None]:
        """Sets torchvision's threshold for a while."""
        scorer = self.scorer
        before, scorer.score_thresh = scorer.score_thresh, value
        try:
            yield
        finally:
            scorer.score_thresh = before


def anchors(sizes: Sequence[Sequence[float]], maps: int) -> AnchorGenerator:
    """Anchors of three ratios and the given sizes (roots of areas, in pixels) on each map.

    Raises:
        UserError: not one list of sizes for each map.
    """
    if len(sizes) != maps:
        text = f"anchor_sizes has {len(sizes)} lists of sizes, the pyramid has {maps} maps"
        raise UserError(f"{text}; give one list for each, the finest map first")
    return AnchorGenerator(tuple(tuple(one) for one in sizes), (RATIOS,) * len(sizes))


def two(name: str, values: Sequence[int]) -> tuple[int, int]:
    """Two numbers of at least 1, such as those of training and evaluation.

    Args:
        name: of the argument, for errors.
        values: given for it.

    Raises:
        UserError: other numbers.
    """
    if len(values) != 2 or min(values) < 1:
        raise UserError(f"{name} must be two numbers of at least 1; got {list(values)}")
    return values[0], values[1]


def start_narrow(head: Any, channels: int) -> None:
    """Draws the hidden convolutions of a narrow head anew, see *Deviations*.

    Args:
        head: torchvision's, whose hidden layers are called `conv`.
        channels: of its maps.
    """
    for name, conv in head.named_modules():
        if isinstance(conv, nn.Conv2d) and "conv" in name.split(".") and channels < WIDTH:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")


def outputs(classes: int, *, background: bool, coco_ids: bool) -> int:
    """How many classes torchvision's network counts.

    Raises:
        UserError: COCO's numbers for another number of classes than 80, or no class.
    """
    if coco_ids and classes != len(COCO_IDS):
        raise UserError(f"coco_ids=true is for classes={len(COCO_IDS)}, not {classes}")
    if classes < 1:
        raise UserError(f"classes={classes} must be at least 1")
    return COCO_OUTPUTS if coco_ids else classes + background
