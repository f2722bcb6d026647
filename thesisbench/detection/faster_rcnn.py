"""Faster R-CNN and Mask R-CNN of torchvision, over any backbone of the image tasks.

Kayhan, chapters 3 (ResNet-50 FPN, evaluated as trained on COCO) and 4 (fine-tuned on DelftBikes);
papers: Ren et al., arXiv 1506.01497; Lin et al., arXiv 1612.03144; He et al., arXiv 1703.06870.
With the default arguments and ResNet-50 the names and shapes of all parameters are those of
torchvision's `fasterrcnn_resnet50_fpn` and `maskrcnn_resnet50_fpn`: their published weights load
with `classes=80 coco_ids=true frozen_eps=0`.

*Deviations*. The thesis does not say whether normalisations and first stages are frozen:
torchvision does so when it fine-tunes (`frozen_eps=0 trainable=3`); here nothing is frozen unless
asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from thesisbench.data.targets import Target
from thesisbench.detection.features import Pyramid
from thesisbench.detection.torchvision_detector import (
    TorchvisionDetector,
    anchors,
    outputs,
    start_narrow,
    two,
)
from thesisbench.errors import UserError

SIZES = ((32,), (64,), (128,), (256,), (512,))
_CLASSES = ("roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred")


class TwoStage(TorchvisionDetector, FasterRCNN):
    """Faster R-CNN; see `faster_rcnn`."""

    kind = FasterRCNN
    class_layers = _CLASSES


class TwoStageMasks(TorchvisionDetector, MaskRCNN):
    """Mask R-CNN, whose predictions have `masks` Bool[m h w]; see `faster_rcnn`."""

    kind = MaskRCNN
    class_layers = (*_CLASSES, "roi_heads.mask_predictor.mask_fcn_logits")

    def losses(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The losses by torchvision's names, that of masks among them.

        Raises:
            UserError: a target without masks.
        """
        if any("masks" not in target for target in targets):
            raise UserError("Mask R-CNN trains on masks, which this data set has not")
        as_bytes = [{**target, "masks": target["masks"].to(torch.uint8)} for target in targets]
        return super().losses(images, as_bytes)


def _heads(
    width: int, number: int, levels: int, size: tuple[int, int], *, masks: bool
) -> dict[str, nn.Module]:
    """The second stage: crops, hidden layers and outputs; size: sides of crops, hidden width."""
    names = [str(level) for level in range(levels)]
    side, hidden = size
    parts: dict[str, nn.Module] = {
        "box_roi_pool": MultiScaleRoIAlign(names, side, 2),
        "box_head": TwoMLPHead(width * side**2, hidden),
        "box_predictor": FastRCNNPredictor(hidden, number),
    }
    if masks:
        parts["mask_roi_pool"] = MultiScaleRoIAlign(names, 2 * side, 2)
        parts["mask_head"] = MaskRCNNHeads(width, (width,) * 4, 1)
        parts["mask_predictor"] = MaskRCNNPredictor(width, width, number)
    return parts


def faster_rcnn(
    backbone: nn.Module,
    *,
    classes: int,
    coco_ids: bool = False,
    levels: int = 4,
    channels: int = 256,
    extra: str = "pool",
    anchor_sizes: Sequence[Sequence[float]] = SIZES,
    head_width: int = 1024,
    roi_size: int = 7,
    proposals: Sequence[int] = (2000, 1000),
    sampled: Sequence[int] = (256, 512),
    masks: bool = False,
    short_side: int | None = 800,
    long_side: int = 1333,
    trainable: int | None = None,
    frozen_eps: float | None = None,
    score_threshold: float = 0.05,
    limit: int = 100,
) -> TorchvisionDetector:
    """Faster R-CNN, or Mask R-CNN.

    Args:
        backbone: a classifier.
        classes: number of classes, without a background.
        coco_ids: whether the network counts classes as COCO does, 91 with gaps.
        levels: of `Pyramid`, as the next two.
        channels: of all maps.
        extra: maps behind the last.
        anchor_sizes: sizes of anchors in pixels of the resized image, for each map.
        head_width: of the two layers behind the crops.
        roi_size: side of a crop, in positions.
        proposals: most proposals of an image, in training and in evaluation.
        sampled: anchors, and proposals, of an image that train.
        masks: whether masks are predicted.
        short_side: that images are resized to, without exceeding `long_side`; null leaves them.
        long_side: most of the other side.
        trainable: of `Pyramid`, as the next.
        frozen_eps: freezes normalisations where it is a number.
        score_threshold: of detections.
        limit: most detections of an image.

    Raises:
        UserError: options that do not fit each other or the backbone.
    """
    number = outputs(classes, background=True, coco_ids=coco_ids)
    settings: dict[str, Any] = {"trainable": trainable, "frozen_eps": frozen_eps, "extra": extra}
    pyramid = Pyramid(backbone, levels=levels, channels=channels, **settings)
    at_most, sample = two("proposals", proposals), two("sampled", sampled)
    parts: dict[str, Any] = {
        "rpn_anchor_generator": anchors(anchor_sizes, pyramid.count),
        "rpn_post_nms_top_n_train": at_most[0],
        "rpn_post_nms_top_n_test": at_most[1],
        "rpn_batch_size_per_image": sample[0],
        "box_batch_size_per_image": sample[1],
        "box_detections_per_img": limit,
    }
    parts |= _heads(pyramid.out_channels, number, levels, (roi_size, head_width), masks=masks)
    detector = (TwoStageMasks if masks else TwoStage)(pyramid, **parts)
    proposing: Any = detector.rpn
    start_narrow(proposing.head, pyramid.out_channels)
    detector.prepare(
        classes=classes,
        first=1,
        coco_ids=coco_ids,
        score_threshold=score_threshold,
        limit=limit,
        short_side=short_side,
        long_side=long_side,
    )
    return detector
