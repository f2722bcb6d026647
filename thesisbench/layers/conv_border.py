"""The padding of convolutions under a border handling: planned, set, and read off a network.

Kayhan, chapter 2 (V-Conv, S-Conv, F-Conv); arXiv 2003.07064. `thesisbench.layers.border` puts these
steps together.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from thesisbench.layers.residual_border import Conv, conv_padding
from thesisbench.ops.border import Border, PadMode, check_border, padding_amount


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


def spatial_convs(network: nn.Module) -> dict[str, Conv]:
    """The convolutions with more than one tap, by name; not those with `keeps_border`."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, Conv)
        and max(module.kernel_size) > 1
        and not getattr(module, "keeps_border", False)
    }


def network_border(network: nn.Module) -> tuple[Border, PadMode]:
    """The border handling that a network's convolutions have; same where they differ."""
    found = {_conv_border(conv) for conv in spatial_convs(network).values()}
    return found.pop() if len(found) == 1 else ("same", "zeros")


def _conv_border(conv: Conv) -> tuple[Border, PadMode]:
    """The border of a convolution, read off its padding."""
    padded = zip(conv_padding(conv), conv.kernel_size, conv.dilation, strict=True)
    shares = {p / (d * (K - 1)) for p, K, d in padded if K > 1}
    border: Border = "full" if shares == {1.0} else "valid" if shares == {0.0} else "same"
    return border, conv.padding_mode


def set_padding(conv: Conv, padding: tuple[int, ...], pad_mode: PadMode) -> None:
    """Gives a convolution another padding; parameters, hooks and subclass stay.

    Args:
        conv: the convolution, changed in place.
        padding: positions per side of each axis.
        pad_mode: what they hold.
    """
    conv.padding = padding
    conv.padding_mode = pad_mode
    # What torch hands to F.pad for paddings other than zeros: last axis first, both sides.
    conv._reversed_padding_repeated_twice = [p for p in reversed(padding) for _ in range(2)]


def plan_convs(
    convs: dict[str, Conv], border: Border, pad_mode: PadMode, temporal_border: Border | None
) -> dict[nn.Module, tuple[int, ...]]:
    """Padding of each convolution under a border; changes nothing.

    Args:
        convs: convolutions by name.
        border: valid, same or full.
        pad_mode: what `same` pads with.
        temporal_border: border of the time axis of 3D convolutions.

    Raises:
        ValueError: a border that a convolution cannot have, with its name.
    """
    planned: dict[nn.Module, tuple[int, ...]] = {}
    for name, conv in convs.items():
        temporal = temporal_border if len(conv.kernel_size) == 3 else None
        try:
            planned[conv] = border_padding(
                conv.kernel_size,
                conv.dilation,
                border=border,
                pad_mode=pad_mode,
                temporal_border=temporal,
            )
        except ValueError as error:
            raise ValueError(f"convolution {name or 'itself'!r}: {error}") from error
    return planned
