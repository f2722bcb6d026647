"""LiftDownPool: against loops over the thesis's equations, its exact inverse, its regularisers."""

import copy
import io
from itertools import product

import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.lift_pool import BANDS, FixedLift2d, LiftDownPool2d
from thesisbench.layers.lift_step import LiftStep
from thesisbench.ops.lifting import Bands

F64 = torch.float64


def _layer(channels=4, **given):
    """A layer with large weights, so that its filters are far from linear."""
    layer = LiftDownPool2d(channels, **given).double()
    with torch.no_grad():
        for weight in layer.parameters():
            weight.copy_(2 * torch.randn_like(weight))
    return layer


def _filter(part, z, groups):
    """Tanh, 1x1 convolution, ReLU, convolution of K taps, along the last axis (equation 3.4)."""
    kernel = part.taps.shape[-1]
    flat = z.permute(0, 2, 1, 3).flatten(0, 1)  # b c h w -> (b h) c w
    padded = F.pad(flat, ((kernel - 1) // 2, kernel // 2))
    hidden = F.conv1d(padded, part.taps, groups=groups[0]).relu()
    out = F.conv1d(hidden, part.mix[:, :, None], groups=groups[1]).tanh()
    return out.unflatten(0, (z.shape[0], z.shape[2])).permute(0, 2, 1, 3)


def _lifted_1d(step, x, groups):
    """s, d and both regularisers along the last axis (equations 3.2, 3.3, 3.6, 3.7)."""
    odd, even = x[..., 0::2], x[..., 1::2]
    d = odd - _filter(step.predict, even, groups)
    s = even + _filter(step.update, d, groups)
    return s, d, (s - odd).square().mean(), d.square().mean()


def _lifted_2d(layer, x, groups):
    """The four bands and the two regularisers of a map of even sides."""
    s, d, *first = _lifted_1d(layer.step, x, groups)
    ll, lh, *second = _lifted_1d(layer.step, s.mT, groups)
    hl, hh, *third = _lifted_1d(layer.step, d.mT, groups)
    means = [sum(values) / 3 for values in zip(first, second, third, strict=True)]
    return Bands(ll.mT, lh.mT, hl.mT, hh.mT), *means


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("groups", [(4, 4), (1, 1), (2, 4), (4, 1)])
def test_bands_and_regularisers_are_those_of_the_equations(kernel, groups):
    layer = _layer(kernel=kernel, groups1=groups[0], groups2=groups[1], weight_u=0.5, weight_p=2)
    x = torch.randn(3, 4, 6, 10, dtype=F64)
    wanted, c_u, c_p = _lifted_2d(layer, x, groups)
    found = layer.lift(x)
    for name, a, b in zip(BANDS, found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13, msg=name)
    torch.testing.assert_close(layer(x), sum(wanted), rtol=0, atol=1e-13)
    torch.testing.assert_close(layer.extra_losses(), {"lift_u": 0.5 * c_u, "lift_p": 2 * c_p})


def test_gradients_are_those_of_the_equations():
    layer, x = _layer(), torch.randn(2, 4, 8, 6, dtype=F64, requires_grad=True)
    inputs = [x, *layer.parameters()]
    pooled = layer(x)
    losses = layer.extra_losses()
    ours = pooled.square().sum() + losses["lift_u"] + losses["lift_p"]
    bands, c_u, c_p = _lifted_2d(layer, x, (4, 4))
    plain = sum(bands).square().sum() + 0.01 * c_u + 0.1 * c_p
    found, wanted = torch.autograd.grad(ours, inputs), torch.autograd.grad(plain, inputs)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [(8, 6), (7, 6), (8, 5), (3, 7), (1, 1)])
@pytest.mark.parametrize("groups", [{}, {"groups1": 1, "groups2": 1}, {"groups1": 2}])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6, 7])
def test_bands_go_back_to_the_map_exactly(kernel, groups, size):
    layer, x = _layer(kernel=kernel, **groups), 3 * torch.randn(2, 4, *size, dtype=F64)
    back = layer.unlift(layer.lift(x), size)
    assert back.shape == x.shape
    torch.testing.assert_close(back, x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", [2, 5])
def test_details_survive_a_replaced_approximation(kernel):
    """down(up(y, details)) is (y, details)."""
    layer, wanted = _layer(kernel=kernel), Bands(*torch.randn(4, 2, 4, 5, 3, dtype=F64))
    found = layer.lift(layer.unlift(wanted, (10, 6)))
    torch.testing.assert_close(torch.stack(found), torch.stack(wanted), rtol=0, atol=1e-12)


@pytest.mark.parametrize("which", ["taps", "mix"])
def test_without_predictor_and_updater_it_is_plain_subsampling(which):
    layer = LiftDownPool2d(3, bands=["LL"])
    with torch.no_grad():
        for part in (layer.step.predict, layer.step.update):
            getattr(part, which).zero_()
    x = torch.randn(2, 3, 8, 6)
    assert torch.equal(layer(x), x[..., 1::2, 1::2])
    assert torch.equal(layer.lift(x).HH, x[..., 0::2, 0::2])


@pytest.mark.parametrize("bands", [b for n in (1, 2) for b in product(BANDS, repeat=n)])
def test_any_bands_are_summed_or_put_side_by_side(bands):
    if len(set(bands)) < len(bands):
        with pytest.raises(ValueError, match="each once"):
            LiftDownPool2d(4, bands=bands)
        return
    summed, side_by_side = _layer(bands=bands), _layer(bands=bands, reduce="concat")
    side_by_side.load_state_dict(summed.state_dict())
    x = torch.randn(2, 4, 5, 6, dtype=F64)
    every = summed.lift(x)._asdict()
    torch.testing.assert_close(summed(x), sum(every[b] for b in bands), rtol=0, atol=0)
    wanted = torch.cat([every[b] for b in bands], dim=1)
    torch.testing.assert_close(side_by_side(x), wanted, rtol=0, atol=0)


def test_both_directions_have_the_same_parameters():
    """K taps and one factor a channel, for P and for U: nothing else, and both are transposed."""
    layer = _layer(kernel=5)
    assert sum(p.numel() for p in layer.parameters()) == 2 * 4 * (5 + 1)
    x = torch.randn(2, 4, 6, 6, dtype=F64)
    s, d = layer.step(torch.cat([x[..., 0::2], x[..., 1::2]]), -1)[:2]
    turned = layer.step(torch.cat([x.mT[..., 0::2, :], x.mT[..., 1::2, :]]), -2)
    torch.testing.assert_close((s, d), (turned.s.mT, turned.d.mT), rtol=0, atol=1e-14)


def test_the_published_count_of_resnet50_is_that_of_depthwise_filters():
    """25.58 M: on the stem and on the inputs of the three strided stages, 25,557,032 without."""
    layers = [LiftDownPool2d(c) for c in (64, 256, 512, 1024)]
    added = sum(p.numel() for layer in layers for p in layer.parameters())
    assert added == 12 * (64 + 256 + 512 + 1024)
    assert round((25_557_032 + added) / 1e6, 2) == 25.58
    dense = LiftDownPool2d(64, groups1=1, groups2=1)
    assert sum(p.numel() for p in dense.parameters()) == 2 * 64 * 64 * 6


def test_regularisers_belong_to_training():
    layer, x = LiftDownPool2d(2), torch.randn(1, 2, 4, 4)
    assert layer.extra_losses() == {}
    layer(x)
    assert set(layer.extra_losses()) == {"lift_u", "lift_p"}
    assert all(value.requires_grad for value in layer.extra_losses().values())
    layer.eval()(x)
    assert layer.extra_losses() == {}


def test_a_weight_of_zero_leaves_its_regulariser_out():
    x = torch.randn(1, 2, 4, 4)
    for weights, names in (((0, 1), {"lift_p"}), ((1, 0), {"lift_u"}), ((0, 0), set())):
        layer = LiftDownPool2d(2, weight_u=weights[0], weight_p=weights[1])
        layer(x)
        assert set(layer.extra_losses()) == names


def test_regularisers_of_a_batch_are_the_means_of_its_samples():
    layer, x = _layer(), torch.randn(6, 4, 5, 7, dtype=F64)

    def losses(part):
        layer(part)
        return torch.stack(list(layer.extra_losses().values()))

    each = torch.stack([losses(sample) for sample in x.split(1)])
    torch.testing.assert_close(losses(x), each.mean(0))


def test_no_sample_sees_another():
    layer, x = _layer(), torch.randn(5, 4, 7, 6, dtype=F64)
    each = torch.cat([layer(sample) for sample in x.split(1)])
    torch.testing.assert_close(layer(x), each, rtol=0, atol=1e-14)
    assert LiftDownPool2d.batch_free is FixedLift2d.batch_free is LiftStep.batch_free is True


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_memory_layout_stays_and_changes_nothing(size):
    layer, x = _layer(), torch.randn(2, 4, *size, dtype=F64)
    last = x.contiguous(memory_format=torch.channels_last)
    plain, other = layer(x), layer(last)
    torch.testing.assert_close(plain, other, rtol=0, atol=1e-14)
    assert plain.is_contiguous()
    assert other.is_contiguous(memory_format=torch.channels_last)
    assert plain.shape == (2, 4, (size[0] + 1) // 2, (size[1] + 1) // 2)


def test_mixed_precision_leaves_it_exact():
    layer, x = LiftDownPool2d(3), torch.randn(2, 3, 8, 8)
    plain = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), plain)
        coarse = x.bfloat16()
        back = layer.unlift(layer.lift(coarse), (8, 8))
    torch.testing.assert_close(back, coarse.float(), rtol=0, atol=1e-6)


def test_half_the_precision_is_trained_with():
    layer = LiftDownPool2d(3).bfloat16()
    pooled = layer(torch.randn(2, 3, 8, 8, dtype=torch.bfloat16))
    pooled.sum().backward()
    assert pooled.dtype == torch.bfloat16
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


def test_a_layer_that_has_run_can_be_copied_and_saved():
    layer, x = _layer(), torch.randn(1, 4, 4, 4, dtype=F64)
    layer.keep_details = True
    wanted = layer(x)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for other in (copy.deepcopy(layer), torch.load(file, weights_only=False)):
        assert other.last_details is None
        assert other.extra_losses() == {}
        assert torch.equal(other(x), wanted)


def test_it_has_a_shape_without_memory():
    with torch.device("meta"):
        layer, x = LiftDownPool2d(8), torch.empty(2, 8, 7, 6)
        assert layer(x).shape == (2, 8, 4, 3)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"bands": ["LL", "HX"]}, "bands must be some of LL, LH, HL, HH"),
        ({"bands": []}, "bands must be some of"),
        ({"reduce": "mean"}, "unknown reduce 'mean'; valid: sum, concat"),
        ({"kernel": 0}, "kernel must be at least 1, got 0"),
        ({"groups1": 3}, "groups1=3 and groups2=4 must divide the 4 channels"),
    ],
)
def test_what_is_not_valid_is_named(given, text):
    with pytest.raises(ValueError, match=text):
        LiftDownPool2d(4, **given)


@pytest.mark.parametrize("border", ["periodic", "replicate"])
@pytest.mark.parametrize("size", [(8, 6), (7, 5), (2, 2), (1, 3)])
def test_fixed_lifting_goes_back(size, border):
    layer, x = FixedLift2d(border=border), torch.randn(2, 3, *size, dtype=F64)
    torch.testing.assert_close(layer.unlift(layer.lift(x), size), x, rtol=0, atol=1e-12)


def test_fixed_lifting_keeps_means_and_finds_no_detail_in_planes():
    layer, x = FixedLift2d(border="periodic"), torch.randn(2, 3, 8, 6, dtype=F64)
    torch.testing.assert_close(layer(x).mean((2, 3)), x.mean((2, 3)), rtol=0, atol=1e-14)
    rows, columns = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="ij")
    bands = FixedLift2d().lift((3 * rows - 2 * columns + 1)[None, None])
    for name in ("LH", "HL", "HH"):
        assert getattr(bands, name)[..., 1:-1, 1:-1].abs().max() < 1e-5, name
    constant = FixedLift2d().lift(torch.full((1, 1, 6, 6), 4.0))
    assert [float(band.square().sum()) for band in constant] == [9 * 16, 0, 0, 0]


def test_fixed_lifting_refuses_another_border():
    with pytest.raises(ValueError, match="unknown border 'zeros'; valid: periodic, replicate"):
        FixedLift2d(border="zeros")
