"""What border handling costs: floating-point operations and time of a training step.

Kayhan, chapter 2: "ResNet-50 with F-Conv trains about 15% slower", and circular padding costs
nothing over zero padding. Measured here in one process, the borders in turn and in the opposite
order every other time, so that whatever else the machine does hits all of them.

*Deviations*. The thesis does not say how it measured, nor on what; ours is a step of SGD on random
images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torch.utils.flop_counter import FlopCounterMode

from thesisbench.errors import UserError
from thesisbench.layers.border import ConvertBorder
from thesisbench.step import StepContext, build_network

BORDERS: dict[str, dict[str, Any]] = {
    "same": {"border": "same"},
    "circular": {"border": "same", "pad_mode": "circular"},
    "full": {"border": "full"},
}


class StepCost:
    """FLOPs and seconds of a training step of the step's backbone with each border.

    Args:
        batch: images in a step.
        side: of the images.
        repetitions: timed steps of each border, after one that does not count.
    """

    def __init__(self, *, batch: int = 2, side: int = 224, repetitions: int = 3) -> None:
        self.batch, self.side, self.repetitions = batch, side, repetitions

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Giga-FLOPs an image (forward and backward) as metrics, seconds a step as cost.

        Metrics `gflops_<border>`; cost `seconds_<border>`, the median, for same, circular and full,
        and `circular_over_same`, `full_over_same`, medians of ratios of neighbouring steps. On a
        GPU with `trainer.accelerator=gpu`.

        Raises:
            UserError: a GPU that is not there.
        """
        torch.manual_seed(int(context.config["seed"]))
        device = _device(context.config)
        networks = {name: _build(context.config, name).to(device) for name in BORDERS}
        seconds = self._times({name: self._step(net, device) for name, net in networks.items()})
        cost = context.result.cost
        cost |= {f"seconds_{name}": median(times) for name, times in seconds.items()}
        for name in ("circular", "full"):
            pairs = zip(seconds[name], seconds["same"], strict=True)
            cost[f"{name}_over_same"] = median(a / b for a, b in pairs)
        context.result.facts["images_a_step"] = self.batch
        return {f"gflops_{name}": self._gflops(net) for name, net in networks.items()}

    def _step(self, network: nn.Module, device: torch.device) -> Callable[[], None]:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
        images = torch.rand(self.batch, _channels(network), self.side, self.side, device=device)
        labels = torch.arange(self.batch, device=device) % 2

        def step() -> None:
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
            if device.type == "cuda":
                torch.cuda.synchronize()

        return step

    def _times(self, steps: Mapping[str, Callable[[], None]]) -> dict[str, list[float]]:
        for step in steps.values():
            step()
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for repetition in range(self.repetitions):
            for name in list(steps)[:: 1 if repetition % 2 == 0 else -1]:
                start = time.perf_counter()
                steps[name]()
                seconds[name].append(time.perf_counter() - start)
        return seconds

    def _gflops(self, network: nn.Module) -> float:
        """Of a forward and a backward pass of one image, counted without computing them."""
        network = network.to("meta").eval()
        images = torch.empty(1, _channels(network), self.side, self.side, device="meta")
        with FlopCounterMode(display=False) as counter:
            network(images).sum().backward()
        return counter.get_total_flops() / 1e9


def _build(config: Mapping[str, Any], border: str) -> nn.Module:
    network, _ = build_network(config)
    ConvertBorder(**BORDERS[border])(network)
    return network


def _channels(network: nn.Module) -> int:
    return next(m for m in network.modules() if isinstance(m, nn.Conv2d)).in_channels


def _device(config: Mapping[str, Any]) -> torch.device:
    if (config.get("trainer") or {}).get("accelerator") not in ("gpu", "cuda"):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError("no GPU here to time steps on; choose trainer.accelerator=cpu")
    return torch.device("cuda")
