"""A fit that starts from the weights of another one: the input `start` of its step.

Everything is taken over but layers of another shape, such as the classifier of other classes, which
keep their random numbers, and what a variant put in (`starts_anew`), such as the factors of aligned
weights. A network whose encoder may be that of a classifier says itself what it
takes (`take_classifier`). What was left out goes into the record.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from thesisbench.errors import UserError
from thesisbench.layers.own_layers import tensors_starting_anew
from thesisbench.step import StepContext

INPUT = "start"
_PREFIX = "network."


def start_from(context: StepContext, network: nn.Module) -> None:
    """Loads the kept weights of the needed fit `start` into a network, where there is one.

    Raises:
        UserError: the two networks have layers of other names, or no layer in common.
    """
    if INPUT not in context.needs:
        return
    (needed, *_) = context.needs[INPUT]
    state = torch.load(needed.weights, weights_only=True, map_location="cpu")
    given = {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}
    own = network.state_dict()
    take: Any = getattr(network, "take_classifier", None)
    if take is not None and given.keys() != own.keys():
        left = take(given)
        context.result.facts["start"] = {"run": needed.folder.id, "left": left}
        return
    new = tensors_starting_anew(network) - given.keys()
    if odd := sorted(given.keys() ^ own.keys() - new):
        text = f"run {needed.folder.id} does not fit {type(network).__name__}"
        raise UserError(f"{text}: only one of the two has {odd[0]}; choose the same backbone")
    left = sorted(n for n in own if n in new or given[n].shape != own[n].shape)
    if len(left) == len(own):
        raise UserError(f"run {needed.folder.id} has no layer of the size of this network's")
    network.load_state_dict({k: v for k, v in given.items() if k not in left}, strict=False)
    context.result.facts["start"] = {"run": needed.folder.id, "left": left}
