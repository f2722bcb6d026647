"""Loads pretrained weights into a network: all of them, or an error says what does not fit.

`weights=pretrained variants.weights.name=imagenet_resnet50_torchvision` does so for the backbone of
a recipe, `...=coco_faster_rcnn_r50` for a whole detector; it may come before or after other
variants, which keep the names of parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from thesisbench.errors import UserError, unknown
from thesisbench.layers.own_layers import classifier_name, tensors_starting_anew
from thesisbench.weights.darknet import KEY, named_darknet
from thesisbench.weights.files import checked_digest, read_weights, weights_file
from thesisbench.weights.names import for_part, renamed

HEADS = ("same", "new")
_NOTE = "thesisbench_weights"  # attribute of a network that says what was loaded
_COUNT = "num_batches_tracked"  # older files lack it, and so do frozen normalisations


def load_weights(network: nn.Module, name: str, *, head: str = "same") -> int:
    """Loads weights by their name; what was loaded is noted for the record.

    Args:
        network: their network, or a detector whose backbone they are for.
        name: of the weights, such as imagenet_resnet18_torchvision.
        head: same: everything must fit; new: the layers of the classes (the last linear layer, or
            what a detector names as such), of another number of classes, keep their own, random
            numbers.

    Returns:
        Number of tensors loaded.

    Raises:
        UserError: no such file, a broken one, or one that does not fit the network.
    """
    if head not in HEADS:
        raise UserError(unknown("head", head, HEADS))
    path = weights_file(name)
    digest = checked_digest(name, path)
    state = read_weights(path)
    given = named_darknet(network, state[KEY]) if state.keys() == {KEY} else renamed(state)
    part, fitting = for_part(network, given)
    left = _check(part, fitting, name, head)
    taken = {key: value for key, value in fitting.items() if key not in left}
    part.load_state_dict(taken, strict=False)
    note = {"name": name, "file": path.name, "sha256": digest, "left": sorted(left)}
    setattr(network, _NOTE, [*loaded_weights(network), note])
    return len(taken)


def loaded_weights(network: nn.Module) -> list[dict[str, Any]]:
    """What was loaded into a network: name, file, sha256 and tensors left out, for the record."""
    notes: list[dict[str, Any]] = getattr(network, _NOTE, [])
    return notes


def _check(network: nn.Module, given: Mapping[str, Tensor], name: str, head: str) -> set[str]:
    """Names of tensors that are not to be loaded.

    Raises:
        UserError: names or shapes that do not fit.
    """
    own = network.state_dict()
    kind = type(network).__name__
    anew = tensors_starting_anew(network)
    missing = sorted(k for k in own.keys() - given.keys() if _COUNT not in k and k not in anew)
    extra = sorted(k for k in given.keys() - own.keys() if _COUNT not in k)
    for odd, words in ((missing, f"they lack {kind}'s"), (extra, f"{kind} has no")):
        if odd:
            count = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
            raise UserError(f"weights {name} do not fit: {words} {odd[0]}{count}")
    left = {k for k, v in given.items() if k in own and v.shape != own[k].shape}
    classifier = _classifier(network) & own.keys() & given.keys()
    classifier = {k for k in classifier if given[k].shape[1:] == own[k].shape[1:]}
    if odd := sorted(left - classifier):
        shapes = f"{tuple(given[odd[0]].shape)}, not {tuple(own[odd[0]].shape)}"
        raise UserError(f"weights {name} do not fit {kind}: {odd[0]} is {shapes}")
    if left and head == "same":
        key = min(left)
        what = f"outputs of {key}" if hasattr(network, "class_layers") else "classes"
        classes = f"{len(given[key])} {what}, {kind} has {len(own[key])}"
        raise UserError(f"weights {name} are of {classes}; head=new starts the classifier anew")
    return left | classifier if left else left


def _classifier(network: nn.Module) -> set[str]:
    last = classifier_name(network)
    names: tuple[str, ...] = getattr(network, "class_layers", () if last is None else (last,))
    return {f"{name}.{part}" for name in names for part in ("weight", "bias")}


class Pretrained:
    """A drop-in that loads weights into the network or its backbone; see `load_weights`.

    Args:
        name: of the weights.
        head: same or new.
    """

    batch_free = True
    whole_network = True  # of a detector, too

    def __init__(self, *, name: str, head: str = "same") -> None:
        self.name, self.head = name, head

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> int:
        """Number of tensors loaded."""
        return load_weights(network, self.name, head=self.head)
