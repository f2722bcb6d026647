"""Maps brought to a size by cutting positions off, or adding zeros, equally on both sides.

Full convolutions enlarge maps, valid ones shrink them (Kayhan, chapter 2), by as much on each side
as on the other; so what is left lies where the map of `same` convolutions lies, to within one
position where an odd number has to go.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)


def centred(
    maps: Float[Tensor, "b c h w"], size: Sequence[int]
) -> Float[Tensor, "b c rows columns"]:
    """The middle of maps, or maps in the middle of zeros.

    Args:
        maps: the maps.
        size: rows and columns wanted.

    >>> import torch
    >>> centred(torch.ones(1, 1, 3, 3), (1, 5))[0, 0]
    tensor([[0., 1., 1., 1., 0.]])
    """
    sides: list[int] = []
    for axis, wanted in ((3, size[1]), (2, size[0])):
        missing = wanted - maps.shape[axis]
        before = -(-missing // 2) if missing < 0 else missing // 2
        sides += [before, missing - before]
    return F.pad(maps, sides) if any(sides) else maps
