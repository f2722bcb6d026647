"""What a detector is: losses to train it and detections to test it.

Targets and predictions are the dictionaries that `thesisbench.data.targets` describes.

Images are Float[3 h w] in [0, 1], of any sizes; detectors normalise and resize them themselves, and
boxes are those of the images that were given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchvision.ops import batched_nms

from thesisbench.data.targets import MISSING, Prediction, Target
from thesisbench.errors import UserError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision's


class Detector(nn.Module, ABC):
    """A network that finds objects.

    Attributes:
        classes: number of classes; labels are 0 to classes - 1.
        score_threshold: detections score more than this, where `detect` is not told otherwise.
        limit: most detections of an image.
        agnostic: whether it takes the objects of all classes for one.
        class_layers: names of the layers whose size depends on the classes; weights of a network
            for other classes are loaded without them.
    """

    classes: int
    score_threshold: float
    limit: int
    agnostic: bool = False
    class_layers: tuple[str, ...] = ()

    @property
    @abstractmethod
    def varied(self) -> nn.Module:
        """The part that drop-ins (border, pool, norm, weight) rewrite: the backbone.

        Pyramids and heads stay as they are: their maps must agree in size with each other and with
        the anchors.
        """

    @abstractmethod
    def losses(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Losses by name; their sum is what is trained.

        In evaluation mode normalisations and dropout are in evaluation mode, and what the losses
        sample is the same each time.

        Args:
            images: Float[3 h w] in [0, 1].
            targets: of each; some boxes do not train, see `trained_on`.
        """

    @abstractmethod
    def find(self, images: list[Tensor], score_threshold: float) -> list[Prediction]:
        """Detections of images that are on the device of the network, in evaluation mode."""

    @torch.no_grad()
    def detect(
        self, images: Sequence[Tensor], *, score_threshold: float | None = None
    ) -> list[Prediction]:
        """What is found in each image: best first, `limit` at most.

        Images may be on any device; predictions come back there.

        Args:
            images: Float[3 h w] in [0, 1].
            score_threshold: in place of the detector's own.
        """
        if len(images) == 0:
            return []
        threshold = self.score_threshold if score_threshold is None else score_threshold
        here = images[0].device
        inside = next(self.parameters()).device
        with evaluating(self):
            found = self.find([image.to(inside) for image in images], threshold)
        return [{name: value.to(here) for name, value in one.items()} for one in found]

    def forward(self, *images: Float[Tensor, "3 h w"]) -> list[Prediction]:
        """The same as `detect`, of images given one by one."""
        return self.detect(images)


def trained_on(target: Target) -> Target:
    """The objects of a target that train a detector: boxes, labels and, where given, masks.

    Left out are crowds, objects marked as difficult, parts that cannot be seen, and boxes without
    an area.
    """
    keep = counted(target)
    names = [name for name in ("boxes", "labels", "masks") if name in target]
    return {name: target[name][keep] for name in names}


def counted(target: Target) -> Bool[Tensor, " n"]:
    """Which objects of a target train a detector, see `trained_on`."""
    boxes = target["boxes"]
    keep = (boxes[:, 2:] > boxes[:, :2]).all(1)
    for name in ("crowd", "difficult"):
        if name in target:
            keep = keep & ~target[name].bool()
    if "state" in target:
        keep = keep & (target["state"] < MISSING)
    return keep


def suppress(prediction: Prediction, *, overlap: float, limit: int) -> Prediction:
    """The detections that no better one of their class overlaps with, best first.

    Args:
        prediction: boxes, scores, labels, and anything else with a row for each.
        overlap: intersection over union from which on a worse box goes.
        limit: most detections that are kept.
    """
    boxes, scores, labels = (prediction[name] for name in ("boxes", "scores", "labels"))
    keep = batched_nms(boxes, scores, labels, overlap)[:limit]
    return {name: value[keep] for name, value in prediction.items()}


def check_outputs(logits: Float[Tensor, "n k"], classes: int) -> None:
    """Refuses a network whose number of outputs is another than that of the classes.

    Raises:
        UserError: it is.
    """
    if logits.shape[1] != classes:
        text = f"the network has {logits.shape[1]} outputs for {classes} classes"
        raise UserError(f"{text}; set backbone.classes={classes}")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """A network in evaluation mode for a while; each part goes back to the mode that it had."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def same_draws(device: torch.device) -> Iterator[None]:
    """Random numbers that are the same each time; the generators go on as if nothing were drawn."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        yield
