"""Where the outputs of a chain of layers lie on its input, and the padding that aligns a shortcut.

Kayhan, chapter 2, "F-Conv in residual networks"; arXiv 2003.07064. One axis at a time. A layer
with K taps, dilation d, stride s and padding p has its output o centred on input s*o + c with
c = d(K-1)/2 - p. In a chain, strides multiply and each c counts in units of the strides before it.

A shortcut whose input is padded by P has its centre moved by -P. So P = c(shortcut) - c(main) puts
both paths on the same input positions, which is the thesis's padding for full convolutions and a
centred crop (P < 0) for valid ones; both paths then have the same extent, hence the same size. The
numbers of the released code follow: 2 for a basic block, 3 before a strided shortcut, 1 for a
bottleneck.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Window(NamedTuple):
    """A layer along one axis.

    Attributes:
        reach: positions from its first to its last tap, d(K-1).
        stride: step between outputs.
        padding: padded positions per side.
    """

    reach: int
    stride: int = 1
    padding: int = 0


def total_stride(chain: Sequence[Window]) -> int:
    """Input positions between two outputs of a chain."""
    stride = 1
    for window in chain:
        stride *= window.stride
    return stride


def receptive_field(chain: Sequence[Window]) -> int:
    """Input positions that one output of a chain sees.

    >>> receptive_field([Window(2), Window(2, stride=2), Window(2)])
    9
    """
    return 1 + sum(w.reach * total_stride(chain[:i]) for i, w in enumerate(chain))


def centre_times_two(chain: Sequence[Window]) -> int:
    """Twice the input position c on which output 0 is centred (c may lie between positions).

    >>> centre_times_two([Window(2, padding=2), Window(2, padding=2)])  # two full 3-tap layers
    -4
    """
    return sum(total_stride(chain[:i]) * (w.reach - 2 * w.padding) for i, w in enumerate(chain))


def shortcut_padding(main: Sequence[Window], shortcut: Sequence[Window]) -> int:
    """Positions per side by which the input of a shortcut is padded (cropped where negative).

    Args:
        main: layers of the main path.
        shortcut: layers of the shortcut; none for the identity.

    Raises:
        ValueError: the paths have different strides, or are half a position apart.

    >>> shortcut_padding([Window(2, 2, 2), Window(2, 1, 2)], [Window(0, 2)])
    3
    """
    if total_stride(main) != total_stride(shortcut):
        strides = f"{total_stride(main)} and {total_stride(shortcut)}"
        raise ValueError(f"main path and shortcut have different strides, {strides}")
    if all(w.reach == 2 * w.padding for w in main):
        return 0  # each layer keeps its place: the shortcut fits as it was built
    apart = centre_times_two(shortcut) - centre_times_two(main)
    if apart % 2:
        raise ValueError("main path and shortcut are half a position apart: no padding aligns them")
    return apart // 2
