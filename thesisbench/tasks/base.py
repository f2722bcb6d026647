"""What all tasks share: optimiser, losses that layers add, and means over batches in parts.

A layer that adds to the loss has a method `extra_losses()`: name -> the weighted value of its last
forward pass in training, a mean over the samples of its batch. Then parts of a batch weigh right.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn


def extra_losses(network: nn.Module) -> dict[str, Tensor]:
    """The losses that the layers of a network add, by name, summed over the layers.

    >>> extra_losses(nn.Linear(2, 2))
    {}
    """
    total: dict[str, Tensor] = {}
    for module in network.modules():
        if hasattr(type(module), "extra_losses"):
            for name, value in module.extra_losses().items():  # type: ignore[operator]
                total[name] = total[name] + value if name in total else value
    return total


def parameter_groups(network: nn.Module) -> list[Any]:
    """Parameters as an optimiser takes them: those that learn otherwise in groups of their own.

    A module names its parameters without weight decay in its attribute `undecayed`, and those that
    learn at a rate of their own in `rates`: name -> by what the learning rate is multiplied, which
    becomes `rate` of the group. Where no module does, it is a plain list.
    """
    undecayed: set[str] = set()
    rates: dict[str, float] = {}
    for prefix, module in network.named_modules():
        start = f"{prefix}." if prefix else ""
        undecayed |= {start + name for name in getattr(module, "undecayed", ())}
        rates |= {start + name: rate for name, rate in getattr(module, "rates", {}).items()}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {(1.0, True): []}
    for name, parameter in network.named_parameters():
        kind = (rates.get(name, 1.0), name not in undecayed)
        groups.setdefault(kind, []).append(parameter)
    if len(groups) == 1:
        return groups[1.0, True]
    return [
        {"params": group, "rate": rate, **({} if decays else {"weight_decay": 0.0})}
        for (rate, decays), group in groups.items()
    ]


class Task(LightningModule, ABC):
    """A network with its optimiser and schedule; a kind of task adds what it measures.

    Args:
        network: what is trained.
        optimizer: parameters -> optimiser. scheduler: optimiser -> schedule, stepped every epoch.

    Attributes:
        counted: samples of the current part of a batch that count, where these are not all of it.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.counted: int | None = None
        self._optimizer, self._scheduler = optimizer, scheduler

    def configure_optimizers(self) -> Any:
        """The optimiser and, where there is one, its schedule."""
        assert self._optimizer is not None, "a task without an optimiser cannot be trained"
        optimizer = self._optimizer(parameter_groups(self.network))
        for group in optimizer.param_groups:
            group["lr"] *= group.get("rate", 1.0)
        if self._scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self._scheduler(optimizer)}

    @abstractmethod
    def measure(self, batch: Any, split: str) -> Tensor:
        """The loss of a batch, a mean over its samples; logs it, and what else is known, as means.

        Args:
            batch: inputs, and truths with a length.
            split: train or val, what the logged names begin with.
        """

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """Loss of a batch, with what layers of the network add to it."""
        return self.with_extra_losses(self.measure(batch, "train"), len(batch[1]))

    def validation_step(self, batch: Any, batch_index: int) -> None:
        """Logs what is measured on a validation batch."""
        self.measure(batch, "val")

    def with_extra_losses(self, loss: Tensor, size: int) -> Tensor:
        """The loss of a training batch with what the layers of the network add to it.

        What they add is logged as `train_<name>`; without such layers the loss comes back as it is.

        Args:
            loss: of the task, a mean over this process's part of the batch.
            size: samples of the part.
        """
        extra = extra_losses(self.network)
        if not extra:
            return loss
        self.log_means({f"train_{name}": value.detach() for name, value in extra.items()}, size)
        return loss + torch.stack(list(extra.values())).sum()

    def log_means(self, values: Mapping[str, Tensor], size: int) -> None:
        """Logs means over a batch, as means over the samples of an epoch on all devices.

        Args:
            values: name -> mean over this process's part of the batch.
            size: samples of the part.
        """
        count = size if self.counted is None else self.counted
        ranks = self._trainer.world_size if self._trainer is not None else 1
        # Lightning averages the counts of the ranks as whole numbers: times ranks, none is lost.
        self.log_dict(
            dict(values),
            on_step=False,
            on_epoch=True,
            batch_size=count * ranks,
            sync_dist=ranks > 1,
        )
