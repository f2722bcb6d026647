"""How convolutions treat the border, and how often each input position is used.

Kayhan, chapter 2: Table of conv types (V-Conv, S-Conv, F-Conv), equations 2.2-2.4 for the output
range and C_V, C_S, C_F for the use counts; arXiv 2003.07064. One axis at a time: positions are
numbered 1..n, the kernel has K = 2k+1 taps.

*Deviations*. The thesis prints the F-Conv range as [-k, n+k], which is n+2k+1 outputs; a map from
n to n+2k values needs [1-k, n+k], which is used here. The counts are given for every n (the
thesis: n >= 4k+1), and for the reflect and replicate paddings, which the thesis does not treat.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

Border = Literal["valid", "same", "full"]
PadMode = Literal["zeros", "circular", "reflect", "replicate"]
BORDERS: tuple[str, ...] = get_args(Border)
PAD_MODES: tuple[str, ...] = get_args(PadMode)


def check_border(border: str, pad_mode: str = "zeros") -> None:
    """Refuse unknown names, and paddings that a border type does not take.

    Args:
        border: valid, same or full.
        pad_mode: what the padded positions hold; only `same` takes another than zeros.

    Raises:
        ValueError: unknown name, or valid/full with a padding other than zeros.
    """
    if border not in BORDERS:
        raise ValueError(f"unknown border {border!r}; valid: {', '.join(BORDERS)}")
    if pad_mode not in PAD_MODES:
        raise ValueError(f"unknown pad_mode {pad_mode!r}; valid: {', '.join(PAD_MODES)}")
    if border != "same" and pad_mode != "zeros":
        raise ValueError(
            f"border {border!r} takes pad_mode 'zeros' only, got {pad_mode!r}; use border 'same'"
        )


def padding_amount(kernel: int, dilation: int, border: Border) -> int:
    """Padded positions per side of one axis.

    Args:
        kernel: number of taps K.
        dilation: distance between taps.
        border: valid pads nothing, same d(K-1)/2, full d(K-1).

    Raises:
        ValueError: unknown border, or an even kernel with `same` (it has no centre).

    >>> [padding_amount(3, 1, border) for border in ("valid", "same", "full")]
    [0, 1, 2]
    """
    check_border(border)
    reach = dilation * (kernel - 1)
    if border == "same" and kernel % 2 == 0:
        raise ValueError(f"border 'same' needs an odd kernel, got {kernel}; use valid or full")
    return {"valid": 0, "same": reach // 2, "full": reach}[border]


def output_size(n: int, kernel: int, *, stride: int = 1, dilation: int = 1, border: Border) -> int:
    """Length of the output of a convolution over n positions (0 where the kernel does not fit).

    >>> [output_size(32, 3, border=border) for border in ("valid", "same", "full")]
    [30, 32, 34]
    """
    room = n + 2 * padding_amount(kernel, dilation, border) - dilation * (kernel - 1)
    return max(0, (room - 1) // stride + 1)


def _check_count(n: int, k: int, border: str, pad_mode: str) -> None:
    """Refuse sizes for which a padding is not defined."""
    check_border(border, pad_mode)
    if n < 1 or k < 0:
        raise ValueError(f"need n >= 1 and k >= 0, got n={n}, k={k}")
    limit = {"circular": n, "reflect": n - 1}.get(pad_mode, k)
    if k > limit:
        raise ValueError(f"pad_mode {pad_mode!r} of {k} needs k <= {limit} at n={n}")


def _count_same_zeros(a: Int[Tensor, " n"], n: int, k: int) -> Int[Tensor, " n"]:
    """C_S: outputs of [1, n] within k of a."""
    return (a + k).clamp(max=n) - (a - k).clamp(min=1) + 1


def _count_reflected(a: Int[Tensor, " n"], k: int) -> Int[Tensor, " n"]:
    """Uses of the mirror image 2-a (left of position 1) of position a: outputs [1, k+2-a]."""
    return torch.where(a >= 2, (k + 2 - a).clamp(min=0), 0)


def _count_replicated(a: Int[Tensor, " n"], n: int, k: int) -> Int[Tensor, " n"]:
    """Uses of the k copies of position 1 left of it; the m-th nearest to -k serves min(m, n)."""
    return torch.where(a == 1, sum(min(m, n) for m in range(1, k + 1)), 0)


def border_use_count(
    n: int, k: int, border: Border, pad_mode: PadMode = "zeros"
) -> Int[Tensor, " n"]:
    """How many (output, tap) pairs use each input position, in closed form.

    C(a) = sum over outputs i and taps j in [-k, k] of [i = a - j]:

    - valid: min(a, n-a+1, 2k+1, n-2k), at least 0
    - same, zeros: min(n, a+k) - max(1, a-k) + 1
    - full, and same circular: 2k+1
    - same reflect, replicate: as zeros, plus the uses of the images of a in the padding

    Args:
        n: number of input positions.
        k: half width; the kernel has 2k+1 taps.
        border: valid, same or full.
        pad_mode: padding of `same`.

    Raises:
        ValueError: unknown names, or a padding wider than its input allows (circular: k <= n,
            reflect: k < n).

    >>> border_use_count(5, 1, "same").tolist()
    [2, 3, 3, 3, 2]
    """
    _check_count(n, k, border, pad_mode)
    a = torch.arange(1, n + 1)
    mirrored = n + 1 - a
    if border == "full" or pad_mode == "circular":
        return torch.full((n,), 2 * k + 1)  # C_F
    if border == "valid":
        return torch.minimum(a, mirrored).clamp(max=min(2 * k + 1, n - 2 * k)).clamp(min=0)  # C_V
    count = _count_same_zeros(a, n, k)  # C_S
    if pad_mode == "reflect":
        count = count + _count_reflected(a, k) + _count_reflected(mirrored, k)
    if pad_mode == "replicate":
        count = count + _count_replicated(a, n, k) + _count_replicated(mirrored, n, k)
    return count


def border_use_count_autograd(
    n: int, k: int, border: Border, pad_mode: PadMode = "zeros"
) -> Int[Tensor, " n"]:
    """The same counts as the gradient of the summed output of a convolution with ones.

    C = d(sum of y)/dx for f = 1, since each use of x[a] adds it once to the sum.

    Args:
        n: number of input positions.
        k: half width; the kernel has 2k+1 taps.
        border: valid, same or full.
        pad_mode: padding of `same`.

    Raises:
        ValueError: as in `border_use_count`.
    """
    _check_count(n, k, border, pad_mode)
    kernel = 2 * k + 1
    if output_size(n, kernel, border=border) == 0:
        return torch.zeros(n, dtype=torch.long)
    x = torch.ones(1, 1, n, dtype=torch.float64, requires_grad=True)
    pad = padding_amount(kernel, 1, border)
    mode = "constant" if pad_mode == "zeros" else pad_mode
    padded = F.pad(x, (pad, pad), mode=mode)
    y = F.conv1d(padded, torch.ones(1, 1, kernel, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    return gradient.flatten().round().long()
