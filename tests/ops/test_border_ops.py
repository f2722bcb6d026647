"""Border arithmetic: sizes, paddings and use counts against slow references."""

import pytest
import torch
from torch import nn

from thesisbench.ops.border import (
    BORDERS,
    PAD_MODES,
    border_use_count,
    border_use_count_autograd,
    check_border,
    output_size,
    padding_amount,
)

KINDS = [("valid", "zeros"), ("full", "zeros"), *(("same", mode) for mode in PAD_MODES)]


def _defined(n, k, mode):
    return {"circular": k <= n, "reflect": k < n}.get(mode, True)


def _source(position, n, mode):
    """Input position behind a position of the padded line, None for a padded zero."""
    if 1 <= position <= n:
        return position
    if mode == "circular":
        return (position - 1) % n + 1
    if mode == "replicate":
        return 1 if position < 1 else n
    if mode == "reflect":
        return 2 - position if position < 1 else 2 * n - position
    return None


def _count_by_listing(n, k, border, mode):
    """Every (output, tap) pair in turn, as the definition of C(a) reads."""
    first, last = {"valid": (k + 1, n - k), "same": (1, n), "full": (1 - k, n + k)}[border]
    count = [0] * n
    for t in range(first, last + 1):
        for j in range(-k, k + 1):
            source = _source(t - j, n, mode)
            if source is not None:
                count[source - 1] += 1
    return count


@pytest.mark.parametrize(("border", "mode"), KINDS)
def test_use_count_equals_the_listing_and_the_gradient_of_a_convolution_of_ones(border, mode):
    for n in range(1, 21):
        for k in range(5):
            if not _defined(n, k, mode):
                continue
            closed = border_use_count(n, k, border, mode)
            assert closed.dtype == torch.long
            assert closed.tolist() == _count_by_listing(n, k, border, mode), (n, k)
            assert torch.equal(closed, border_use_count_autograd(n, k, border, mode)), (n, k)


def test_use_counts_of_the_thesis_by_hand():
    assert border_use_count(9, 1, "valid").tolist() == [1, 2, 3, 3, 3, 3, 3, 2, 1]
    assert border_use_count(9, 2, "valid").tolist() == [1, 2, 3, 4, 5, 4, 3, 2, 1]
    assert border_use_count(9, 2, "same").tolist() == [3, 4, 5, 5, 5, 5, 5, 4, 3]
    assert border_use_count(9, 3, "full").tolist() == [7] * 9
    assert border_use_count(9, 3, "same", "circular").tolist() == [7] * 9
    assert border_use_count(5, 1, "same", "reflect").tolist() == [2, 4, 3, 4, 2]
    assert border_use_count(5, 1, "same", "replicate").tolist() == [3, 3, 3, 3, 3]
    assert border_use_count(3, 2, "valid").tolist() == [0, 0, 0]  # the kernel does not fit


@pytest.mark.parametrize(("border", "mode"), KINDS)
def test_use_count_far_from_the_border_is_the_kernel_size(border, mode):
    n, k = 20, 3
    assert border_use_count(n, k, border, mode)[2 * k : n - 2 * k].eq(2 * k + 1).all()


@pytest.mark.parametrize("count", [border_use_count, border_use_count_autograd])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, 6, "same", "circular"), "k <= 5"),
        ((5, 5, "same", "reflect"), "k <= 4"),
        ((5, 1, "full", "circular"), "takes pad_mode 'zeros' only"),
        ((5, 1, "valid", "reflect"), "takes pad_mode 'zeros' only"),
        ((0, 1, "same", "zeros"), "n >= 1"),
    ],
)
def test_undefined_use_counts_are_refused(count, arguments, message):
    with pytest.raises(ValueError, match=message):
        count(*arguments)


@pytest.mark.parametrize("border", BORDERS)
def test_output_size_is_that_of_torch(border):
    for n in (5, 8, 32):
        for kernel in (1, 2, 3, 5):
            for stride in (1, 2, 3):
                for dilation in (1, 2):
                    if border == "same" and kernel % 2 == 0:
                        continue
                    if border == "valid" and dilation * (kernel - 1) >= n:
                        continue
                    pad = padding_amount(kernel, dilation, border)
                    conv = nn.Conv1d(1, 1, kernel, stride, pad, dilation, bias=False)
                    size = conv(torch.zeros(1, 1, n)).shape[-1]
                    asked = output_size(n, kernel, stride=stride, dilation=dilation, border=border)
                    assert asked == size


def test_output_size_follows_the_formulas_of_the_thesis():
    n, k = 32, 3
    sizes = [output_size(n, 2 * k + 1, border=border) for border in ("valid", "same", "full")]
    assert sizes == [n - 2 * k, n, n + 2 * k]
    assert output_size(3, 5, border="valid") == 0


def test_same_refuses_even_kernels():
    with pytest.raises(ValueError, match="odd kernel, got 4"):
        padding_amount(4, 1, "same")
    assert padding_amount(4, 2, "full") == 6


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("fool", "zeros"), "unknown border 'fool'; valid: valid, same, full"),
        (("same", "zero"), "unknown pad_mode 'zero'; valid: zeros, circular, reflect, replicate"),
    ],
)
def test_unknown_names_are_refused_with_the_valid_ones(names, message):
    with pytest.raises(ValueError, match=message):
        check_border(*names)
