"""Convolutions with a chosen border handling, and the rewriting of networks with them.

Kayhan, chapter 2 (V-Conv, S-Conv, F-Conv); arXiv 2003.07064; in d dimensions each type applies
per axis. "Spatial F-Conv" for video is `border="full", temporal_border="same"`.

*Deviations*. The released Red-Green code pads circular convolutions by 2, which its torch halved
to 1 per side; here circular pads (K-1)/2 per side, as the thesis means it. Max pools keep their own
padding (with the least value) under every `same` border, so nets with the ImageNet stem are not
exactly equivariant to cyclic shifts; those with the CIFAR stem are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, cast, runtime_checkable

from torch import nn

from thesisbench.layers.border_pools import plan_pools, set_pool
from thesisbench.layers.conv_border import border_padding, plan_convs, set_padding, spatial_convs
from thesisbench.layers.residual_border import Conv, pad_shortcut, plan_shortcuts, refuse_dense
from thesisbench.ops.border import Border, PadMode, check_border

_CONVS: dict[int, type[Conv]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


@runtime_checkable
class FollowsBorder(Protocol):
    """A layer other than a convolution whose padding follows the border of the network."""

    def amount(self, border: Border) -> int:
        """Padding per side under a border."""

    def follow_border(self, border: Border, pad_mode: PadMode) -> None:
        """Takes the padding that goes with a border."""


def _per_axis(value: int | Sequence[int], dims: int, name: str) -> tuple[int, ...]:
    """A size for each axis, from one number or from `dims` numbers."""
    values = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(values) != dims:
        raise ValueError(f"{name} {values} has {len(values)} numbers for {dims} axes")
    return values


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


def convert_border(
    network: nn.Module,
    *,
    border: Border,
    pad_mode: PadMode = "zeros",
    temporal_border: Border | None = None,
) -> int:
    """Change the border handling of all convolutions with more than one tap, in place.

    Shortcuts of residual blocks are padded (valid: cropped) to fit, padded max pools of images get
    the form of `border_pools`, blurs of `blur_pool` follow. Parameters (the same tensors),
    state_dict keys, strides, dilations, hooks and subclasses stay; convolutions with one tap, those
    with `keeps_border = True` and everything else are left alone. Nothing changes if it raises.

    Args:
        network: a network, its residual blocks of torchvision or timm.
        border: valid, same or full.
        pad_mode: what `same` pads with.
        temporal_border: border of the time axis of 3D convolutions.

    Returns:
        Number of convolutions set; 0 when the network has none.

    Raises:
        ValueError: dense blocks, unless `same`; a border that a convolution, a pool or a shortcut
            cannot have, with its name; a temporal border for a network without 3D convolutions.
    """
    check_border(border, pad_mode)
    if border != "same":
        refuse_dense(network, border)
    convs = spatial_convs(network)
    if temporal_border and convs and all(len(c.kernel_size) < 3 for c in convs.values()):
        raise ValueError("temporal_border needs a network with 3D convolutions")
    planned = plan_convs(convs, border, pad_mode, temporal_border)
    pools = plan_pools(network, border)
    blurs = [module for module in network.modules() if isinstance(module, FollowsBorder)]
    planned_blurs = {cast(nn.Module, blur): (blur.amount(border),) * 2 for blur in blurs}
    shortcuts = plan_shortcuts(network, {**planned, **planned_blurs})
    for conv in convs.values():
        set_padding(conv, planned[conv], pad_mode)
    for pool, form in pools.items():
        set_pool(pool, form)
    for blur in blurs:
        blur.follow_border(border, pad_mode)
    for block, amount in shortcuts.items():
        pad_shortcut(block, amount)
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
