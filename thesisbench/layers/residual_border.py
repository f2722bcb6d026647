"""Shortcuts of residual blocks, padded or cropped so that they fit their main path.

Kayhan, chapter 2, "F-Conv in residual networks"; arXiv 2003.07064. Works on the blocks of
torchvision's and timm's ResNets, and on those of torchvision's video ResNets, axis by axis. The
amounts are those of `thesisbench.ops.alignment`: what the two paths do decides, no table of blocks.

*Deviations*. The thesis speaks of padding for full convolutions only; valid convolutions crop the
shortcut by the same rule. Where the released code has layers for padding, the padding here belongs
to the module in `downsample`, which adds no key to the state_dict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.ops.alignment import Window, shortcut_padding

Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d
Planned = Mapping[nn.Module, tuple[int, ...]]
_POOLS = (nn.MaxPool2d, nn.AvgPool2d)
_LIBRARIES = ("torchvision.models.resnet", "torchvision.models.video.resnet", "timm.models.resnet")
_BLOCKS = {f"{library}.{block}" for library in _LIBRARIES for block in ("BasicBlock", "Bottleneck")}
_DENSE = {"torchvision.models.densenet._DenseBlock", "timm.models.densenet.DenseBlock"}


class PadShortcut(nn.Sequential):
    """The layers of a shortcut, behind zeros put around its input (or positions cut off).

    Args:
        layers: layers by name; none for the identity.
        amount: positions per side of each axis; negative ones are cut off.
    """

    def __init__(self, layers: Mapping[str, nn.Module], amount: Sequence[int]) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.set_amount(amount)

    def set_amount(self, amount: Sequence[int]) -> None:
        """Changes the positions per side of each axis."""
        self.sides = [p for p in reversed(amount) for _ in range(2)]  # as F.pad takes them

    def forward(self, x: Tensor) -> Tensor:
        """Pads or crops, then applies the layers."""
        return super().forward(F.pad(x, self.sides) if any(self.sides) else x)

    def extra_repr(self) -> str:
        """Shows the amounts beside the layers."""
        return f"sides={self.sides}"


def _is_one_of(module: nn.Module, names: set[str]) -> bool:
    """Whether a module is of one of these classes; by name, so that no library is imported."""
    return any(f"{cls.__module__}.{cls.__qualname__}" in names for cls in type(module).__mro__)


def residual_blocks(network: nn.Module) -> dict[str, nn.Module]:
    """The residual blocks of a network, by name."""
    return {n: m for n, m in network.named_modules() if _is_one_of(m, _BLOCKS)}


def refuse_dense(network: nn.Module, border: str) -> None:
    """Refuse networks that concatenate maps of layers before and after a convolution.

    Raises:
        ValueError: a dense block, with its name.
    """
    for name, module in network.named_modules():
        if _is_one_of(module, _DENSE):
            raise ValueError(
                f"dense block {name!r} concatenates maps of all its layers, which border "
                f"{border!r} would make differently large; choose same, circular, reflect or "
                "replicate, or a network without dense blocks"
            )


def layers_in_order(module: nn.Module) -> Iterator[nn.Module]:
    """Convolutions, pools and blurs in the order in which they are applied."""
    if isinstance(module, Conv):
        yield from (m for m in module.children() if hasattr(m, "filt_size"))  # blurs its input
        yield module
    elif isinstance(module, _POOLS) or hasattr(module, "filt_size"):
        yield module
    else:
        for child in module.children():
            yield from layers_in_order(child)


def main_path(block: nn.Module) -> list[nn.Module]:
    """The layers of a block's main path that have a size: convolutions, pools, blurs.

    Raises:
        ValueError: attention with convolutions over positions, which no padding fits.
    """
    found: list[nn.Module] = []
    for name, child in block.named_children():
        if name == "se":
            if any(isinstance(m, Conv) and max(m.kernel_size) > 1 for m in child.modules()):
                raise ValueError("its attention convolves over positions or channels")
        elif name != "downsample":
            found.extend(layers_in_order(child))
    return found


def conv_padding(conv: Conv) -> tuple[int, ...]:
    """Padding per side of each axis, also where torch keeps it as a word."""
    if not isinstance(conv.padding, str):
        return tuple(conv.padding)
    pairs = zip(conv.kernel_size, conv.dilation, strict=True)
    return tuple(d * (K - 1) // 2 if conv.padding == "same" else 0 for K, d in pairs)


def _windows(layer: Any, dims: int, planned: Planned) -> list[Window]:
    """A layer along each axis, with its planned padding where there is one."""
    if isinstance(layer, Conv):
        padding = planned.get(layer, conv_padding(layer))
        reach = [d * (K - 1) for K, d in zip(layer.kernel_size, layer.dilation, strict=True)]
        return [Window(*w) for w in zip(reach, layer.stride, padding, strict=True)]
    now = layer.padding
    padding = planned.get(layer, (now[0] if isinstance(now, list) else now,) * dims)
    kernel = layer.filt_size if hasattr(layer, "filt_size") else layer.kernel_size
    return [Window(kernel - 1, layer.stride, p) for p in padding]


def _shortcut_amount(block: nn.Module, planned: Planned) -> tuple[int, ...]:
    """Padding of a block's shortcut per side of each axis."""
    shortcut = block.downsample
    if not isinstance(shortcut, nn.Sequential | None):
        raise ValueError(f"its shortcut is a {type(shortcut).__name__}, not a Sequential")
    main = main_path(block)
    dims = next(len(layer.kernel_size) for layer in main if isinstance(layer, Conv))
    paths = (main, [] if shortcut is None else list(layers_in_order(shortcut)))
    by_axis = [[_windows(layer, dims, planned) for layer in path] for path in paths]
    return tuple(
        shortcut_padding(*([layer[axis] for layer in path] for path in by_axis))
        for axis in range(dims)
    )


def plan_shortcuts(network: nn.Module, planned: Planned) -> dict[nn.Module, tuple[int, ...]]:
    """Padding of the shortcut of each residual block; changes nothing.

    Args:
        network: any network.
        planned: paddings per side and axis that layers are going to have, where these change.

    Raises:
        ValueError: a block whose shortcut cannot be aligned, with its name.
    """
    amounts = {}
    for name, block in residual_blocks(network).items():
        try:
            amounts[block] = _shortcut_amount(block, planned)
        except ValueError as error:
            raise ValueError(f"residual block {name or 'itself'!r}: {error}") from error
    return amounts


def pad_shortcut(block: nn.Module, amount: Sequence[int], first: nn.Module | None = None) -> None:
    """Give a block's shortcut its padding; parameters and state_dict keys stay.

    Args:
        block: a residual block.
        amount: positions per side of each axis; negative ones are cut off.
        first: a layer without state put in front of the shortcut's layers.
    """
    shortcut = block.downsample
    if isinstance(shortcut, PadShortcut) and first is None:
        shortcut.set_amount(amount)
    elif first is not None or any(amount):
        layers = {} if shortcut is None else dict(shortcut.named_children())  # type: ignore[union-attr]
        padded = PadShortcut({"blur": first, **layers} if first else layers, amount)
        padded.training = block.training
        block.downsample = padded
