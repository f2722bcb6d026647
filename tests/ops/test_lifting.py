"""The lifting scheme: by hand, against loops, its inverse, and the facts of CDF(2,2)."""

import pytest
import torch

from thesisbench.ops.lifting import (
    HEIGHT,
    WIDTH,
    Bands,
    from_phases,
    lift,
    lift_2d,
    linear_predict,
    linear_update,
    merge,
    pad_to_even,
    split,
    to_phases,
    unlift,
    unlift_2d,
)

F64 = torch.float64


def _odd_predict(z, dim=-1):
    """Something that no linear filter is: it mixes neighbours and channels."""
    return torch.sin(3 * z.roll(1, dim)) + z.abs().mean(1, keepdim=True)


def _odd_update(z, dim=-1):
    return torch.cos(z.roll(-1, dim)) * z.pow(2).clamp(max=2)


def test_odd_samples_come_first_counted_from_one():
    even, odd = split(torch.arange(1, 7))
    assert even.tolist() == [2, 4, 6]
    assert odd.tolist() == [1, 3, 5]


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_merge_undoes_split_along_every_axis(dim):
    x = torch.arange(4 * 6 * 8).reshape(4, 6, 8)
    even, odd = split(x, dim)
    index = torch.arange(0, x.shape[dim], 2)
    assert torch.equal(odd, x.index_select(dim, index))
    assert torch.equal(even, x.index_select(dim, index + 1))
    assert torch.equal(merge(even, odd, dim), x)


def test_an_odd_number_of_samples_is_refused():
    with pytest.raises(ValueError, match="5 samples has no equal halves"):
        split(torch.zeros(3, 5))


def test_a_step_by_hand():
    even, odd = torch.tensor([2.0, 4.0]), torch.tensor([1.0, 7.0])
    s, d = lift(even, odd, lambda z: 3 * z, lambda z: z / 2)
    assert d.tolist() == [1 - 6, 7 - 12]
    assert s.tolist() == [2 - 2.5, 4 - 2.5]


def test_any_predictor_and_updater_are_inverted():
    even, odd = torch.randn(2, 3, 2, 5, 8, dtype=F64)
    back = unlift(*lift(even, odd, _odd_predict, _odd_update), _odd_predict, _odd_update)
    torch.testing.assert_close(torch.stack(back), torch.stack([even, odd]), rtol=0, atol=1e-12)


def test_phases_by_hand():
    x = torch.tensor([[1.0, 2], [3, 4]])[None, None]
    for channels_last in (False, True):
        assert to_phases(x, channels_last=channels_last).flatten().tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize("channels_last", [False, True])
def test_phases_are_pairs_of_pairs_and_go_back(channels_last):
    x = torch.randn(3, 5, 6, 8)
    phases = to_phases(x, channels_last=channels_last)
    odd_columns, even_columns = phases.chunk(2)
    assert torch.equal(odd_columns, torch.cat([x[:, :, 0::2, 0::2], x[:, :, 1::2, 0::2]]))
    assert torch.equal(even_columns, torch.cat([x[:, :, 0::2, 1::2], x[:, :, 1::2, 1::2]]))
    assert torch.equal(from_phases(phases), x)
    wanted = torch.channels_last if channels_last else torch.contiguous_format
    assert phases.is_contiguous(memory_format=wanted)


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 6), (4, 7), (1, 1), (3, 5)])
def test_odd_sides_repeat_their_last_row_and_column(height, width):
    x = torch.randn(2, 3, height, width)
    padded = pad_to_even(x)
    assert padded.shape[-2:] == (height + height % 2, width + width % 2)
    for i in range(padded.shape[-2]):
        for j in range(padded.shape[-1]):
            assert torch.equal(padded[..., i, j], x[..., min(i, height - 1), min(j, width - 1)])


def _step(pair, dim):
    odd, even = pair.chunk(2)
    return lift(even, odd, lambda z: _odd_predict(z, dim), lambda z: _odd_update(z, dim))


def _inverse_step(s, d, dim):
    even, odd = unlift(s, d, lambda z: _odd_predict(z, dim), lambda z: _odd_update(z, dim))
    return torch.cat([odd, even])


def _plainly(x):
    """Along the width, then both halves along the height, as the thesis says it."""

    def along(x, dim):
        even, odd = split(x, dim)
        return lift(even, odd, lambda z: _odd_predict(z, dim), lambda z: _odd_update(z, dim))

    s, d = along(x, WIDTH)
    return Bands(*along(s, HEIGHT), *along(d, HEIGHT))


@pytest.mark.parametrize("channels_last", [False, True])
def test_sub_bands_are_those_of_two_plain_steps_and_go_back(channels_last):
    x = torch.randn(2, 3, 6, 10, dtype=F64)
    bands = lift_2d(to_phases(x, channels_last=channels_last), _step)
    for name, band, wanted in zip(Bands._fields, bands, _plainly(x), strict=True):
        torch.testing.assert_close(band, wanted, rtol=0, atol=1e-14, msg=name)
    back = from_phases(unlift_2d(bands, _inverse_step))
    torch.testing.assert_close(back, x, rtol=0, atol=1e-12)


def _cdf(x, border):
    """s and d of CDF(2,2)."""
    even, odd = split(x)
    predict, update = (lambda z, f=f: f(z, -1, border) for f in (linear_predict, linear_update))
    return lift(even, odd, predict, update)


def test_cdf_by_hand():
    s, d = _cdf(torch.tensor([1.0, 5, 2, 8]), "periodic")
    assert d.tolist() == [1 - (8 + 5) / 2, 2 - (5 + 8) / 2]
    assert s.tolist() == [5 + (-5.5 - 4.5) / 4, 8 + (-4.5 - 5.5) / 4]
    s, d = _cdf(torch.tensor([1.0, 5, 2, 8]), "replicate")
    assert d.tolist() == [1 - 5, 2 - (5 + 8) / 2]
    assert s.tolist() == [5 + (-4 - 4.5) / 4, 8 + (-4.5 - 4.5) / 4]


@pytest.mark.parametrize("border", ["periodic", "replicate"])
def test_cdf_is_the_formula_of_appendix_a(border):
    """d_k = x_{2k+1} - (x_{2k} + x_{2k+2}) / 2 and s_k = x_{2k} + (d_{k-1} + d_k) / 4, from 1."""
    x = torch.randn(16, dtype=F64)
    s, d = _cdf(x, border)
    at = {i + 1: float(value) for i, value in enumerate(x)}  # x_1 ... x_16
    detail = {k: at[2 * k + 1] - (at[2 * k] + at[2 * k + 2]) / 2 for k in range(1, 8)}
    for k, value in detail.items():
        assert float(d[k]) == pytest.approx(value, abs=1e-14)
    for k in range(2, 8):
        wanted = at[2 * k] + (detail[k - 1] + detail[k]) / 4
        assert float(s[k - 1]) == pytest.approx(wanted, abs=1e-14)


@pytest.mark.parametrize("border", ["periodic", "replicate"])
def test_a_ramp_has_no_details_inside(border):
    s, d = _cdf(torch.arange(20, dtype=F64) * 3 - 7, border)
    assert d[1:].abs().max() < 1e-13
    assert d[0].abs() > 1
    inside = torch.arange(1, 20, 2, dtype=F64)[1:-1] * 3 - 7
    torch.testing.assert_close(s[1:-1], inside, rtol=0, atol=1e-13)


def test_the_mean_is_kept():
    x = torch.randn(5, 32, dtype=F64)
    s, _ = _cdf(x, "periodic")
    torch.testing.assert_close(s.mean(1), x.mean(1), rtol=0, atol=1e-14)
    assert (x[:, 1::2].mean(1) - x.mean(1)).abs().max() > 1e-3, "subsampling does not keep it"


@pytest.mark.parametrize("border", ["periodic", "replicate"])
def test_a_constant_has_no_details(border):
    s, d = _cdf(torch.full((12,), 2.5), border)
    assert torch.equal(d, torch.zeros(6))
    assert torch.equal(s, torch.full((6,), 2.5))
