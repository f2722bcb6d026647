"""Gauss and GFGP: limits of their windows, what guides them, and their parameter counts."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.pools.global_guided import (
    GaussPool,
    GuidedPool,
    gaussian,
    maximum_entropy,
)

X = torch.randn(4, 6, 8, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_a_share_of_zero_is_the_mean_and_so_are_windows_without_spread():
    share = torch.zeros(4, 6, 1, 1).double()
    torch.testing.assert_close(gaussian(X, share), F.avg_pool2d(X, 2))
    flat = F.interpolate(X, scale_factor=2)
    torch.testing.assert_close(gaussian(flat, share + 1, eps=0.0), X, rtol=0, atol=1e-7)
    torch.testing.assert_close(gaussian(flat, share + 1), X + 1e-3)


def test_a_gaussian_window_by_hand():
    x = torch.tensor([[[[1.0, 2], [4, 9]]]]).double()
    deviation = ((9 + 4 + 0 + 25) / 4) ** 0.5
    assert gaussian(x, torch.tensor(2.0)).item() == pytest.approx(4 + 2 * deviation)


def test_maximum_entropy_goes_from_the_mean_to_the_maximum():
    slope = torch.zeros(4, 6, 1, 1).double()
    torch.testing.assert_close(maximum_entropy(X, slope), F.avg_pool2d(X, 2))
    torch.testing.assert_close(maximum_entropy(X, slope + 1e4), F.max_pool2d(X, 2))
    window = torch.tensor([1.0, 2, 4, 9]).double()
    weight = (0.3 * window).exp()
    y = maximum_entropy(window.view(1, 1, 2, 2), torch.full((1, 1, 1, 1), 0.3).double())
    torch.testing.assert_close(y.squeeze(), (weight * window).sum() / weight.sum())


def _guide(pool, x, head):
    """A head's numbers at test time, from the global means."""
    hidden, out = pool.hidden, head
    features = x.mean((2, 3))
    z = F.relu(hidden[2](hidden[1](features[..., None, None])))
    return out[1](out[0](z))


@torch.no_grad()
def test_global_means_guide_the_pools():
    torch.manual_seed(0)
    gauss, guided = GaussPool(6).double().eval(), GuidedPool(6).double().eval()
    expected = gaussian(X, F.softplus(_guide(gauss, X, gauss.centre)))
    torch.testing.assert_close(gauss(X), expected)
    expected = maximum_entropy(X, _guide(guided, X, guided.slope).sigmoid())
    torch.testing.assert_close(guided(X), expected)
    guided.limit = "softplus"
    expected = maximum_entropy(X, F.softplus(_guide(guided, X, guided.slope)))
    torch.testing.assert_close(guided(X), expected)


@pytest.mark.parametrize(("noise", "over"), [("position", None), ("channel", (2, 3))])
@torch.no_grad()
def test_noise_is_drawn_in_training_only(noise, over):
    pool = GaussPool(6, noise=noise).double()
    torch.manual_seed(0)
    first, second = pool(X), pool(X)
    changed = (first - second) / F.avg_pool2d(X**2, 2).sub(F.avg_pool2d(X, 2) ** 2).sqrt()
    assert changed.abs().min() > 0
    if over:
        torch.testing.assert_close(changed, changed.mean(over, keepdim=True).expand_as(changed))
    else:
        assert changed.std((2, 3)).min() > 0.01
    pool.eval()
    assert torch.equal(pool(X), pool(X))
    quiet = GaussPool(6, noise="none").double()
    assert torch.equal(quiet(X), quiet(X))


@pytest.mark.parametrize("channels", [1, 6, 64])
def test_parameter_counts_follow_the_layers(channels):
    half = max(1, channels // 2)

    def linear(n, m):
        return n * m + m + 2 * m

    counts = [
        sum(p.numel() for p in kind(channels).parameters()) for kind in (GaussPool, GuidedPool)
    ]
    assert counts[0] == linear(channels, half) + 2 * linear(half, channels)
    assert counts[1] == linear(channels, half) + linear(half, channels)


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="unknown noise 'HWCN'; valid: position, channel, none"):
        GaussPool(4, noise="HWCN")
    with pytest.raises(ValueError, match="unknown limit 'relu'; valid: sigmoid, softplus"):
        GuidedPool(4, limit="relu")
