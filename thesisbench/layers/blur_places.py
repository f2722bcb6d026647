"""Where blurs and pools belong in a network: behind the activation after each strided layer.

Zhang, arXiv 1904.11486, section 3.3. Places are found from the structure of the network: residual
blocks of torchvision and timm (before the next convolution of the block, since their activation
may be one module used twice; before a strided shortcut), the stem of a ResNet (before its max
pool), and sequences of convolution, normalisation and activation, as in MobileNets. A max pool is
followed by a blur; another pool takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from thesisbench.layers.residual_border import Conv, main_path, pad_shortcut, residual_blocks

_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Hardswish)
_PASSED = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.Dropout, nn.Dropout2d, *_ACTIVATIONS)
Put = Callable[[nn.Module], None]


@dataclass(frozen=True)
class Place:
    """A strided layer, and what puts a blur or a pool to its output and takes its stride from it.

    Attributes:
        layer: the strided layer.
        stride: the stride that the blur takes over.
        channels: of the maps that the blur takes in; 0 where no convolution comes before a pool.
        block: name of the residual block it is in; None outside of blocks.
        set_blur: puts a blur to its place.
    """

    layer: Any
    stride: int
    channels: int
    block: str | None
    set_blur: Put

    def put(self, blur: nn.Module) -> None:
        """Hands the stride to a blur."""
        self.take_stride()
        self.set_blur(blur)

    def take_stride(self) -> None:
        """Takes the stride from the layer."""
        if isinstance(self.layer, Conv):
            self.layer.stride = (1,) * len(self.layer.stride)
        else:
            self.layer.stride = 1


def find_places(
    network: nn.Module, *, blur_stem: bool = False, in_place_of_pools: bool = False
) -> list[Place]:
    """All places of blurs, those of pools first; changes nothing.

    Args:
        network: a network for images.
        blur_stem: whether the first convolution is blurred, where it is strided.
        in_place_of_pools: whether max pools make way, as average pools always do.

    Raises:
        ValueError: a strided layer that has no place for a blur behind it, with its name.
    """
    blocks = residual_blocks(network)
    pools: list[Place] = []
    convs: list[Place] = []
    for name, layer, channels in _strided(network, blur_stem):
        try:
            found = _found(network, name, layer, channels, blocks, in_place_of_pools)
        except ValueError as error:
            raise ValueError(f"strided layer {name or 'itself'!r}: {error}") from error
        (convs if isinstance(layer, Conv) else pools).append(found)
    return pools + convs


def _strided(network: nn.Module, stem: bool) -> Iterator[tuple[str, Any, int]]:
    """Strided layers by name, with their channels: their own word, or the last convolution's."""
    first = next((m for m in network.modules() if isinstance(m, Conv)), None)
    channels = 0
    for name, layer in network.named_modules():
        if isinstance(layer, Conv):
            channels = layer.out_channels
        if not isinstance(layer, Conv | nn.MaxPool2d | nn.AvgPool2d) or _stride(layer, name) == 1:
            continue
        if stem or layer is not first:
            yield name, layer, getattr(layer, "channels", channels)


def _found(
    network: nn.Module,
    name: str,
    layer: Any,
    channels: int,
    blocks: Mapping[str, nn.Module],
    in_place: bool,
) -> Place:
    """The place of one strided layer."""
    block = next((b for b in blocks if name.startswith(f"{b}." if b else "")), None)
    stride = _stride(layer, name)
    if block is None or not isinstance(layer, Conv):
        return Place(layer, stride, channels, block, _place(network, name, layer, in_place))
    set_blur = _place_in_block(blocks[block], layer)
    inside = layer in main_path(blocks[block])
    return Place(layer, stride, channels if inside else layer.in_channels, block, set_blur)


def _stride(layer: nn.Module, name: str) -> int:
    """The one stride of all axes."""
    stride = layer.stride if isinstance(layer.stride, tuple) else (layer.stride,)
    if len(set(stride)) > 1 or (len(stride) != 2 and stride[0] != 1 and isinstance(layer, Conv)):
        raise ValueError(f"strided layer {name!r}: BlurPool is for images and equal strides")
    return int(stride[0])  # type: ignore[arg-type]


def _place(network: nn.Module, name: str, layer: nn.Module, in_place: bool) -> Put:
    """What puts the blur of a pool, or of a strided convolution outside of residual blocks."""
    owner, _, leaf = name.rpartition(".")
    parent = network.get_submodule(owner)
    if isinstance(layer, nn.AvgPool2d) or (in_place and isinstance(layer, nn.MaxPool2d)):
        return partial(setattr, parent, leaf)
    if isinstance(layer, nn.MaxPool2d):
        return partial(_set_behind, parent, leaf)
    if isinstance(parent, nn.Sequential):
        return partial(_set_behind, parent, _last_activation(parent, leaf))
    if leaf == "conv1" and hasattr(parent, "maxpool"):
        return partial(_set_before, parent, "maxpool")
    raise ValueError("no place for a blur is known behind it")


def _place_in_block(block: nn.Module, layer: nn.Module) -> Put:
    """Before the next convolution of the main path, or before the shortcut's 1x1 convolution."""
    path = [m for m in main_path(block) if isinstance(m, Conv)]
    if layer not in path:
        if max(layer.kernel_size) > 1:  # type: ignore[arg-type]
            raise ValueError("a strided shortcut takes a blur before a 1x1 convolution only")
        return partial(pad_shortcut, block, (0, 0))
    place = path.index(layer) + 1
    if place == len(path):
        raise ValueError("no convolution of its block comes after it")
    return partial(_blur_input_of, path[place])


def _last_activation(sequence: nn.Sequential, leaf: str) -> str:
    """Name of the last activation between a convolution and the next layer of another kind."""
    names = list(dict(sequence.named_children()))
    found = None
    for name in names[names.index(leaf) + 1 :]:
        if not isinstance(sequence.get_submodule(name), _PASSED):
            break
        if isinstance(sequence.get_submodule(name), _ACTIVATIONS):
            found = name
    if found is None:
        raise ValueError("no activation follows it in its sequence")
    return found


def _set_behind(parent: nn.Module, leaf: str, blur: nn.Module) -> None:
    setattr(parent, leaf, nn.Sequential(parent.get_submodule(leaf), blur))


def _set_before(parent: nn.Module, leaf: str, blur: nn.Module) -> None:
    setattr(parent, leaf, nn.Sequential(blur, parent.get_submodule(leaf)))


def _blur_input_of(conv: nn.Module, blur: nn.Module) -> None:
    """Blurs what a convolution takes in; its keys stay, since the blur has no stored weights."""
    conv.add_module("blur", blur)
    conv.register_forward_pre_hook(_blur_first)


def _blur_first(conv: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The hook: `conv.blur` comes before the convolution."""
    return (conv.blur(inputs[0]), *inputs[1:])  # type: ignore[operator]
