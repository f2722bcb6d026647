"""LiftDownPool against max pool of stride 1 and BlurPool: forward and backward, regularisers too.

The layout in memory that networks have by default is bound to 1.7 times. With the channels last,
torch's max pool is about five times as fast and the lifting about the same, since it always lifts
with its channels last on a CPU; that is shown for information.

What was done to make it fast: all phases laid out once (no strided access afterwards), depthwise
kernels with the channels last, tanh by sigmoid, and a gradient of our own that keeps few maps and
takes the regularisers along (`thesisbench.ops.fused_lifting`). Written plainly it takes two to
three times as long.
"""

from __future__ import annotations

import torch
from timm.layers.blur_pool import BlurPool2d
from torch import Tensor, nn

from benchmarks.harness import Action, Comparison, alternate
from thesisbench.layers.lift_pool import LiftDownPool2d

BOUND = 70.0  # percent beyond the baseline
SIZES = ((8, 64, 56, 56), (16, 256, 16, 16))  # behind a stem of 224 pixels; in the middle of a VGG


def measure(quick: bool) -> list[Comparison]:
    """Both layouts at two sizes."""
    sizes, repetitions = (((2, 8, 8, 8),), 1) if quick else (SIZES, 15)
    return [
        _compare(size, repetitions, channels_last)
        for channels_last in (False, True)
        for size in sizes
    ]


def _compare(size: tuple[int, ...], repetitions: int, channels_last: bool) -> Comparison:
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.randn(size).contiguous(memory_format=layout).requires_grad_()
    max_blur = nn.Sequential(nn.MaxPool2d(2, stride=1), BlurPool2d(size[1], filt_size=3))
    actions = {"lift": _step(LiftDownPool2d(size[1]), x), "max, blur": _step(max_blur, x)}
    times = alternate(actions, repetitions)
    case = f"{' x '.join(map(str, size))}{', channels last' if channels_last else ''}"
    ours, base = times["lift"], times["max, blur"]
    if channels_last:
        return Comparison(case, ours, base, "factor", note="for information")
    return Comparison(case, ours, base, "overhead", BOUND, note="memory layout of a plain network")


def _step(layer: nn.Module, x: Tensor) -> Action:
    def action() -> None:
        x.grad = None
        layer.zero_grad()
        loss = layer(x).sum()
        if isinstance(layer, LiftDownPool2d):
            loss = loss + torch.stack(list(layer.extra_losses().values())).sum()
        loss.backward()

    return action
