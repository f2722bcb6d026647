"""How exactly LiftUpPool gives back what LiftDownPool took in.

Zhao, chapter 3, equations 3.1 to 3.7: whatever predictor and updater are, running the lifting steps
backwards gives the input. Measured in double precision on random maps, even and odd, with random
weights far larger than those of a trained layer.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import nn

from thesisbench.layers.lift_pool import LiftDownPool2d
from thesisbench.layers.unpool import LiftUpPool2d

CHANNELS, SPREAD = 6, 3.0  # of the maps; of the weights
UNIT = 1e-15


class InverseError:
    """Largest differences, over sizes and draws, relative to the largest input, in 1e-15 of it.

    Metrics: `error` of up(down(x)) where LL is pooled; `details` of the bands of a map put together
    from recorded details and another LL, which must come back.

    Args:
        kernel: taps of predictor and updater.
        depthwise: one predictor and updater a channel; false for convolutions over all channels.
        sides: heights and widths of the maps, each with each.
        draws: of weights and maps for each pair.
    """

    def __init__(
        self,
        *,
        kernel: int = 5,
        depthwise: bool = True,
        sides: tuple[int, ...] = (7, 8, 16),
        draws: int = 5,
    ) -> None:
        self.kernel, self.depthwise = kernel, depthwise
        self.sides, self.draws = tuple(sides), draws

    @torch.no_grad()
    def __call__(self, context: object = None) -> dict[str, float]:
        """Measures it; the context of the step is not needed."""
        del context
        generator = torch.Generator().manual_seed(0)
        found = [
            self._errors(height, width, generator)
            for height, width in product(self.sides, self.sides)
            for _ in range(self.draws)
        ]
        errors, details = zip(*found, strict=True)
        return {"error": max(errors) / UNIT, "details": max(details) / UNIT}

    def _errors(self, height: int, width: int, generator: torch.Generator) -> tuple[float, float]:
        groups = None if self.depthwise else 1
        down = LiftDownPool2d(
            CHANNELS, kernel=self.kernel, bands=("LL",), groups1=groups, groups2=groups
        ).double()
        for weight in down.parameters():
            nn.init.normal_(weight, std=SPREAD, generator=generator)
        up = LiftUpPool2d(down)
        x = torch.randn(2, CHANNELS, height, width, dtype=torch.float64, generator=generator)
        low = down(x)
        error = float((up(low) - x).abs().max() / x.abs().max())
        other = torch.randn(low.shape, dtype=torch.float64, generator=generator)
        assert down.last_details is not None
        wanted = (other, *down.last_details)
        even = (height + height % 2, width + width % 2)  # what was padded comes back as well
        bands = down.lift(down.unlift(down.lift(x)._replace(LL=other), even))
        largest = max(float((a - b).abs().max()) for a, b in zip(bands, wanted, strict=True))
        return error, largest / float(x.abs().max())
