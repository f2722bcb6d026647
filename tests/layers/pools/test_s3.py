"""S3 pool: what is drawn, and its expected position at test time."""

import itertools

import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.pools.s3 import S3Pool, draw_half


@pytest.mark.parametrize(("count", "grid"), [(2, 2), (12, 4), (10, 4), (6, 8), (14, 2)])
def test_half_of_each_strip_is_drawn_in_order(count, grid):
    torch.manual_seed(0)
    seen = set()
    for _ in range(60):
        drawn = draw_half(count, grid)
        assert drawn.tolist() == sorted(set(drawn.tolist()))
        for start in range(0, count, grid):
            end = min(start + grid, count)
            assert 2 * ((drawn >= start) & (drawn < end)).sum() == end - start
        seen |= set(drawn.tolist())
    assert seen == set(range(count)), "each position has its chance"


def test_positions_are_drawn_equally_often():
    torch.manual_seed(0)
    counts = torch.stack([torch.bincount(draw_half(8, 4), minlength=8) for _ in range(2000)])
    assert (counts.float().mean(0) - 0.5).abs().max() < 0.05  # 4.5 standard deviations


def _running_maximum(x):
    padded = F.pad(x, (0, 1, 0, 1), mode="replicate")
    return F.max_pool2d(padded, 2, stride=1)


def test_test_mode_is_the_mean_of_the_running_maximum():
    x = torch.randn(2, 3, 6, 10)
    expected = F.avg_pool2d(_running_maximum(x), 2)
    assert torch.equal(S3Pool(3).eval()(x), expected)


def test_training_keeps_rows_and_columns_of_the_running_maximum():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 6)
    y, highest = S3Pool(3, grid=2)(x), _running_maximum(x)
    choices = [
        highest[:, :, [a, 2 + b]][..., [c, 2 + d, 4 + e]]
        for a, b, c, d, e in itertools.product((0, 1), repeat=5)
    ]
    assert sum(torch.equal(y, choice) for choice in choices) == 1
    torch.manual_seed(1)
    again = S3Pool(3, grid=2)(x)
    torch.manual_seed(1)
    assert torch.equal(S3Pool(3, grid=2)(x), again), "draws follow torch's generator"


def test_an_odd_grid_is_refused():
    with pytest.raises(ValueError, match="even number of at least 2, got 3"):
        S3Pool(1, grid=3)
