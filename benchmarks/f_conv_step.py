"""A training step with full convolutions over one with same ones, against the ratio of their FLOPs.

ResNet-18 and ResNet-50 at 224 pixels. Beyond 1.1 times the ratio of FLOPs, time is lost in padding,
memory traffic or slower kernels. What a network with full convolutions costs in all is the ratio of
FLOPs itself, about 3: its maps grow by up to nine times.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.harness import Action, Comparison, Timing, alternate
from thesisbench.backbones.resnet import resnet
from thesisbench.layers.border import convert_border
from thesisbench.ops.border import Border

BOUND = 10.0  # percent beyond the ratio of FLOPs


def measure(quick: bool) -> list[Comparison]:
    """Both networks, with batches that a laptop holds."""
    sizes = ((18, 2),) if quick else ((18, 4), (50, 2))
    side, repetitions = (32, 1) if quick else (224, 5)
    return [_compare(depth, batch, side, repetitions) for depth, batch in sizes]


def _compare(depth: int, batch: int, side: int, repetitions: int) -> Comparison:
    networks = {border: _build(depth, border) for border in ("same", "full")}
    actions = {border: _step(net, batch, side) for border, net in networks.items()}
    times = alternate(actions, repetitions)
    flops = {border: _flops(net, side) for border, net in networks.items()}
    ratio = flops["full"] / flops["same"]
    scaled = Timing(
        "same, times the ratio of FLOPs", tuple(s * ratio for s in times["same"].seconds)
    )
    taken = Timing("full", times["full"].seconds).median / times["same"].median
    return Comparison(
        f"ResNet-{depth}, {side} px, batch {batch}",
        times["full"],
        scaled,
        "overhead",
        BOUND,
        note=f"{taken:.2f}x the time of same, {ratio:.2f}x the FLOPs",
    )


def _build(depth: int, border: Border) -> nn.Module:
    torch.manual_seed(0)
    network = resnet(depth=depth)
    convert_border(network, border=border)
    return network


def _step(network: nn.Module, batch: int, side: int) -> Action:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    images, labels = torch.rand(batch, 3, side, side), torch.arange(batch)

    def action() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return action


def _flops(network: nn.Module, side: int) -> int:
    """Floating-point operations of a forward and backward pass of one image."""
    network = network.to("meta").eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, side, side, device="meta")).sum().backward()
    return counter.get_total_flops()
