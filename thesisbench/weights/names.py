"""Names of weights: those that older files use, and those of a classifier beneath a detector."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

# torchvision's files are older than the names of its layers.
_OLD: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\."), r"\1\2."),
    (re.compile(r"(inner_blocks|layer_blocks)\.(\d+)\.(weight|bias)$"), r"\1.\2.0.\3"),
    (re.compile(r"rpn\.head\.conv\.(weight|bias)$"), r"rpn.head.conv.0.0.\1"),
    (
        re.compile(r"((?:classification|regression)_head\.conv)\.(\d+)\.(weight|bias)$"),
        lambda old: f"{old[1]}.{int(old[2]) // 2}.0.{old[3]}",  # ReLUs were counted, too
    ),
    (
        re.compile(r"mask_head\.mask_fcn(\d+)\.(weight|bias)$"),
        lambda old: f"mask_head.{int(old[1]) - 1}.0.{old[2]}",
    ),
)
_CLASSIFIERS = ("fc.", "classifier.")  # what names of a classifier's last layers begin with


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by today's names."""
    return {_today(name): value for name, value in state.items()}


def _today(name: str) -> str:
    for pattern, replacement in _OLD:
        name = pattern.sub(replacement, name)
    return name


def for_part(
    network: nn.Module, state: Mapping[str, Tensor]
) -> tuple[nn.Module, Mapping[str, Tensor]]:
    """What weights are for: a network, or the backbone in it where they are a classifier's.

    Args:
        network: maybe one with a backbone, `varied`.
        state: weights by name.

    Returns:
        The network with the weights as they are; or its backbone with the weights by its names,
        without those of a classifier's last layers that it lacks.
    """
    part: Any = getattr(network, "varied", None)
    if part is None or state.keys() & network.state_dict().keys():
        return network, state
    own = part.state_dict()
    prefix = getattr(part, "prefix", "")
    named = {name.removeprefix(prefix): (name, value) for name, value in state.items()}
    return part, {
        name: value
        for name, (old, value) in named.items()
        if name in own or not old.startswith(_CLASSIFIERS)
    }
