"""RetinaNet of torchvision, over any backbone of the image tasks.

Kayhan, chapter 4 (ResNet-50 FPN, fine-tuned on DelftBikes); paper: Lin et al., arXiv 1708.02002.
With the default arguments and ResNet-50 the names and shapes of all parameters are those of
torchvision's `retinanet_resnet50_fpn`: its published weights load with `classes=80 coco_ids=true
frozen_eps=0`.

*Deviations*. As torchvision, maps P6 and P7 come from P5 (the paper: from C5). Nothing is frozen
unless asked for, as in `thesisbench.detection.faster_rcnn`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from torchvision.models.detection import RetinaNet

from thesisbench.detection.features import Pyramid
from thesisbench.detection.torchvision_detector import (
    TorchvisionDetector,
    anchors,
    outputs,
    start_narrow,
)
from thesisbench.errors import UserError

SIZES = (
    *((32, 40, 50), (64, 80, 101), (128, 161, 203)),
    *((256, 322, 406), (512, 645, 812)),
)


class OneStage(TorchvisionDetector, RetinaNet):
    """RetinaNet; see `retinanet`."""

    kind = RetinaNet
    class_layers = ("head.classification_head.cls_logits",)


def retinanet(
    backbone: nn.Module,
    *,
    classes: int,
    coco_ids: bool = False,
    levels: int = 3,
    channels: int = 256,
    extra: str = "p6p7",
    anchor_sizes: Sequence[Sequence[float]] = SIZES,
    short_side: int | None = 800,
    long_side: int = 1333,
    trainable: int | None = None,
    frozen_eps: float | None = None,
    score_threshold: float = 0.05,
    limit: int = 100,
) -> TorchvisionDetector:
    """RetinaNet; arguments as those of `faster_rcnn`.

    Raises:
        UserError: options that do not fit each other or the backbone.
    """
    number = outputs(classes, background=False, coco_ids=coco_ids)
    settings: dict[str, Any] = {"trainable": trainable, "frozen_eps": frozen_eps, "extra": extra}
    pyramid = Pyramid(backbone, levels=levels, channels=channels, **settings)
    generator = anchors(anchor_sizes, pyramid.count)
    counts = set(generator.num_anchors_per_location())
    if len(counts) > 1:
        raise UserError("anchor_sizes of a RetinaNet has as many sizes for each map")
    detector = OneStage(pyramid, number, anchor_generator=generator, detections_per_img=limit)
    start_narrow(detector.head, pyramid.out_channels)
    detector.prepare(
        classes=classes,
        first=0,
        coco_ids=coco_ids,
        score_threshold=score_threshold,
        limit=limit,
        short_side=short_side,
        long_side=long_side,
    )
    return detector
