"""WeightAlign of weights: its equations, its invariances, and timm's layer as an oracle."""

import math

import pytest
import torch
from timm.layers.std_conv import ScaledStdConv2d

from thesisbench.ops.align_weight import align_weight, standardise_weight

SHAPES = [(4, 6), (3, 2, 5), (8, 3, 3, 3), (6, 1, 5, 5), (5, 4, 1, 1), (2, 3, 2, 3, 2)]


def _weight(shape, seed=0):
    torch.manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64) * 0.3 + 0.2


def _slow(w, gamma, center, scale, scale_mult, eps):
    """Equation 5.10 one filter and one weight at a time."""
    out = torch.empty_like(w)
    for o, row in enumerate(w.flatten(1).tolist()):
        n = len(row)
        mean = sum(row) / n
        var = sum((v - mean) ** 2 for v in row) / n + eps
        below = scale_mult * math.sqrt(n / 2 * var) if scale else 1
        values = [gamma[o].item() * (v - mean * center) / below for v in row]
        out[o] = torch.tensor(values, dtype=w.dtype).reshape(w.shape[1:])
    return out


def test_a_filter_worked_out_by_hand():
    w = torch.tensor([[1.0, 2.0, 3.0, 6.0]]).double()  # mean 3, variance 14 / 4, times n / 2 7
    gamma, twice = torch.tensor([2.0]).double(), torch.tensor([[-4.0, -2.0, 0.0, 6.0]]).double()
    assert torch.allclose(align_weight(w, gamma), twice / math.sqrt(7))
    assert torch.equal(align_weight(w, gamma, scale=False), twice)
    scaled = align_weight(w, gamma, center=False)
    assert torch.allclose(scaled, 2 * w / math.sqrt(7))


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(("scale", "scale_mult"), [(True, 1.0), (True, 0.2), (True, 4), (False, 1)])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_components_equal_a_loop_over_weights(shape, center, scale, scale_mult):
    w, gamma = _weight(shape), torch.linspace(-1, 2, shape[0], dtype=torch.float64)
    options = {"center": center, "scale": scale, "scale_mult": scale_mult, "eps": 1e-3}
    assert torch.allclose(
        align_weight(w, gamma, **options), _slow(w, gamma, **options), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_filters_have_mean_zero_and_standard_deviation_sqrt_two_by_n(shape):
    w = align_weight(_weight(shape), torch.ones(shape[0], dtype=torch.float64)).flatten(1)
    assert w.mean(1).abs().max() < 1e-12
    wanted = torch.tensor(math.sqrt(2 / w.shape[1]), dtype=torch.float64)
    assert torch.allclose(w.std(1, correction=0), wanted, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_scale_and_shift_of_a_filter_change_nothing_and_its_sign_is_kept(shape):
    w, gamma = _weight(shape), torch.ones(shape[0], dtype=torch.float64)
    aligned = align_weight(w, gamma, eps=0)
    assert torch.allclose(align_weight(7 * w - 3, gamma, eps=0), aligned, atol=1e-12)
    assert torch.allclose(align_weight(-w, gamma, eps=0), -aligned, atol=1e-12)


def _gradient(w, gamma, direction, **options):
    w = w.clone().requires_grad_()
    (align_weight(w, gamma, eps=0, **options) * direction).sum().backward()
    return w.grad


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_keep_mean_and_size_of_a_filter_and_shrink_as_it_grows(shape):
    w, gamma = _weight(shape), torch.full((shape[0],), 1.5, dtype=torch.float64)
    direction = _weight(shape, seed=1)
    gradient = _gradient(w, gamma, direction)
    rows, centred = gradient.flatten(1), w.flatten(1) - w.flatten(1).mean(1, keepdim=True)
    assert rows.sum(1).abs().max() < 1e-12
    assert (rows * centred).sum(1).abs().max() < 1e-12
    assert rows.abs().sum() > 1e-3 or w[0].numel() == 2
    assert torch.allclose(_gradient(5 * w, gamma, direction), gradient / 5, atol=1e-13)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_gradients_are_those_of_finite_differences(center, scale):
    w = _weight((3, 2, 3)).requires_grad_()
    gamma = _weight((3,), seed=2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *a: align_weight(*a, center=center, scale=scale), (w, gamma)
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_without_components_it_is_gamma_times_the_weight(shape):
    w, gamma = _weight(shape), _weight(shape[:1], seed=1)
    wanted = w * gamma.reshape(-1, *[1] * (len(shape) - 1))
    assert torch.equal(align_weight(w, gamma, center=False, scale=False), wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_weight_align_is_weight_standardisation_times_gamma_sqrt_two_by_n(shape):
    w, gamma = _weight(shape), _weight(shape[:1], seed=1)
    factor = (gamma * math.sqrt(2 / w[0].numel())).reshape(-1, *[1] * (len(shape) - 1))
    assert torch.allclose(align_weight(w, gamma), factor * standardise_weight(w), atol=1e-13)
    rows = standardise_weight(w).flatten(1)
    assert torch.allclose(rows.var(1, correction=0), torch.ones(()).double(), rtol=1e-4)


@pytest.mark.parametrize("scale_mult", [0.2, 2, 4])
def test_scale_mult_divides_the_weights(scale_mult):
    w, gamma = _weight((4, 3, 3, 3)), torch.ones(4, dtype=torch.float64)
    other = align_weight(w, gamma, scale_mult=scale_mult)
    assert torch.allclose(other * scale_mult, align_weight(w, gamma), atol=1e-13)
    with pytest.raises(ValueError, match="scale_mult=2 needs scale=True"):
        align_weight(w, gamma, scale=False, scale_mult=2)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_equals_scaled_standardised_convolution_of_timm_under_the_stated_constants(groups):
    torch.manual_seed(3)
    layer = ScaledStdConv2d(6, 12, 3, groups=groups, gamma=math.sqrt(2), eps=1e-10).double()
    layer.gain.data.uniform_(0.5, 2)
    x = torch.randn(2, 6, 9, 8, dtype=torch.float64)
    kernel = align_weight(layer.weight, layer.gain.flatten(), eps=1e-10)
    ours = torch.nn.functional.conv2d(x, kernel, layer.bias, padding=1, groups=groups)
    assert (ours - layer(x)).abs().max() < 1e-9
    ours.square().sum().backward()
    gradients = [layer.weight.grad.clone(), layer.gain.grad.clone()]
    layer.zero_grad()
    layer(x).square().sum().backward()
    for ours, theirs in zip(gradients, (layer.weight.grad, layer.gain.grad), strict=True):
        assert (ours - theirs).abs().max() < 1e-9


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (4, 3, 2, 3, 2)])
def test_the_layout_in_memory_stays_and_changes_nothing(shape):
    w, gamma = _weight(shape), _weight(shape[:1], seed=1)
    layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    aligned = align_weight(w.to(memory_format=layout), gamma)
    assert aligned.is_contiguous(memory_format=layout)
    assert torch.allclose(aligned, align_weight(w, gamma), atol=1e-13)


def test_one_gamma_may_serve_all_filters():
    w = _weight((4, 3, 3))
    one, four = (torch.full((n,), 0.7, dtype=torch.float64) for n in (1, 4))
    for center in (True, False):
        aligned = align_weight(w, one, center=center)
        assert torch.equal(aligned, align_weight(w, four, center=center))
