"""Maximum, average and Haar pools on numbers written out."""

import torch

from thesisbench.layers.pools.even import pad_even
from thesisbench.layers.pools.plain import AvgPool, HaarPool, MaxPool

X = torch.tensor([[[[1.0, 2, 3], [4, 6, 5], [-1, -3, 7]]]])


def test_windows_by_hand_with_odd_sides():
    assert MaxPool(1)(X).tolist() == [[[[6, 5], [-1, 7]]]]
    assert AvgPool(1)(X).tolist() == [[[[3.25, 4], [-2, 7]]]]
    assert HaarPool(1)(X).tolist() == [[[[6.5, 8], [-4, 14]]]]


def test_odd_sides_repeat_their_last_row_and_column():
    padded = pad_even(X)
    expected = torch.nn.functional.pad(X, (0, 1, 0, 1), mode="replicate")
    assert torch.equal(padded, expected)
    assert pad_even(padded) is padded
    for pool in (MaxPool(1), AvgPool(1), HaarPool(1)):
        assert torch.equal(pool(X), pool(padded))


def test_haar_is_the_low_pass_band_of_an_orthonormal_transform():
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    low = torch.tensor([1.0, 1.0], dtype=torch.float64) / 2**0.5
    rows = low[0] * x[:, :, 0::2] + low[1] * x[:, :, 1::2]
    band = low[0] * rows[..., 0::2] + low[1] * rows[..., 1::2]
    torch.testing.assert_close(HaarPool(3)(x), band)
    torch.testing.assert_close(HaarPool(3)(x), 2 * AvgPool(3)(x))
