"""The fused lifting step: its values and gradients are those of automatic differentiation."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.ops.fused_lifting import lift_depthwise

CHANNELS = 3


def _plain(pair, predict, update):
    """Equations 3.2 to 3.7, with torch's tanh and its own gradients."""

    def apply(z, taps, factor):
        padding = (taps.shape[2] // 2, taps.shape[3] // 2)
        return torch.tanh(factor * F.conv2d(z, taps, padding=padding, groups=CHANNELS).relu())

    odd, even = pair.chunk(2)
    d = odd - apply(even, *predict)
    s = even + apply(d, *update)
    return s, d, (s - odd).square().mean(), d.square().mean()


def _inputs(axis, *, channels_last=False, dtype=torch.float64, kernel=5):
    pair = 2 * torch.randn(4, CHANNELS, 6, 7, dtype=dtype)
    if channels_last:
        pair = pair.contiguous(memory_format=torch.channels_last)
    shape = (CHANNELS, 1, 1, kernel) if axis == "width" else (CHANNELS, 1, kernel, 1)
    weights = [torch.randn(s, dtype=dtype) for s in (shape, (CHANNELS, 1, 1)) * 2]
    return [x.requires_grad_() for x in (pair, *weights)]


def _fused(pair, *weights):
    return lift_depthwise(pair, weights[:2], weights[2:])


@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("axis", ["width", "height"])
def test_it_equals_the_plain_step(axis, channels_last, kernel):
    inputs = _inputs(axis, channels_last=channels_last, kernel=kernel)
    ours, plain = _fused(*inputs), _plain(inputs[0], inputs[1:3], inputs[3:])
    of = [torch.randn_like(x) for x in ours]
    found, wanted = (torch.autograd.grad(x, inputs, of) for x in (ours, plain))
    for a, b in zip((*ours, *found), (*plain, *wanted), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("axis", ["width", "height"])
def test_gradients_are_those_of_differences(axis):
    assert torch.autograd.gradcheck(_fused, _inputs(axis, channels_last=axis == "width"))


@pytest.mark.parametrize("used", [[0], [1], [2], [3], [0, 3]])
def test_outputs_that_are_not_used_have_no_say(used):
    inputs = _inputs("height")
    ours, plain = _fused(*inputs), _plain(inputs[0], inputs[1:3], inputs[3:])
    found, wanted = (
        torch.autograd.grad(sum(x[i].sum() for i in used), inputs, materialize_grads=True)
        for x in (ours, plain)
    )
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_a_factor_of_zero_still_learns():
    inputs = _inputs("width")
    with torch.no_grad():
        inputs[2].zero_()
        inputs[4].zero_()
    odd, even = inputs[0].chunk(2)
    s, d, *_ = _fused(*inputs)
    assert torch.equal(s, even)
    assert torch.equal(d, odd)
    (s.square().sum() + d.square().sum()).backward()
    assert inputs[2].grad.abs().min() > 0
    assert inputs[4].grad.abs().min() > 0


def test_single_precision_rounds_as_it_should():
    inputs = _inputs("width", dtype=torch.float32)
    ours = _fused(*inputs)
    wide = [x.detach().double() for x in inputs]
    exact = _plain(wide[0], wide[1:3], wide[3:])
    for a, b in zip(ours, exact, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=2e-6)
