"""What all pools share: maps of odd side repeat their last row or column.

Zhao, chapter 3, leaves odd sides open. So each pool gives maps of ceil(h/2) times ceil(w/2).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def pad_even(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Repeats the last row and the last column of a map where their number is odd."""
    for axis in (2, 3):
        if x.shape[axis] % 2:
            x = torch.cat([x, x.narrow(axis, x.shape[axis] - 1, 1)], dim=axis)
    return x
