"""Detail-preserving pool: average and detail as its limits, windows by hand."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.pools.detail_preserving import DetailPreservingPool, detail_preserving

X = torch.randn(2, 3, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _pooled(x=X, alpha=0.0, exponent=1.0, **options):
    numbers = {"alpha": torch.tensor(alpha).double(), "exponent": torch.tensor(exponent).double()}
    return detail_preserving(x, **numbers, **options)


@pytest.mark.parametrize("ratio", [True, False])
@pytest.mark.parametrize("upward", [True, False])
def test_lambda_zero_is_the_average(ratio, upward):
    y = _pooled(exponent=0.0, ratio=ratio, upward=upward, alpha=0.7)
    torch.testing.assert_close(y, F.avg_pool2d(X, 2))


def test_a_large_alpha_is_the_average_as_well():
    torch.testing.assert_close(_pooled(alpha=1e9), F.avg_pool2d(X, 2), rtol=0, atol=1e-6)


def test_a_large_lambda_keeps_the_detail():
    x = torch.tensor([[[[0.0, 0, 1, 2], [0, 8, -5, 2]]]]).double()
    torch.testing.assert_close(_pooled(x, exponent=40.0), torch.tensor([[[[8.0, -5]]]]).double())
    upward = _pooled(x, exponent=40.0, upward=True)
    torch.testing.assert_close(upward, torch.tensor([[[[8.0, 2]]]]).double())


@pytest.mark.parametrize("ratio", [True, False])
def test_a_window_by_hand(ratio):
    window = torch.tensor([1.0, 2, 4, 9]).double()
    detail = (window - 4) ** 2  # 9, 4, 0, 25
    if ratio:
        reward = ((detail + 1e-3) / (38 / 4 + 1e-3)) ** 1.5
    else:
        reward = (detail + 1e-6).sqrt() ** 1.5
    weight = 0.3 + reward
    y = _pooled(window.view(1, 1, 2, 2), alpha=0.3, exponent=1.5, ratio=ratio)
    torch.testing.assert_close(y.squeeze(), (weight * window).sum() / weight.sum())


def test_the_layer_learns_both_numbers_for_each_channel():
    pool = DetailPreservingPool(3).double()
    torch.testing.assert_close(pool(X), _pooled(alpha=1.0, exponent=1.0))
    pool(X).square().sum().backward()
    for parameter in pool.parameters():
        assert parameter.shape == (3, 1, 1)
        assert (parameter.grad != 0).all()
