"""Evaluations of a fitted network; each is a callable of a step's context that returns metrics."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesisbench.data.shares import gather
from thesisbench.errors import UserError
from thesisbench.step import StepContext


class TopOne:
    """Top-1 accuracy in percent on named splits: metrics `top1_<split>`.

    The data are the step's own data set, or the fit's where the step has none.

    Args:
        splits: names of splits.
    """

    def __init__(self, *, splits: Sequence[str]) -> None:
        self.splits = list(splits)

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Evaluates the fit that is the input `weights`."""
        network = context.fitted()
        data = context.dataset() if context.config.get("dataset") else context.fitted_dataset()
        metrics: dict[str, float] = {}
        evaluated: dict[str, dict[str, int]] = {}
        for name in self.splits:
            logits, labels = predict(network, data, name)
            evaluated[name] = {"on": len(labels), "of": len(data.split(name))}
            context.save_predictions(name, logits.numpy())
            correct = int((logits.argmax(1) == labels).sum())
            metrics[f"top1_{name}"] = 100.0 * correct / len(labels)
        context.result.facts["data"] = data.fingerprint()
        context.result.facts["evaluated"] = evaluated
        return metrics


class ErrorRates:
    """Top-1 and top-5 error in percent on one split: metrics `top1_error` and `top5_error`.

    The data are the step's own data set, or the fit's where the step has none.

    Args:
        split: name of the split.
        at_chance: a network whose accuracy is at most so many points above chance (100 / classes)
            has not been trained: the outcome is `diverged`. None: only losses that leave the finite
            range are.

    Raises:
        UserError: a negative at_chance.
    """

    def __init__(self, *, split: str = "val", at_chance: float | None = None) -> None:
        if at_chance is not None and at_chance < 0:
            raise UserError(f"evaluation.at_chance={at_chance} must be 0 or more points")
        self.split, self.at_chance = split, at_chance

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Evaluates the fit that is the input `weights`."""
        network = context.fitted()
        data = context.dataset() if context.config.get("dataset") else context.fitted_dataset()
        logits, labels = predict(network, data, self.split)
        context.save_predictions(self.split, logits.numpy())
        counts = {"on": len(labels), "of": len(data.split(self.split))}
        context.result.facts["data"] = data.fingerprint()
        context.result.facts["evaluated"] = {self.split: counts}
        metrics = {f"top{k}_error": error_rate(logits, labels, k) for k in (1, 5)}
        accuracy, chance = 100 - metrics["top1_error"], 100 / logits.shape[1]
        if self.at_chance is not None and accuracy <= chance + self.at_chance:
            context.result.outcome = "diverged"
            right = f"{accuracy:.1f}% of {self.split} are right, chance is {chance:.1f}%"
            context.result.facts["diverged"] = f"not trained: {right}"
        return metrics


def error_rate(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"], among: int) -> float:
    """Percentage of samples whose label is not among the largest logits.

    Args:
        logits: of each sample.
        labels: right classes.
        among: how many of the largest; with fewer classes all are among them.
    """
    largest = logits.topk(min(among, logits.shape[1]), dim=1).indices
    missed = (largest != labels[:, None]).all(1)
    return 100.0 * int(missed.sum()) / len(labels)


@torch.no_grad()
def predict(network: nn.Module, data: Any, split: str) -> tuple[Tensor, Tensor]:
    """Logits and labels of a whole split, or of its first batches, in its own order.

    Where several processes work on the run, each computes its share and all get the whole.
    """
    loader, limit = data.share(split), data.loading.limit
    logits, labels = [], []
    for index, (inputs, targets) in enumerate(islice(loader, limit)):
        count = loader.batch_sampler.count(index)
        logits.append(network(*inputs)[:count])
        labels.append(targets[:count])
    sampler = loader.batch_sampler
    return gather(torch.cat(logits), sampler, limit), gather(torch.cat(labels), sampler, limit)
