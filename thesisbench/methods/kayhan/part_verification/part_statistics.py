"""What a data set of parts says without any network: shares of states, and where parts usually are.

Kayhan, chapter 4, Figure 4.3 (states of training and test parts) and Figure 4.4 (an ellipse for
each part with its mean place, width and height).

*Deviations*. Photographs vary in size, so places and sizes are shares of the image's width and
height; the thesis does not say how it averages. All parts count for Figure 4.4, missing ones with
their likely place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from thesisbench.data.detection_files import BoxSplit
from thesisbench.errors import UserError
from thesisbench.pictures import mask_colours, save_picture
from thesisbench.step import StepContext

STATES = ("intact", "damaged", "absent", "occluded")
SIDE, PEN = 320, 0.08  # pixels of the picture; width of the lines, in radii


@dataclass(frozen=True)
class PartStatistics:
    """Counts of states, and mean boxes.

    Attributes:
        counts: of each part and state.
        ellipses: mean x and y of the centre, mean width and height of each part, as shares of the
            image; NaN of a part that there is none of.
    """

    counts: Int[Tensor, "k four"]
    ellipses: Float[Tensor, "k 4"]

    @property
    def shares(self) -> Float[Tensor, " four"]:
        """Shares of the states of all parts."""
        return self.counts.sum(0) / self.counts.sum()

    @property
    def part_shares(self) -> Float[Tensor, "k four"]:
        """Shares of the states of each part; NaN of a part that there is none of."""
        return self.counts / self.counts.sum(1, keepdim=True)


def part_statistics(
    boxes: Float[Tensor, "m 4"], labels: Int[Tensor, " m"], states: Int[Tensor, " m"], parts: int
) -> PartStatistics:
    """Counts and means over all images.

    Args:
        boxes: x1, y1, x2, y2 as shares of the image's width and height.
        labels: which part each is.
        states: 0 intact, 1 damaged, 2 absent, 3 occluded.
        parts: number of kinds of parts.

    >>> boxes = torch.tensor([[0.0, 0.0, 0.4, 0.2], [0.2, 0.0, 0.6, 0.4]])
    >>> found = part_statistics(boxes, torch.tensor([0, 0]), torch.tensor([0, 2]), 1)
    >>> found.shares.tolist()
    [0.5, 0.0, 0.5, 0.0]
    """
    counts = torch.bincount(len(STATES) * labels + states, minlength=len(STATES) * parts)
    corners = boxes.double()
    centre, size = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    sums = torch.zeros(parts, 4, dtype=torch.float64)
    sums.index_add_(0, labels, torch.cat([centre, size], 1))
    number = torch.bincount(labels, minlength=parts)
    return PartStatistics(counts.view(parts, -1), (sums / number[:, None]).float())


def statistics_of(split: BoxSplit) -> PartStatistics:
    """Those of a split whose boxes have states.

    Raises:
        UserError: they have none.
    """
    if "state" not in split.flags:
        raise UserError("these boxes have no states: choose delftbikes or procedural_bikes")
    sides = split.sizes.flip(1).repeat(1, 2).repeat_interleave(split.counts, 0)
    states = split.flags["state"]
    return part_statistics(split.boxes / sides, split.labels, states, len(split.classes))


class PartStatisticsTable:
    """Shares of states of some splits, and mean places of the parts of the first one.

    Metrics: for each split `<split>_<state>` (percent of all parts) and `<split>_parts` (how many),
    and `all_<state>` of the splits together; of the first split `<part>_<state>` (percent), and
    `<part>_x`, `_y`, `_width`, `_height` (shares of the image). Facts: the part that is most often
    in each state. Picture: an ellipse for each part.

    Args:
        splits: names of them.
    """

    def __init__(self, *, splits: Sequence[str] = ("train", "test")) -> None:
        if not splits:
            raise UserError("splits must name a split, such as train")
        self.splits = tuple(splits)

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Counts the annotations of the step's data set; no image is read."""
        data = context.dataset()
        found = {split: statistics_of(data.boxes(split)) for split in self.splits}
        metrics: dict[str, float] = {}
        for split, statistics in found.items():
            metrics[f"{split}_parts"] = float(statistics.counts.sum())
            metrics |= _named(f"{split}_", STATES, 100 * statistics.shares)
        counts = torch.stack([statistics.counts for statistics in found.values()]).sum((0, 1))
        metrics |= _named("all_", STATES, 100 * counts / counts.sum())
        first = found[self.splits[0]]
        names = data.classes
        for name, shares, ellipse in zip(names, first.part_shares, first.ellipses, strict=True):
            metrics |= _named(f"{name}_", STATES, 100 * shares)
            metrics |= _named(f"{name}_", ("x", "y", "width", "height"), ellipse)
        most = first.part_shares.nan_to_num(-1).argmax(0).tolist()
        context.result.facts["most"] = {s: names[i] for s, i in zip(STATES, most, strict=True)}
        context.result.facts["data"] = data.fingerprint()
        save_picture(context, "mean_parts", draw_ellipses(first.ellipses))
        return metrics


def _named(prefix: str, names: Sequence[str], values: Tensor) -> dict[str, float]:
    """Values by name, without those that are not numbers."""
    told = zip(names, values.tolist(), strict=True)
    return {f"{prefix}{name}": value for name, value in told if value == value}


def draw_ellipses(ellipses: Float[Tensor, "k 4"], side: int = SIDE) -> UInt8[Tensor, "3 s s"]:
    """The outlines of ellipses on white, each in a colour of its own.

    Args:
        ellipses: x, y, width and height as shares of the picture.
        side: of the picture, in pixels.
    """
    place = (torch.arange(side) + 0.5) / side
    picture = torch.full((3, side, side), 255, dtype=torch.uint8)
    for number, (x, y, width, height) in enumerate(ellipses.tolist()):
        if not width > 0 or not height > 0:
            continue
        radius = torch.hypot(
            (place[None, :] - x) / (width / 2), (place[:, None] - y) / (height / 2)
        )
        colour = mask_colours(torch.tensor([[number + 1]]))[:, 0]
        picture = torch.where((radius - 1).abs() <= PEN, colour[:, :, None], picture)
    return picture
