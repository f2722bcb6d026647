"""Weights in the format of darknet, the authors' program of YOLO.

A file is a header (major, minor and revision as 32-bit integers, then the images seen, of 64 bits
from version 0.2 on, else of 32) and 32-bit floats, without names: for each convolution in the order
of the layers shift, scale, means and variances of its batch normalisation, or its biases where it
has none, then its kernels. All is little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from thesisbench.data.bad_file import BadFileError
from thesisbench.errors import UserError

ENDING = ".weights"
KEY = "darknet"  # the name under which a file's numbers are kept before a network gives them names
_STATISTICS = ("bias", "weight", "running_mean", "running_var")
Unit = tuple[str, nn.Conv2d, str, nn.BatchNorm2d | None]


def read_darknet(path: Path) -> Float[Tensor, " n"]:
    """The numbers of a file, one after another.

    Raises:
        BadFileError: it cannot be read or is cut short.
    """
    try:
        content = path.read_bytes()
        major, minor, _ = struct.unpack_from("<3i", content)
    except (OSError, struct.error) as error:
        raise BadFileError(f"cannot read weights {path}: {error}; fetch them anew") from error
    header = 12 + (8 if major * 10 + minor >= 2 else 4)
    if len(content) <= header or (len(content) - header) % 4:
        raise BadFileError(f"weights {path} are cut short; fetch them anew")
    return torch.from_numpy(np.frombuffer(content, "<f4", offset=header).astype(np.float32))


def named_darknet(network: nn.Module, numbers: Float[Tensor, " n"]) -> dict[str, Tensor]:
    """The numbers of a file by the names of a network.

    Layers whose size depends on the classes (`class_layers`) have as many outputs as the file has
    numbers for; so weights for other classes can be told apart from those of another network.

    Args:
        network: its convolutions come in the order of the file.
        numbers: of the file.

    Raises:
        UserError: the file has too few or too many numbers for the network.
    """
    units = list(_units(network))
    outputs = _class_outputs(network, units, len(numbers))
    found: dict[str, Tensor] = {}
    start = 0
    for name, shape in _shapes(network, units, outputs):
        size = int(np.prod(shape))
        found[name] = numbers[start : start + size].reshape(shape)
        start += size
    return found


def _units(network: nn.Module) -> Iterator[Unit]:
    """Each convolution with the normalisation right behind it, by name."""
    layers = [(n, m) for n, m in network.named_modules() if not list(m.children())]
    for (name, layer), (after, norm) in zip(layers, [*layers[1:], ("", None)], strict=True):
        if isinstance(layer, nn.Conv2d):
            known = norm if isinstance(norm, nn.BatchNorm2d) else None
            yield name, layer, after, known


def _shapes(
    network: nn.Module, units: list[Unit], outputs: int | None
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of all tensors in the order of the file."""
    for name, conv, after, norm in units:
        variable = outputs is not None and name in _class_layers(network)
        count = int(outputs) if variable and outputs else conv.out_channels
        if norm is None:
            yield f"{name}.bias", (count,)
        else:
            yield from ((f"{after}.{part}", (count,)) for part in _STATISTICS)
        yield f"{name}.weight", (count, *conv.weight.shape[1:])


def _class_layers(network: Any) -> tuple[str, ...]:
    return getattr(network, "class_layers", ())


def _class_outputs(network: nn.Module, units: list[Unit], count: int) -> int | None:
    """Outputs of the layers of classes that make a network of a file with so many numbers.

    Raises:
        UserError: no number of outputs does.
    """
    fixed = sum(int(np.prod(shape)) for _, shape in _shapes(network, units, None))
    layers = [conv for name, conv, _, _ in units if name in _class_layers(network)]
    per_output = sum(conv.weight[0].numel() + 1 for conv in layers)
    rest = count - fixed + sum(conv.out_channels for conv in layers[:1]) * per_output
    if count == fixed:
        return None
    if not layers or rest <= 0 or rest % per_output:
        text = f"the file has {count} numbers, {type(network).__name__} takes {fixed}"
        raise UserError(f"darknet's weights do not fit: {text}; choose the same backbone")
    return rest // per_output
