"""The fixed CDF(2,2) lifting as a pool of a network.

Zhao, appendix A; see `thesisbench.layers.lift_pool`. A fixed wavelet beside the learned lifting.

*Deviations*. The thesis has no such row; its low-pass band is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from thesisbench.layers.lift_pool import FixedLift2d
from thesisbench.ops.lifting import LiftBorder


class FixedLiftPool(FixedLift2d):
    """`FixedLift2d`, summed over bands, made as all pools are.

    Args:
        channels: of the map; any.
        border: periodic, or replicate for the samples next to the border.
        bands: those that are summed, of LL, LH, HL and HH.

    Raises:
        ValueError: bands or a border that are not valid.
    """

    def __init__(
        self,
        channels: int,  # noqa: ARG002  (all pools are made of channels)
        *,
        border: LiftBorder = "replicate",
        bands: Sequence[str] = ("LL",),
    ) -> None:
        super().__init__(border=border, bands=bands)
