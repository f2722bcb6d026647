"""Numbers of Figures 3.4 and 3.5 from which objects were recognised in which view.

Kayhan, chapter 3. The differences of Figure 3.5 are hidden minus whole image, in points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

MODES = ("bg", "fg")
EXTREMES = 3  # best and worst classes of Figure 3.5


@dataclass(frozen=True)
class Recognised:
    """Which objects of an image were recognised.

    Attributes:
        hidden: by mode (bg, fg), number of pixels and object. full: in the whole image.
        labels: classes of the objects.
    """

    hidden: Bool[Tensor, "2 p n"]
    full: Bool[Tensor, " n"]
    labels: Int[Tensor, " n"]


def as_columns(found: Recognised) -> Int[Tensor, "n c"]:
    """A row for each object of an image: class, whole image, then bg and fg by pixels."""
    hidden = found.hidden.flatten(0, 1).T.long()
    return torch.cat([found.labels.long()[:, None], found.full.long()[:, None], hidden], dim=1)


def curve_metrics(
    found: Sequence[Recognised], pixels: Sequence[int], names: Sequence[str]
) -> tuple[dict[str, float], dict[str, dict[str, list[str]]]]:
    """Metrics of `ContextCurve`, and the names of the best and worst classes.

    Args:
        found: of each image.
        pixels: the steps.
        names: of the classes.
    """
    if not sum(len(one.labels) for one in found):
        return {}, {}
    labels = torch.cat([one.labels for one in found])
    full = torch.cat([one.full for one in found]).double()
    hidden = torch.cat([one.hidden for one in found], dim=2).double()
    metrics = {"full": 100 * float(full.mean())}
    for mode, rows in zip(MODES, hidden, strict=True):
        shares = (100 * rows.mean(1)).tolist()
        metrics |= {f"{mode}_{p}": share for p, share in zip(pixels, shares, strict=True)}
    by_class = {int(k): 100 * full[labels == k].mean() for k in labels.unique()}
    metrics |= {f"full_{names[k]}": float(share) for k, share in by_class.items()}
    extremes = {}
    for mode, rows in zip(MODES, hidden[:, 0], strict=True):
        key = f"{mode}_{pixels[0]}_minus_full"
        lost = {k: float(100 * rows[labels == k].mean() - by_class[k]) for k in by_class}
        ranked = sorted(lost, key=lambda k: -lost[k])
        ends = {"best": ranked[:EXTREMES], "worst": ranked[::-1][:EXTREMES]}
        metrics |= {f"{key}_{names[k]}": value for k, value in lost.items()}
        for end, chosen in ends.items():
            metrics |= {f"{key}_{end}_{i}": lost[k] for i, k in enumerate(chosen, start=1)}
        extremes[key] = {end: [names[k] for k in chosen] for end, chosen in ends.items()}
    return metrics, extremes
