"""How well objects are recognised with so many pixels of context, or of themselves.

Kayhan, chapter 3, Figures 3.4 (accuracy over visible pixels per side) and 3.5 (differences by class
to the whole image). Each object of each image is tried at each number of pixels p, in two modes: bg
hides all but the box and p pixels around it, fg hides the box but for p pixels along its sides.

An image is decoded once, hidden views of it are made and go through the network in batches, and a
view that hides nothing has the answer of the whole image, which is asked once for all objects.

*Deviations*. p is in pixels of the original image (`scale` of a target). The thesis does not say
what it does with crowds: they are left out. Whether the whole image is among its p is not clear: it
is a metric of its own here (`full`), and the one that differences are from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from thesisbench.detection.hide import HIDE, hides_something
from thesisbench.errors import UserError, unknown
from thesisbench.methods.kayhan.detector_context.context_metrics import (
    MODES,
    Recognised,
    as_columns,
    curve_metrics,
)
from thesisbench.methods.kayhan.detector_context.recognise import (
    MATCHES,
    Recognise,
    objects,
    recogniser,
)
from thesisbench.pictures import save_picture
from thesisbench.step import StepContext
from thesisbench.tasks.box_pictures import GREEN, RED, side_by_side, with_boxes
from thesisbench.tasks.over_boxes import class_names, over_images
from thesisbench.tasks.over_images import own_or_fitted, tell_counts

PIXELS = (0, 5, 10, 25, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550)
SHOWN = 4  # views of a picture, beside the whole image
ROW = 640  # pixels of a row of views, about
LOOKED_AT = 20  # images among which those with an object are drawn


class ContextCurve:
    """Accuracy in percent over all objects.

    Metrics: `full`, `bg_P` and `fg_P` for each number of pixels; `full_CLASS`, and for the first
    number `bg_P_minus_full_CLASS` and `fg_P_minus_full_CLASS`, of which `..._best_1` to `_best_3`
    are the largest and `..._worst_1` to `_worst_3` the smallest (which classes these are, the facts
    of the record say). Without objects there are none. The data are the step's own data set, or the
    fit's where the step has none.

    Args:
        split: images with boxes.
        pixels: whole numbers from 0, rising.
        original: pixels of an original photograph for one of the data set's, where that is a
            stand-in of smaller images.
        match: iou (a detection of the right class overlaps enough), cell (its centre is in the grid
            cell of the object's centre) or crop (the network classifies the box itself).
        iou: least overlap.
        strides: of grids, where the detector does not know the cell of a centre itself.
        score_threshold: least score of a detection; the detector's own when None.
        batch: hidden views that go through the network together.
        clips: at most so many images, rounded up to whole batches; None for all.
        pictures: of the first images with an object; 0 for none.

    Raises:
        UserError: numbers of pixels that do not rise from 0, or an unknown match.
    """

    def __init__(
        self,
        *,
        split: str = "val",
        pixels: Sequence[int] = PIXELS,
        original: float = 1.0,
        match: str = "iou",
        iou: float = 0.25,
        strides: Sequence[int] = (8, 16, 32),
        score_threshold: float | None = None,
        batch: int = 32,
        clips: int | None = None,
        pictures: int = 2,
    ) -> None:
        if match not in MATCHES:
            raise UserError(unknown("match", str(match), MATCHES))
        if not pixels or list(pixels) != sorted(set(pixels)) or pixels[0] < 0 or batch < 1:
            text = f"pixels must rise from 0 and batch be at least 1; got {list(pixels)}, {batch}"
            raise UserError(f"{text}; try pixels=[0,5,10,25]")
        if not original > 0:
            raise UserError(f"original={original} must be positive; 1 where images are no stand-in")
        self.split, self.pixels, self.match, self.iou = split, tuple(pixels), match, iou
        self.original = original
        self.strides, self.score_threshold = tuple(strides), score_threshold
        self.batch, self.clips, self.pictures = batch, clips, pictures

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Evaluates the fit that is the input `weights`."""
        data, network = own_or_fitted(context), context.fitted()
        found = self.measure(network, data)
        table = torch.cat([as_columns(one) for one in found]) if found else torch.zeros(0, 1)
        context.save_predictions(f"{self.split}_recognised", table.to(torch.int16).numpy())
        context.result.facts["data"] = data.fingerprint()
        tell_counts(context, data, self.split, len(found))
        self.draw(context, network, data)
        metrics, extremes = curve_metrics(found, self.pixels, class_names(data))
        context.result.facts["extreme_classes"] = extremes
        return metrics

    @torch.no_grad()
    def measure(self, network: nn.Module | Any, data: Any) -> list[Recognised]:
        """What was recognised in each image.

        Where several processes work on the run, each does its share and all get the whole.
        """
        recognise = self._recogniser(network)

        def each(images: list[Tensor], targets: list[dict[str, Tensor]]) -> list[Recognised]:
            kept = [objects(target) for target in targets]
            full = recognise(images, [boxes for boxes, _ in kept], [labels for _, labels in kept])
            found = []
            for image, target, (boxes, labels), whole in zip(
                images, targets, kept, full, strict=True
            ):
                hidden = self._hidden(recognise, image, scale_of(target), boxes, labels, whole)
                found.append(Recognised(hidden, whole, labels))
            return found

        return over_images(data, self.split, self.clips, each)

    def _hidden(
        self,
        recognise: Recognise,
        image: Tensor,
        scale: Float[Tensor, " 2"],
        boxes: Float[Tensor, "n 4"],
        labels: Int[Tensor, " n"],
        full: Bool[Tensor, " n"],
    ) -> Bool[Tensor, "2 p n"]:
        """Answers for the views of one image; those that hide nothing are the whole image's."""
        answers = full.repeat(len(MODES), len(self.pixels), 1)
        for number, mode in enumerate(MODES):
            step, item, reach = self._views(mode, image, scale, boxes)
            for some in torch.arange(len(item)).split(self.batch) if len(item) else ():
                mine = item[some]
                views = HIDE[mode](image, boxes[mine], reach[some])
                ones = boxes[mine].split(1), labels[mine].split(1)
                right = recognise(list(views), *map(list, ones))
                answers[number, step[some], mine] = torch.cat(right)
        return answers

    def _views(
        self, mode: str, image: Tensor, scale: Float[Tensor, " 2"], boxes: Float[Tensor, "n 4"]
    ) -> tuple[Int[Tensor, " v"], Int[Tensor, " v"], Float[Tensor, "v 2"]]:
        """Step, object and pixels of the views that hide something."""
        steps, items = len(self.pixels), len(boxes)
        step = torch.arange(steps).repeat_interleave(items)
        item = torch.arange(items).repeat(steps)
        reach = self._reach(scale)[step]
        size = (image.shape[-2], image.shape[-1])
        keep = hides_something(mode, size, boxes[item], reach)
        return step[keep], item[keep], reach[keep]

    def _reach(self, scale: Float[Tensor, " 2"]) -> Float[Tensor, "p 2"]:
        """The numbers of pixels in those of an image, along x and y."""
        return torch.tensor(self.pixels).float()[:, None] * scale / self.original

    def _recogniser(self, network: Any) -> Recognise:
        return recogniser(
            network,
            match=self.match,
            iou=self.iou,
            strides=self.strides,
            score_threshold=self.score_threshold,
        )

    @torch.no_grad()
    def draw(self, context: StepContext, network: Any, data: Any) -> None:
        """Leaves rows of hidden views of the largest object of the first images.

        The box is green where the object was recognised.
        """
        if context.rank.number:
            return
        recognise, images = self._recogniser(network), data.split(self.split)
        left = self.pictures
        for index in range(min(len(images), LOOKED_AT)):
            (image,), (target,) = images[(0, index)]
            boxes, labels = objects(target)
            if not len(boxes) or not left:
                continue
            left -= 1
            largest = (boxes[:, 2:] - boxes[:, :2]).prod(1).argmax()[None]
            reach = self._reach(scale_of(target))[:SHOWN]
            for mode in MODES:
                box = boxes[largest]
                views = [*HIDE[mode](image, box.expand(len(reach), 4), reach), image]
                row = _row(recognise, views, box, labels[largest])
                save_picture(context, f"{self.split}_{index}_{mode}", row)


def _row(
    recognise: Recognise, views: list[Tensor], box: Float[Tensor, "1 4"], label: Int[Tensor, " 1"]
) -> Tensor:
    """Views of an object beside each other; its box is green where it was recognised."""
    right = recognise(views, [box] * len(views), [label] * len(views))
    pairs = zip(views, right, strict=True)
    return side_by_side(
        [with_boxes(v, box, [GREEN if bool(x) else RED], side=ROW // len(views)) for v, x in pairs]
    )


def scale_of(target: dict[str, Tensor]) -> Float[Tensor, " 2"]:
    """By how much width and height of the original image were multiplied."""
    return target["scale"].float() if "scale" in target else torch.ones(2)
