"""The use counts of Figures 2.2 and 2.3 as numbers.

Kayhan, chapter 2, figures 2.2 and 2.3, equations C_V, C_S, C_F. The figures print no numbers; the
counts are analytic.
"""

from __future__ import annotations

from thesisbench.ops.border import Border, PadMode, border_use_count


class UseCountTable:
    """How often a convolution uses each of n positions in a row.

    Args:
        border: valid, same or full.
        pad_mode: what `same` pads with.
        n: number of positions.
        k: half width of the kernel (2k+1 taps).
    """

    def __init__(
        self, *, border: Border, pad_mode: PadMode = "zeros", n: int = 9, k: int = 1
    ) -> None:
        self.counts = border_use_count(n, k, border, pad_mode)

    def __call__(self, context: object = None) -> dict[str, float]:
        """Counts by position: c1, c2, ..., cn.

        Args:
            context: of the step; an analysis needs nothing from it.

        >>> UseCountTable(border="valid", n=4)()
        {'c1': 1.0, 'c2': 2.0, 'c3': 2.0, 'c4': 1.0}
        """
        del context
        return {f"c{a}": float(count) for a, count in enumerate(self.counts.tolist(), start=1)}
