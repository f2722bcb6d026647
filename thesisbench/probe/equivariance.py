"""How much the answers of a network change when its input is shifted.

Kayhan asks for such a test of translation equivariance (chapter 8); the exact properties behind it
are those of chapter 2: with full convolutions, and with circular ones under cyclic shifts, a
network with global pooling, without biases or shifts of normalisations, does not change at all
under shifts by multiples of its total stride.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

Mode = Literal["canvas", "cyclic"]
MODES: tuple[Mode, ...] = ("canvas", "cyclic")
_STEP = 128  # pixels by which an image grows to see how a map grows; a multiple of usual strides


@dataclass(frozen=True)
class Change:
    """What a diagonal shift does, over all images.

    Attributes:
        shift: in pixels, down and to the right.
        aligned: whether it is a multiple of the total stride; None where that is not known.
        logits, features: size of the change over size of the output, each summed over images.
            Features are what the last linear layer takes in; None for a network without one.
        agreement: images whose largest logit stays the same, in percent.
    """

    shift: int
    aligned: bool | None
    logits: float
    features: float | None
    agreement: float


def shifted(
    images: Float[Tensor, "b c h w"], shift: int, *, mode: Mode, room: int
) -> Float[Tensor, "b c h2 w2"]:
    """Images moved down and to the right.

    Args:
        images: to be moved.
        shift: pixels.
        mode: canvas (black, larger by `room`, the image starts in its top-left corner) or cyclic.
        room: largest shift of a canvas.

    >>> shifted(torch.ones(1, 1, 1, 1), 1, mode="canvas", room=2)[0, 0].tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if mode == "cyclic":
        return images.roll((shift, shift), (-2, -1))
    return F.pad(images, [shift, room - shift, shift, room - shift])


def measure(
    network: nn.Module,
    images: Float[Tensor, "b c h w"],
    shifts: Sequence[int],
    *,
    mode: Mode,
    stride: int | None,
) -> list[Change]:
    """The change that each shift makes to the outputs of a network, in evaluation mode.

    Args:
        network: images -> logits of shape [b, k].
        images: not yet shifted.
        shifts: in pixels.
        mode: canvas or cyclic.
        stride: total stride of the network, None where it is not known.
    """
    room = max(shifts)
    outputs = _outputs(network, shifted(images, 0, mode=mode, room=room))
    changes = []
    for shift in shifts:
        logits, features = _outputs(network, shifted(images, shift, mode=mode, room=room))
        same = (logits.argmax(1) == outputs[0].argmax(1)).double().mean()
        changes.append(
            Change(
                shift=shift,
                aligned=None if stride is None else shift % stride == 0,
                logits=_relative(logits, outputs[0]),
                features=None
                if features is None or outputs[1] is None
                else _relative(features, outputs[1]),
                agreement=100 * float(same),
            )
        )
    return changes


@torch.no_grad()
def total_stride(network: nn.Module, images: Float[Tensor, "b c h w"]) -> int | None:
    """Input pixels between neighbours of the last map; None where the network takes one size only.

    Measured: how many positions the last map gains when the image grows.

    Args:
        network: images -> logits.
        images: one of a size and number of channels that it takes.
    """
    side = images.shape[-1] + _STEP
    try:
        small, large = (_map_sizes(network, images[:1], side + grow) for grow in (0, _STEP))
    except (RuntimeError, ValueError, TypeError):
        return None
    gains = [b - a for a, b in zip(small, large, strict=True) if b > a]
    return round(_STEP / gains[-1]) if gains else None


@torch.no_grad()
def _outputs(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Logits, and what the last linear layer took in; each image a row."""
    seen: list[Tensor] = []
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    with _watched(linear, lambda given, _: seen.append(given)):
        logits: Tensor = network.eval()(images)
    return logits.flatten(1), seen[-1].flatten(1) if seen else None


def _map_sizes(network: nn.Module, images: Tensor, side: int) -> list[int]:
    """Width of the output of each layer that puts out maps, in the order of computing."""
    sizes: list[int] = []
    leaves = [module for module in network.modules() if not list(module.children())]

    def note(_: Tensor, out: Tensor) -> None:
        if isinstance(out, Tensor) and out.dim() == 4:
            sizes.append(out.shape[-1])

    grown = F.pad(images, [0, side - images.shape[-1], 0, side - images.shape[-2]])
    with _watched(leaves, note):
        network.eval()(grown)
    return sizes


@contextmanager
def _watched(modules: Sequence[nn.Module], note: object) -> Iterator[None]:
    """Lets a function see the first input and the output of modules."""

    def hook(_: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        note(given[0], out)  # type: ignore[operator]

    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _relative(values: Tensor, reference: Tensor) -> float:
    """Sum over images of the length of the change, over that of the length of the reference."""
    size = float(reference.double().norm(dim=1).sum())
    change = float((values.double() - reference.double()).norm(dim=1).sum())
    return change / size if size else float(change > 0)
