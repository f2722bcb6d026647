"""Alignment of shortcuts: the published numbers, and small chains against counted positions."""

import itertools

import pytest

from thesisbench.ops.alignment import (
    Window,
    centre_times_two,
    receptive_field,
    shortcut_padding,
    total_stride,
)


def _conv(stride=1, padding=2):
    return Window(2, stride, padding)


@pytest.mark.parametrize(
    ("main", "shortcut", "padding"),
    [
        ([_conv(), _conv()], [], 2),  # basic block, full
        ([_conv(2), _conv()], [Window(0, 2)], 3),
        ([Window(0), _conv(), Window(0)], [], 1),  # bottleneck, full
        ([Window(0), _conv(2), Window(0)], [Window(0, 2)], 1),
        ([_conv(), Window(2, 2, 2), _conv()], [Window(2, 2, 2), Window(0)], 3),  # with blur
        ([_conv(padding=1), _conv(padding=1)], [], 0),  # same
        ([_conv(padding=0), _conv(padding=0)], [], -2),  # valid: cropped
        ([_conv(2, 0), _conv(padding=0)], [Window(0, 2)], -3),
    ],
)
def test_shortcuts_get_the_released_paddings_and_centred_crops(main, shortcut, padding):
    assert shortcut_padding(main, shortcut) == padding


def _seen(chain, output):
    """First and last input position that an output of a chain sees, layer by layer."""
    first = last = output
    for window in reversed(chain):
        first = first * window.stride - window.padding
        last = last * window.stride - window.padding + window.reach
    return first, last


def _size(n, chain):
    for window in chain:
        n = (n + 2 * window.padding - window.reach - 1) // window.stride + 1
    return n


CHAINS = [
    [Window(2, s1, p1), *blur, Window(2, 1, p2)]
    for s1, p1, p2 in itertools.product((1, 2), range(3), range(3))
    for blur in ([], [Window(2, 2, 1)], [Window(2, 2, 2)])
]


@pytest.mark.parametrize("chain", CHAINS)
def test_centre_stride_and_field_are_those_of_the_positions_an_output_sees(chain):
    first, last = _seen(chain, 0)
    assert first + last == centre_times_two(chain)
    assert last - first + 1 == receptive_field(chain)
    assert _seen(chain, 5)[0] - first == 5 * total_stride(chain)


@pytest.mark.parametrize("chain", CHAINS)
def test_aligned_paths_see_the_same_centres_and_have_the_same_size_for_every_input(chain):
    shortcut = [Window(0, total_stride(chain))]
    padding = shortcut_padding(chain, shortcut)
    first, last = _seen(chain, 3)
    assert first + last == 2 * (3 * total_stride(chain) - padding)
    sizes = [(_size(n, chain), _size(n + 2 * padding, shortcut)) for n in range(40, 60)]
    assert all(main == other for main, other in sizes)


def test_paths_that_cannot_be_aligned_are_refused():
    with pytest.raises(ValueError, match="different strides, 2 and 1"):
        shortcut_padding([_conv(2)], [])
    with pytest.raises(ValueError, match="half a position"):
        shortcut_padding([_conv(2)], [Window(1, 2)])


def test_a_shortcut_stays_as_built_where_every_layer_keeps_its_place():
    assert shortcut_padding([_conv(2, 1), _conv(1, 1)], [Window(1, 2)]) == 0
