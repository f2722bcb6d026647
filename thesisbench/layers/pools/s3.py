"""S3 pool: stochastic spatial sampling.

Zhao, chapter 3, Table 3.4 (S3Pool); paper: Zhai et al., CVPR 2017, arXiv 1611.05138. A maximum of
2x2 windows with stride 1, then a random subsampling: the map is cut into strips of `grid` rows, of
each of which half are drawn without replacement and kept in order; columns alike. At test time
draws give way to their expected position: the mean of 2x2 windows.

*Deviations*. The thesis does not give the grid: 4 is taken. One draw serves all
samples and channels of a batch. As for dropout, draws come from torch's generator, which a run
seeds.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.pools.even import pad_even


def draw_half(count: int, grid: int, device: torch.device | None = None) -> Int[Tensor, " half"]:
    """Half of the positions of each strip, in order.

    Args:
        count: number of positions, even.
        grid: positions of a strip, even; the last strip may be shorter.
        device: where to draw.
    """
    strip = torch.arange(count) // grid
    place = torch.arange(count) % grid
    kept = (2 * place < torch.bincount(strip)[strip]).nonzero()[:, 0].to(device)
    shuffled = (strip.to(device) + torch.rand(count, device=device)).argsort()
    return shuffled[kept].sort().values


class S3Pool(nn.Module):
    """Maximum with stride 1, then random (at test time average) subsampling.

    Args:
        channels: of the map; any.
        grid: rows of a strip of which half are drawn, even.

    Raises:
        ValueError: an odd grid.
    """

    def __init__(self, channels: int, *, grid: int = 4) -> None:  # noqa: ARG002
        super().__init__()
        if grid < 2 or grid % 2:
            raise ValueError(f"grid must be an even number of at least 2, got {grid}")
        self.grid = grid

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Pools a map of any sides."""
        x = pad_even(x)
        x = _highest(x)
        if not self.training:
            return F.avg_pool2d(x, 2)
        rows, columns = (draw_half(n, self.grid, x.device) for n in x.shape[2:])
        return x.index_select(2, rows).index_select(3, columns)

    def extra_repr(self) -> str:
        """Shows the grid."""
        return f"grid={self.grid}"


def _highest(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Maximum of each position and those right of, below and diagonally below it.

    Windows over the end hold what is left.
    """
    padded = F.pad(x, (0, 1, 0, 1), value=-torch.inf)
    return F.max_pool2d(padded, 2, stride=1)
