"""How symmetric weights and responses are after each epoch of a fit (claim C13).

Liu, chapter 5, Figures 5.4, 5.5 and 5.9 to 5.12, which draw histograms over epochs of a ResNet-50
on CIFAR-100, seen on 128 of its images.

*Deviations*. Numbers instead of histograms (see `thesisbench.metrics.activations`), means over all
layers but the classifier, which WeightAlign leaves alone. The images are the first of the training
split, without augmentation; the network is in evaluation mode, as it is when it answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from thesisbench.errors import UserError
from thesisbench.metrics.activations import layer_figures
from thesisbench.step import StepContext

NAMES = {  # metric -> figure of a layer
    "weight_symmetry": "weight_symmetry",
    "activation_symmetry": "symmetry",
    "activation_drift": "drift",
}


class SymmetryCurve(Callback):
    """Adds `weight_symmetry`, `activation_symmetry` and `activation_drift` to each epoch's metrics.

    Those after the epochs `epochs` also stay to the end, as `weight_symmetry_epoch_<n>` and so on,
    and so come into the record of the run, however often it was interrupted.

    Args:
        images: how many.
        epochs: whose figures are kept; counted from 1.

    Raises:
        UserError: no images.
    """

    def __init__(
        self,
        *,
        images: int = 128,
        epochs: Sequence[int] = (1, 2, 5, 10, 20, 50, 100, 150, 200, 250, 300),
    ) -> None:
        if images < 1:
            raise UserError(f"images={images} must be at least 1")
        self.images, self.epochs = images, frozenset(epochs)
        self.kept: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed fit must know."""
        return {"kept": dict(self.kept)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up where the checkpoint left off."""
        self.kept = dict(state_dict["kept"])

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Measures the network as the epoch left it."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        split = data.split("train")
        inputs, _ = split.__getitems__([(0, i) for i in range(min(self.images, len(split)))])
        network: Any = module.network
        now = mean_figures(network, inputs[0].to(module.device))
        epoch = trainer.current_epoch + 1
        if epoch in self.epochs:
            self.kept |= {f"{name}_epoch_{epoch}": value for name, value in now.items()}
        several = trainer.world_size > 1
        module.log_dict(now | self.kept, on_step=False, on_epoch=True, sync_dist=several)


class TrainedFigures:
    """Evaluates a fit by the figures of `SymmetryCurve`, on images of any split.

    The data are the step's own data set, or the fit's where the step has none.

    Args:
        split: name of the split.
        images: how many of it.
    """

    def __init__(self, *, split: str = "train", images: int = 128) -> None:
        self.split, self.images = split, images

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Metrics `weight_symmetry`, `activation_symmetry` and `activation_drift`."""
        data = context.dataset() if context.config.get("dataset") else context.fitted_dataset()
        split = data.split(self.split)
        count = min(self.images, len(split))
        inputs, _ = split.__getitems__([(0, i) for i in range(count)])
        context.result.facts["data"] = data.fingerprint()
        context.result.facts["evaluated"] = {self.split: {"on": count, "of": len(split)}}
        return mean_figures(context.fitted(), inputs[0])


def mean_figures(network: nn.Module, inputs: Tensor) -> dict[str, float]:
    """Figures of `NAMES`, means over all layers but the last; without what is not finite.

    Args:
        network: takes the inputs.
        inputs: a batch.
    """
    with torch.autocast(inputs.device.type, enabled=False):
        *hidden, _ = layer_figures(network, inputs)
    found = {}
    for name, figure in NAMES.items():
        values = [v for layer in hidden if (v := getattr(layer, figure)) is not None]
        if values:
            found[name] = fmean(values)
    return found
