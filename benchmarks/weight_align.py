"""Networks with WeightAlign against the same with timm's ScaledStdConv2d, and folded ones.

A training step (forward, backward, SGD with momentum) may take 1.05 times that of timm's layers,
which normalise weights by batch normalisation; ours by group normalisation of one sample, whose
kernels are faster on a CPU. Both compute the same function: outputs are compared first. A folded
network has plain convolutions; in evaluation it stands beside the network that was not rewritten.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from timm.layers.std_conv import ScaledStdConv2d
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from benchmarks.harness import Action, Comparison, alternate
from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.backbones.vgg import VGG
from thesisbench.layers.reparameterize import ReparameterizeWeights, fold
from thesisbench.layers.weight_align import WAConv2d

BOUND = 5.0  # percent beyond the baseline
CLOSE = 1e-3  # of the largest output: the two differ in eps and round otherwise
VGG_WIDTHS = ((64, 64), (128, 128), (256, 256), (512, 512))


def measure(quick: bool) -> list[Comparison]:
    """A small ResNet with a large batch, and a VGG whose weights outweigh its maps."""
    repetitions = 1 if quick else 15
    sizes: tuple[tuple[str, nn.Module, int, int], ...] = (
        ("small ResNet, batch 64", SmallResNet(blocks=(2, 2, 2)), 64, 32),
        ("VGG of 8 convolutions, batch 4", VGG(widths=VGG_WIDTHS, classes=10), 4, 32),
    )
    if quick:
        sizes = (("ResNet-8, batch 2", SmallResNet(), 2, 16),)
    found = []
    for case, plain, batch, side in sizes:
        torch.manual_seed(0)
        x, labels = torch.randn(batch, 3, side, side), torch.arange(batch) % 10
        found += [
            _training(case, plain, x, labels, repetitions),
            _folded(case, plain, x, repetitions),
        ]
    return found


def _training(case: str, plain: nn.Module, x: Tensor, labels: Tensor, count: int) -> Comparison:
    ours, theirs = _twins(plain)
    actions = {"WeightAlign": _step(ours, x, labels), "ScaledStdConv2d": _step(theirs, x, labels)}
    times = alternate(actions, count)
    title = f"{case}: training step"
    return Comparison(title, times["WeightAlign"], times["ScaledStdConv2d"], "overhead", BOUND)


def _folded(case: str, plain: nn.Module, x: Tensor, count: int) -> Comparison:
    folded, _ = _twins(plain)
    fold(folded)
    actions = {"folded": _evaluate(folded, x), "plain": _evaluate(plain, x)}
    times = alternate(actions, count)
    return Comparison(f"{case}: folded", times["folded"], times["plain"], "overhead", BOUND)


def _twins(plain: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The network with WeightAlign and with timm's layers, of equal weights and outputs.

    Raises:
        RuntimeError: their outputs differ.
    """
    ours, theirs = copy.deepcopy(plain), copy.deepcopy(plain)
    ReparameterizeWeights()(ours)
    for name, layer in ours.named_modules():
        if isinstance(layer, WAConv2d):
            owner, _, leaf = name.rpartition(".")
            setattr(theirs.get_submodule(owner), leaf, _as_timm(layer))
    x = torch.randn(2, 3, 32, 32)
    y, z = ours.eval()(x), theirs.eval()(x)
    if (y - z).abs().max() > CLOSE * y.abs().max():
        raise RuntimeError("WeightAlign and ScaledStdConv2d compute different outputs")
    return ours.train(), theirs.train()


def _as_timm(layer: WAConv2d) -> nn.Module:
    """The layer of timm with gamma sqrt(2) and the weights of ours."""
    options: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding}
    options |= {"bias": layer.bias is not None, "gamma": math.sqrt(2), "eps": 1e-8}
    size = (layer.in_channels, layer.out_channels, layer.kernel_size)
    theirs = ScaledStdConv2d(*size, **options)
    theirs.weight.data.copy_(layer.weight.data)
    if layer.bias is not None:
        theirs.bias.data.copy_(layer.bias.data)
    return theirs


def _step(network: nn.Module, x: Tensor, labels: Tensor) -> Action:
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)

    def action() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(x), labels).backward()
        optimizer.step()

    return action


def _evaluate(network: nn.Module, x: Tensor) -> Action:
    network.eval()

    @torch.no_grad()
    def action() -> None:
        network(x)

    return action
