"""Which data sets can be prepared and verified, and who does it.

A data set's part of the work is a module of this package, imported when it is used, with

    prepare(folder, say) -> list of what is left to do by hand, each in one line
    verify(folder, decode) -> Checked

Data sets that share files (`imagenet200` those of `imagenet`) share the module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

HOME = "thesisbench.data.files"
MODULES = {
    "brown_patches": f"{HOME}.brown",
    "cifar10": f"{HOME}.cifar",
    "cifar100": f"{HOME}.cifar",
    "coco": f"{HOME}.coco",
    "coco2014_minival": f"{HOME}.coco",
    "delftbikes": f"{HOME}.delftbikes",
    "fashion_mnist": f"{HOME}.fashion",
    "imagenet": f"{HOME}.imagenet",
    "imagenet200": f"{HOME}.imagenet",
    "imagenet_c": f"{HOME}.robustness",
    "imagenet_p": f"{HOME}.robustness",
    "imagenet_subset": f"{HOME}.imagenet",
    "office31": f"{HOME}.office31",
    "pascal_voc2012_seg": f"{HOME}.voc",
    "voc0712": f"{HOME}.voc_boxes",
}
BY_HAND = (  # none of it is downloaded
    *("coco", "coco2014_minival", "delftbikes"),
    *("imagenet", "imagenet200", "imagenet_subset", "office31"),
)

Say = Callable[[str], None]


@dataclass
class Checked:
    """What was found of a data set.

    Attributes:
        counts: what was counted, such as images of a split.
        problems: one line for each broken or missing file, which it names.
        notes: lines on what publishers' own files have, too, and readers mend or leave out.
    """

    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def expect(self, what: str, number: int, wanted: int | None) -> None:
        """Counts something; another number than wanted is a problem."""
        self.counts[what] = number
        if wanted is not None and number != wanted:
            self.problems.append(f"{what}: {number:,}, not {wanted:,}")


class Source(Protocol):
    """A module that knows the files of a data set."""

    def prepare(self, name: str, folder: Path, say: Say) -> list[str]:
        """Fetches what may be fetched; one line for each thing left to do by hand."""

    def verify(self, name: str, folder: Path, *, decode: bool) -> Checked:
        """Counts and checks everything; `decode` reads every image, too."""


def source_of(name: str) -> Source:
    """The module that knows the files of a data set in `MODULES`."""
    module: Any = import_module(MODULES[name])
    return cast(Source, module)
