"""A training step of the Red-Green network with other borders over one with `same`.

Beside it stands how many more floating-point operations it takes: what exceeds this ratio is lost
in padding, memory traffic or a slower kernel. For information.
"""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.by_hand import build, make_optimizer, step
from benchmarks.harness import Action, Comparison, alternate
from thesisbench.methods.kayhan.full_conv.red_green import generate_red_green

BASELINE = "same"


def measure(quick: bool) -> list[Comparison]:
    """Three borders at two batch sizes."""
    batches, steps, repetitions = ((20,), 1, 1) if quick else ((50, 200), 5, 7)
    return [c for batch in batches for c in _compare(batch, steps, repetitions)]


def _compare(batch: int, steps: int, repetitions: int) -> list[Comparison]:
    borders = (BASELINE, "valid", "circular", "full")
    times = alternate({b: _steps(b, batch, steps) for b in borders}, repetitions, per=steps)
    flops = {b: _flops(b, batch) for b in borders}
    return [
        Comparison(
            f"{border}, batch {batch}",
            times[border],
            times[BASELINE],
            "factor",
            note=f"{flops[border] / flops[BASELINE]:.2f}x the FLOPs",
        )
        for border in borders[1:]
    ]


def _steps(border: str, batch: int, count: int) -> Action:
    network = build(border)
    optimizer = make_optimizer(network)
    images, labels = generate_red_green(batch, seed=0)

    def action() -> None:
        for _ in range(count):
            step(network, optimizer, images, labels)

    return action


def _flops(border: str, batch: int) -> int:
    """Floating-point operations of a forward and backward pass."""
    network, images = build(border), torch.zeros(batch, 3, 32, 32)
    with FlopCounterMode(display=False) as counter:
        network(images).sum().backward()
    return counter.get_total_flops()
