"""Mixed and gated pools: their limits are the maximum and the average."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.pools.max_average import GatedPool, MixedPool

X = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))


def test_mixed_by_one_is_the_maximum_and_by_zero_the_average():
    assert torch.equal(MixedPool(3, share=1.0)(X), F.max_pool2d(X, 2))
    assert torch.equal(MixedPool(3, share=0.0)(X), F.avg_pool2d(X, 2))
    half = (F.max_pool2d(X, 2) + F.avg_pool2d(X, 2)) / 2
    torch.testing.assert_close(MixedPool(3)(X), half)


def test_gates_start_half_open_and_reach_both_limits():
    pool = GatedPool(3)
    torch.testing.assert_close(pool(X), MixedPool(3)(X))
    x = X.abs() + 1
    for sign, limit in ((100, F.max_pool2d(x, 2)), (-100, F.avg_pool2d(x, 2))):
        torch.nn.init.constant_(pool.mask, sign)
        torch.testing.assert_close(pool(x), limit)


def test_each_gate_sees_its_own_window_by_hand():
    pool = GatedPool(2)
    with torch.no_grad():
        pool.mask.copy_(torch.tensor([[1.0, -2], [0.5, 3]]))
    x = torch.randn(1, 2, 4, 4)
    y = pool(x)
    for c, i, j in ((0, 0, 0), (1, 1, 0), (1, 0, 1)):
        window = x[0, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        gate = 1 / (1 + torch.exp(-(pool.mask[0, 0] * window).sum()))
        expected = gate * window.max() + (1 - gate) * window.mean()
        torch.testing.assert_close(y[0, c, i, j], expected)


@pytest.mark.parametrize("kind", [MixedPool, GatedPool])
def test_one_share_or_mask_for_each_layer_or_channel(kind):
    counts = [sum(p.numel() for p in kind(5, per=per).parameters()) for per in ("layer", "channel")]
    assert counts[1] == 5 * counts[0]
    assert kind(3, per="channel")(X).shape == (2, 3, 3, 4)
    with pytest.raises(ValueError, match="unknown per 'sample'; valid: layer, channel"):
        kind(3, per="sample")
