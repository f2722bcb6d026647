"""Patch matching: descriptors trained with hardest negatives, and their false positive rate.

Kayhan, chapter 2 (Figure 2.7, right), after HardNet: SGD whose learning rate falls linearly, step
by step, to zero at the end of the schedule.

*Deviations*. Both patches of a pair go through the network together, so that a batch normalisation
sees all patches of a batch; the release passes anchors and positives one after the other. Its first
two steps have the same rate; here each step has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torch.optim.lr_scheduler import LinearLR

from thesisbench.data.arrays import Batch
from thesisbench.metrics.fpr_at_recall import fpr_at_recall
from thesisbench.ops.triplet import hardest_triplet_loss
from thesisbench.step import StepContext
from thesisbench.tasks.base import Task
from thesisbench.tasks.evaluate import predict


class MatchingTask(Task):
    """Trains a network of patches to descriptors, near for one point and far for others.

    A batch is 2b patches, the two of a pair one after the other, and the b points they show. The
    loss looks for negatives in the batch: parts of a batch are not the same experiment.

    Args:
        network: patches -> descriptors of shape [b, d], of any length.
        optimizer: parameters -> optimiser.
        scheduler: optimiser -> schedule, stepped every epoch; in place of the linear decay.
        margin: of the triplet loss.
        anchor_swap: whether negatives of the positive count too.
        linear_decay: without a scheduler, let the learning rate fall to zero, step by step.
    """

    batch_free = False

    def __init__(
        self,
        network: nn.Module,
        *,
        optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
        margin: float = 1.0,
        anchor_swap: bool = True,
        linear_decay: bool = True,
    ) -> None:
        super().__init__(network, optimizer=optimizer, scheduler=scheduler)
        self.margin, self.anchor_swap, self.linear_decay = margin, anchor_swap, linear_decay

    def configure_optimizers(self) -> Any:
        """The optimiser with its schedule: the given one, else the linear decay."""
        optimizer = super().configure_optimizers()
        if isinstance(optimizer, dict) or not self.linear_decay:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        decay = LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": decay, "interval": "step"},
        }

    def forward(self, patches: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b d"]:
        """Descriptors of length 1."""
        return F.normalize(self.network(patches))

    def measure(self, batch: Batch, split: str) -> Tensor:
        """Loss of a batch, logged."""
        (patches,), points = batch
        anchors, positives = rearrange(self(patches), "(b two) d -> two b d", two=2)
        loss = hardest_triplet_loss(
            anchors, positives, points, margin=self.margin, anchor_swap=self.anchor_swap
        )
        self.log_means({f"{split}_loss": loss.detach()}, len(points))
        return loss


class PairDistance(nn.Module):
    """The distance between the descriptors of each pair of patches.

    Args:
        network: patches -> descriptors, which are scaled to length 1.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, patches: Float[Tensor, "two_b 1 h w"]) -> Float[Tensor, " b"]:
        """Distances from 0 to 2; the patches of a pair come one after the other."""
        descriptors = F.normalize(self.network(patches))
        first, second = rearrange(descriptors, "(b two) d -> two b d", two=2)
        return torch.linalg.vector_norm(first - second, dim=1)


class FprAtRecall:
    """False positive rate of a descriptor on named splits of pairs: fractions, lower is better.

    Metrics `fpr95_<split>` and their mean `fpr95`, where 95 stands for the recall in percent. The
    data are the step's own data set, or the fit's where the step has none.

    Args:
        splits: names of splits with labels 1 (matching) and 0.
        recall: share of the matching pairs that are accepted.
    """

    def __init__(self, *, splits: Sequence[str], recall: float = 0.95) -> None:
        self.splits, self.recall = list(splits), recall

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Evaluates the fit that is the input `weights`."""
        network = PairDistance(context.fitted()).eval()
        data = context.dataset() if context.config.get("dataset") else context.fitted_dataset()
        rates: dict[str, float] = {}
        evaluated: dict[str, dict[str, int]] = {}
        for name in self.splits:
            distances, labels = predict(network, data, name)
            evaluated[name] = {"on": len(labels), "of": len(data.split(name))}
            context.save_predictions(name, distances.numpy())
            rates[name] = fpr_at_recall(distances, labels, recall=self.recall)
        context.result.facts["data"] = data.fingerprint()
        context.result.facts["evaluated"] = evaluated
        metric = f"fpr{100 * self.recall:g}"
        each = {f"{metric}_{name}": rate for name, rate in rates.items()}
        return {metric: fmean(rates.values()), **each}
