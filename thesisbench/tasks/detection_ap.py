"""Evaluations of detectors by average precision: COCO's and PASCAL VOC's, with pictures.

Kayhan, chapter 4, Figure 4.5 (AP at IoU 0.5:0.95 of each part; missing parts are no objects).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from thesisbench.data.targets import Prediction, Target
from thesisbench.metrics.detection_ap import coco_ap, ignored, there
from thesisbench.metrics.voc_ap import Points, voc_ap
from thesisbench.pictures import save_picture
from thesisbench.step import StepContext
from thesisbench.tasks.box_pictures import GREEN, GREY, RED, side_by_side, with_boxes
from thesisbench.tasks.over_boxes import as_detector, as_rows, class_names, detections
from thesisbench.tasks.over_images import own_or_fitted, tell_counts


class BoxTest(ABC):
    """Detects on a split and measures; the detections are kept as the predictions of the run.

    The data are the step's own data set, or the fit's where the step has none.

    Args:
        split: images with boxes.
        score_threshold: least score of a detection; the detector's own when None.
        clips: at most so many images, rounded up to whole batches; None for all.
        pictures: of the first images: objects, and detections beside them; 0 for none.
        shown: least score of a detection that is drawn.
    """

    masks = False  # whether masks are kept

    def __init__(
        self,
        *,
        split: str = "val",
        score_threshold: float | None = None,
        clips: int | None = None,
        pictures: int = 4,
        shown: float = 0.3,
    ) -> None:
        self.split, self.score_threshold, self.clips = split, score_threshold, clips
        self.pictures, self.shown = pictures, shown

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Evaluates the fit that is the input `weights`."""
        data = own_or_fitted(context)
        predictions, targets = detections(
            as_detector(context.fitted()),
            data,
            self.split,
            score_threshold=self.score_threshold,
            clips=self.clips,
            masks=self.masks,
        )
        context.save_predictions(f"{self.split}_detections", as_rows(predictions).numpy())
        context.result.facts["data"] = data.fingerprint()
        tell_counts(context, data, self.split, len(targets))
        draw(context, data, self.split, predictions[: self.pictures], least=self.shown)
        return self.metrics(predictions, targets, class_names(data))

    @abstractmethod
    def metrics(
        self,
        predictions: Sequence[Prediction],
        targets: Sequence[Target],
        names: Sequence[str],
    ) -> dict[str, float]:
        """Numbers by name, in percent."""


class CocoAp(BoxTest):
    """COCO's metrics, in percent: see `coco_ap`; and `ap_<class>`.

    Also `detections` (of an image, in the mean). What no object decides is not in the metrics.

    Args:
        masks: measures masks beside boxes: the same metrics, named `mask_ap` and so on.
        kwargs: of `BoxTest`.
    """

    def __init__(self, *, masks: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.masks = masks

    def metrics(
        self,
        predictions: Sequence[Prediction],
        targets: Sequence[Target],
        names: Sequence[str],
    ) -> dict[str, float]:
        """Numbers by name."""
        count = sum(len(p["labels"]) for p in predictions)
        found = {"detections": count / max(1, len(predictions))}
        for kind in ("", "mask_") if self.masks else ("",):
            metrics, each = coco_ap(predictions, targets, masks=bool(kind))
            metrics |= {f"ap_{names[k]}": value for k, value in each.items()}
            found |= {kind + name: value for name, value in metrics.items()}
        return found


class VocAp(BoxTest):
    """VOC's mean AP in percent: `map`, and `ap_<class>`; without objects there is none.

    Args:
        points: 11 (of 2007) or area (since 2010).
        iou: of a right detection, at least.
        inclusive: the last pixels are inside the boxes, as in the development kit.
        kwargs: of `BoxTest`.
    """

    def __init__(
        self, *, points: Points = "area", iou: float = 0.5, inclusive: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.points: Points = points
        self.iou, self.inclusive = iou, inclusive

    def metrics(
        self,
        predictions: Sequence[Prediction],
        targets: Sequence[Target],
        names: Sequence[str],
    ) -> dict[str, float]:
        """Numbers by name."""
        settings: Any = {"points": self.points, "iou": self.iou, "inclusive": self.inclusive}
        each = voc_ap(predictions, targets, **settings)
        mean = {"map": sum(each.values()) / len(each)} if each else {}
        return mean | {f"ap_{names[k]}": value for k, value in each.items()}


def draw(
    context: StepContext,
    data: Any,
    split: str,
    predictions: Sequence[Prediction],
    *,
    least: float,
) -> None:
    """Leaves pictures of the first images: objects on the left, detections on the right.

    Green are objects, grey those that do not count and parts that are missing; detections are green
    if the image has something of their class that is there, else red: hallucinated. Grey and red
    boxes have the names of their classes.

    Args:
        context: of the step; only its first process draws.
        data: data module.
        split: of the data set.
        predictions: of the first images.
        least: score of a detection that is drawn.
    """
    if context.rank.number:
        return
    names, images = tuple(data.classes), data.split(split)
    for index, prediction in enumerate(predictions):
        (image,), (target,) = images[(0, index)]
        keep = prediction["scores"] >= least
        found = {name: prediction[name][keep] for name in ("boxes", "labels")}
        save_picture(context, f"{split}_{index}", two_panels(image, target, found, names))


def two_panels(image: Tensor, target: Target, found: Prediction, names: Sequence[str]) -> Tensor:
    """Objects and detections of an image beside each other; the grey and the red have names."""
    real = there(target) & ~ignored(target)
    seen = torch.isin(found["labels"], target["labels"][there(target)])
    panels = []
    for item, fine, other in ((target, real, GREY), (found, seen, RED)):
        colours = [GREEN if x else other for x in fine.tolist()]
        pairs = zip(item["labels"].tolist(), fine.tolist(), strict=True)
        texts = [None if x else names[k] for k, x in pairs]
        panels.append(with_boxes(image, item["boxes"], colours, texts))
    return side_by_side(panels)
