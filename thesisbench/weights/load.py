"""Loads pretrained weights into a network: all of them, or an error says what does not fit.

`weights=pretrained variants.weights.name=imagenet_resnet50_torchvision` does so for the backbone of
a recipe; it may come before or after other variants, which keep the names of parameters.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from thesisbench.errors import UserError, unknown
from thesisbench.layers.own_layers import classifier_name, tensors_starting_anew
from thesisbench.weights.files import checked_digest, read_weights, weights_file

HEADS = ("same", "new")
_NOTE = "thesisbench_weights"  # attribute of a network that says what was loaded
# torchvision's DenseNet files are older than the names of its layers.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


def load_weights(network: nn.Module, name: str, *, head: str = "same") -> int:
    """Loads weights by their name; what was loaded is noted for the record.

    Args:
        network: their network.
        name: of the weights, such as imagenet_resnet18_torchvision.
        head: same: everything must fit; new: a classifier (the last linear layer) of another number
            of classes keeps its own, random numbers.

    Returns:
        Number of tensors loaded.

    Raises:
        UserError: no such file, a broken one, or one that does not fit the network.
    """
    if head not in HEADS:
        raise UserError(unknown("head", head, HEADS))
    path = weights_file(name)
    digest = checked_digest(name, path)
    given = {_OLD_DENSENET.sub(r"\1\2.", k): v for k, v in read_weights(path).items()}
    left = _check(network, given, name, head)
    taken = {key: value for key, value in given.items() if key not in left}
    network.load_state_dict(taken, strict=False)
    note = {"name": name, "file": path.name, "sha256": digest, "left": sorted(left)}
    setattr(network, _NOTE, [*loaded_weights(network), note])
    return len(taken)


def loaded_weights(network: nn.Module) -> list[dict[str, Any]]:
    """What was loaded into a network: name, file, sha256 and tensors left out, for the record."""
    notes: list[dict[str, Any]] = getattr(network, _NOTE, [])
    return notes


def _check(network: nn.Module, given: dict[str, Tensor], name: str, head: str) -> set[str]:
    """Names of tensors that are not to be loaded.

    Raises:
        UserError: names or shapes that do not fit.
    """
    own = network.state_dict()
    kind = type(network).__name__
    anew = tensors_starting_anew(network)
    missing = sorted(
        k for k in own.keys() - given.keys() if "num_batches_tracked" not in k and k not in anew
    )
    extra = sorted(given.keys() - own.keys())
    for odd, words in ((missing, f"they lack {kind}'s"), (extra, f"{kind} has no")):
        if odd:
            count = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
            raise UserError(f"weights {name} do not fit: {words} {odd[0]}{count}")
    left = {k for k, v in given.items() if v.shape != own[k].shape}
    classifier = _classifier(network) & own.keys() & given.keys()
    classifier = {k for k in classifier if given[k].shape[1:] == own[k].shape[1:]}
    if odd := sorted(left - classifier):
        shapes = f"{tuple(given[odd[0]].shape)}, not {tuple(own[odd[0]].shape)}"
        raise UserError(f"weights {name} do not fit {kind}: {odd[0]} is {shapes}")
    if left and head == "same":
        key = min(left)
        classes = f"{len(given[key])} classes, {kind} has {len(own[key])}"
        raise UserError(f"weights {name} are of {classes}; head=new starts the classifier anew")
    return left | classifier if left else left


def _classifier(network: nn.Module) -> set[str]:
    name = classifier_name(network)
    return set() if name is None else {f"{name}.weight", f"{name}.bias"}


class Pretrained:
    """A drop-in that loads weights into the backbone; see `load_weights`.

    Args:
        name: of the weights.
        head: same or new.
    """

    batch_free = True

    def __init__(self, *, name: str, head: str = "same") -> None:
        self.name, self.head = name, head

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> int:
        """Number of tensors loaded."""
        return load_weights(network, self.name, head=self.head)
