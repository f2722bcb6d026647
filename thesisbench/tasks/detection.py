"""Detection: trains a detector with the losses that it has, whatever its kind.

Kayhan, chapters 3 and 4. The loss of a batch is the sum of the detector's losses, each a mean over
the images of the batch, or, with two-stage detectors and crops, over what they sampled of them; so
parts of a batch are not the same experiment.

*Deviations*. None known: the theses use the losses of the detectors' papers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from thesisbench.data.targets import Prediction, Target
from thesisbench.errors import UserError
from thesisbench.tasks.base import Task

Batch = tuple[list[Tensor], list[Target]]


def check_classes(network: Any, data: Any) -> None:
    """Refuses data of other classes than those of a detector.

    Args:
        network: with its number of `classes`; one that is `agnostic` takes any.
        data: with names of `classes`; data without them are not compared.

    Raises:
        UserError: there are more or fewer.
    """
    names = getattr(data, "classes", None)
    if names is None or getattr(network, "agnostic", False) or len(names) == network.classes:
        return
    text = f"the data have {len(names)} classes, the detector {network.classes}"
    raise UserError(f"{text}; set detector.classes={len(names)}")


class DetectionTask(Task):
    """Trains a detector.

    Args:
        network: with `losses(images, targets)`, such as `thesisbench.detection.detector.Detector`.
        optimizer: parameters -> optimiser. scheduler: optimiser -> schedule, stepped every epoch.

    Raises:
        UserError: the network is no detector.
    """

    batch_free = False

    def __init__(
        self,
        network: nn.Module,
        *,
        optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
    ) -> None:
        if not hasattr(network, "losses"):
            text = f"{type(network).__name__} is no detector"
            raise UserError(f"{text}: choose one with detector=NAME, or another task")
        super().__init__(network, optimizer=optimizer, scheduler=scheduler)

    def on_fit_start(self) -> None:
        """Compares the classes of the detector with those of the data.

        Raises:
            UserError: there are more or fewer.
        """
        check_classes(self.network, self.trainer.datamodule)  # type: ignore[attr-defined]

    def forward(self, *images: Tensor) -> list[Prediction]:
        """Detections of images given one by one."""
        found: list[Prediction] = self.network(*images)
        return found

    def measure(self, batch: Batch, split: str) -> Tensor:
        """Sum of the losses of a batch; logs it and each of them."""
        images, targets = batch
        losses: dict[str, Tensor] = self.network.losses(images, targets)  # type: ignore[operator]
        loss = torch.stack(list(losses.values())).sum()
        measured = {f"{split}_{name}": value.detach() for name, value in losses.items()}
        self.log_means({**measured, f"{split}_loss": loss.detach()}, len(targets))
        return loss
