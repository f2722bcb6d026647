"""Convolutions with a chosen border handling, and the rewriting of a plain network with them.

Kayhan, chapter 2 (V-Conv, S-Conv, F-Conv); arXiv 2003.07064; in d dimensions each type applies
per axis. "Spatial F-Conv" for video is `border="full", temporal_border="same"`.

*Deviations*. The released Red-Green code pads circular convolutions by 2, which its torch halved
to 1 per side; here circular pads (K-1)/2 per side, as the thesis means it. Residual networks need
padded shortcuts as well and are refused by `convert_border`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from torch import nn

from thesisbench.ops.border import Border, PadMode, check_border, padding_amount

Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d
_CONVS: dict[int, type[Conv]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_RESIDUAL = {
    f"{library}.{block}"
    for library in ("torchvision.models.resnet", "torchvision.models.video.resnet")
    for block in ("BasicBlock", "Bottleneck")
} | {"timm.models.resnet.BasicBlock", "timm.models.resnet.Bottleneck"}


def _per_axis(value: int | Sequence[int], dims: int, name: str) -> tuple[int, ...]:
    """A size for each axis, from one number or from `dims` numbers."""
    values = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(values) != dims:
        raise ValueError(f"{name} {values} has {len(values)} numbers for {dims} axes")
    return values


def border_padding(
    kernel: Sequence[int],
    dilation: Sequence[int],
    *,
    border: Border,
    pad_mode: PadMode = "zeros",
    temporal_border: Border | None = None,
) -> tuple[int, ...]:
    """Padding per side of each axis.

    Args:
        kernel: taps along each axis.
        dilation: distance between taps along each axis.
        border: valid, same or full.
        pad_mode: what the padded positions hold.
        temporal_border: border of the first of three axes, if it differs.

    Raises:
        ValueError: a temporal border without three axes; valid or full with a padding other than
            zeros; an even kernel with `same`.
    """
    borders = [border] * len(kernel)
    if temporal_border is not None:
        if len(kernel) != 3:
            raise ValueError(f"temporal_border needs 3 axes (dims=3), got {len(kernel)}")
        borders[0] = temporal_border
    for name in borders:
        check_border(name, pad_mode)
    return tuple(
        padding_amount(K, d, name) for K, d, name in zip(kernel, dilation, borders, strict=True)
    )


def conv_nd(
    in_channels: int,
    out_channels: int,
    kernel_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    bias: bool = True,
    border: Border = "same",
    pad_mode: PadMode = "zeros",
    dims: int = 2,
    temporal_border: Border | None = None,
) -> Conv:
    """A torch convolution over 1, 2 or 3 axes with a chosen border handling.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps along each axis (one number, or one an axis).
        stride: step between outputs.
        dilation: distance between taps.
        groups: channel groups.
        bias: whether a constant is added.
        border: valid (no padding), same ((K-1)/2 per side) or full (K-1 per side).
        pad_mode: what `same` pads with; valid and full take zeros only.
        dims: number of axes, 1 to 3.
        temporal_border: border of the time axis, the first of three.

    Raises:
        ValueError: unknown names, impossible combinations, even kernels with `same`.

    >>> conv_nd(3, 8, 3, border="full").padding
    (2, 2)
    """
    if dims not in _CONVS:
        raise ValueError(f"dims must be 1, 2 or 3, got {dims}")
    kernel = _per_axis(kernel_size, dims, "kernel_size")
    spacing = _per_axis(dilation, dims, "dilation")
    padding = border_padding(
        kernel, spacing, border=border, pad_mode=pad_mode, temporal_border=temporal_border
    )
    conv = cast(Callable[..., Conv], _CONVS[dims])
    return conv(
        in_channels,
        out_channels,
        kernel,
        stride=_per_axis(stride, dims, "stride"),
        padding=padding,
        dilation=spacing,
        groups=groups,
        bias=bias,
        padding_mode=pad_mode,
    )


def _refuse_residual(network: nn.Module) -> None:
    """Refuse networks whose shortcuts would no longer fit their main path."""
    for name, module in network.named_modules():
        names = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(module).__mro__}
        if names & _RESIDUAL:
            raise ValueError(
                f"{type(network).__name__} has a residual block at {name or 'its root'!r}: its "
                "shortcut needs padding too; convert_border takes networks without shortcuts"
            )


def _spatial_convs(network: nn.Module) -> dict[str, Conv]:
    """The convolutions with more than one tap, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and max(module.kernel_size) > 1
    }


def _set_padding(conv: Conv, padding: tuple[int, ...], pad_mode: PadMode) -> None:
    """Give a convolution another padding; parameters, hooks and subclass stay."""
    conv.padding = padding
    conv.padding_mode = pad_mode
    # What torch hands to F.pad for paddings other than zeros: last axis first, both sides.
    conv._reversed_padding_repeated_twice = [p for p in reversed(padding) for _ in range(2)]


def convert_border(
    network: nn.Module,
    *,
    border: Border,
    pad_mode: PadMode = "zeros",
    temporal_border: Border | None = None,
) -> int:
    """Change the border handling of all convolutions with more than one tap, in place.

    Parameters (the same tensors), state_dict keys, strides, dilations, hooks and subclasses stay;
    convolutions with one tap and everything else are left alone. Nothing changes if it raises.

    Args:
        network: a network without residual blocks.
        border: valid, same or full.
        pad_mode: what `same` pads with.
        temporal_border: border of the time axis of 3D convolutions.

    Returns:
        Number of convolutions set; 0 when the network has none.

    Raises:
        ValueError: residual blocks; a border that a convolution cannot have, with its name; a
            temporal border for a network without 3D convolutions.
    """
    check_border(border, pad_mode)
    _refuse_residual(network)
    convs = _spatial_convs(network)
    if (
        temporal_border is not None
        and convs
        and all(len(c.kernel_size) < 3 for c in convs.values())
    ):
        raise ValueError("temporal_border needs a network with 3D convolutions")
    paddings = {}
    for name, conv in convs.items():
        temporal = temporal_border if len(conv.kernel_size) == 3 else None
        try:
            paddings[name] = border_padding(
                conv.kernel_size,
                conv.dilation,
                border=border,
                pad_mode=pad_mode,
                temporal_border=temporal,
            )
        except ValueError as error:
            raise ValueError(f"convolution {name or 'itself'!r}: {error}") from error
    for name, conv in convs.items():
        _set_padding(conv, paddings[name], pad_mode)
    return len(convs)


class ConvertBorder:
    """`convert_border` with its options fixed, to be named in a configuration.

    Args:
        border: valid, same or full.
        pad_mode: what `same` pads with.
        temporal_border: border of the time axis of 3D convolutions.
    """

    batch_free = True

    def __init__(
        self,
        *,
        border: Border,
        pad_mode: PadMode = "zeros",
        temporal_border: Border | None = None,
    ) -> None:
        check_border(border, pad_mode)
        self.border: Border = border
        self.pad_mode: PadMode = pad_mode
        self.temporal_border: Border | None = temporal_border

    def __call__(self, network: nn.Module) -> int:
        """Convert a network in place; returns the number of convolutions set."""
        return convert_border(
            network,
            border=self.border,
            pad_mode=self.pad_mode,
            temporal_border=self.temporal_border,
        )
