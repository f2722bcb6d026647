"""The registries: who publishes each data set and pretrained network, and where it is looked for.

`datasets.yaml`, `weights.yaml` and `theses.yaml` lie beside the chapters; a user's folder of specs
may have its own, for the names its tables use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from thesisbench.errors import SpecError, unknown
from thesisbench.store.runs import data_root
from thesisbench.tables.chapter import Struct
from thesisbench.tables.strict_yaml import read_yaml
from thesisbench.tables.typed import convert

DATASETS, WEIGHTS, THESES = "datasets.yaml", "weights.yaml", "theses.yaml"


class Dataset(Struct, frozen=True):
    """A data set that tables name, or a stand-in.

    Attributes:
        title: its own name. what: what is in it. count: how much, in words.
        kind: files on disk, procedural (made by us when needed), or asked of people.
        source: who publishes it, and where it is described.
        folder: of its files, below the data root; data sets may share one.
        made_of: data sets that a procedural one is made of.
        stand_in: data set used in its place, or thesis or chapter -> data set.
        same_as: another name of the same data. terms: licence or terms, where known.
    """

    title: str
    what: str
    kind: Literal["files", "procedural", "people"]
    source: str
    count: str | None = None
    folder: str | None = None
    made_of: tuple[str, ...] = ()
    stand_in: str | dict[str, str] | None = None
    same_as: str | None = None
    terms: str | None = None

    def stand_ins(self, slug: str | None = None) -> list[str]:
        """Its stand-ins: all of them, or the one that a chapter uses (none or one)."""
        if not isinstance(self.stand_in, dict):
            return [self.stand_in] if self.stand_in else []
        if slug is None:
            return list(dict.fromkeys(self.stand_in.values()))
        keys = (slug, slug.partition("/")[0])
        return [self.stand_in[key] for key in keys if key in self.stand_in][:1]


class Weights(Struct, frozen=True):
    """Pretrained weights that an experiment starts from; meanings as for `Dataset`."""

    title: str
    what: str
    source: str
    folder: str


class Thesis(Struct, frozen=True):
    """A thesis; `note` says what is uncertain about these facts."""

    title: str
    author: str
    school: str
    year: int | None = None
    note: str | None = None


@dataclass(frozen=True)
class Registry:
    """All entries by name."""

    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    weights: Mapping[str, Weights] = field(default_factory=dict)
    theses: Mapping[str, Thesis] = field(default_factory=dict)

    def dataset_place(self, name: str) -> Path | None:
        """Where the files of a data set are looked for; None where it has no files."""
        entry = self.datasets[name]
        entry = self.datasets[entry.same_as] if entry.same_as else entry
        return data_root() / entry.folder if entry.folder else None

    def has_dataset(self, name: str) -> bool:
        """Whether a data set can be used now: files are in its folder, or it needs none."""
        entry, place = self.datasets[name], self.dataset_place(name)
        if place is not None:
            return has_files(place)
        return entry.kind == "procedural" and all(map(self.has_dataset, entry.made_of))

    def weights_place(self, name: str) -> Path:
        """Where weights are looked for."""
        return data_root() / self.weights[name].folder


def has_files(folder: Path | None) -> bool:
    """Whether anything is in a folder but hidden files."""
    try:
        return folder is not None and any(p.name[0] != "." for p in folder.iterdir())
    except OSError:
        return False


Named = TypeVar("Named", Dataset, Weights, Thesis)


def read_registry(roots: tuple[tuple[Path, bool], ...]) -> Registry:
    """The registries beside the chapters of all roots (of `Catalog.roots`).

    Raises:
        SpecError: an entry that is not as it must be, or a name that is there twice.
    """
    datasets = _entries(roots, DATASETS, Dataset)
    for name, entry in datasets.items():
        _check(name, entry, datasets)
    return Registry(datasets, _entries(roots, WEIGHTS, Weights), _entries(roots, THESES, Thesis))


def _entries(
    roots: tuple[tuple[Path, bool], ...], file: str, kind: Callable[..., Named]
) -> dict[str, Named]:
    found: dict[str, Named] = {}
    for path in (root / file for root, _ in roots):
        if not path.exists():
            continue
        data: Any = read_yaml(path) or {}
        if not isinstance(data, dict):
            raise SpecError(f"{path}: must map names to entries")
        for name, entry in data.items():
            if name in found:
                raise SpecError(f"{path}: {name} is registered twice")
            found[str(name)] = convert(entry, kind, f"{file}: {name}")  # type: ignore[arg-type]
    return found


def _check(name: str, entry: Dataset, datasets: Mapping[str, Dataset]) -> None:
    where = f"{DATASETS}: {name}"
    named = {"stand_in": entry.stand_ins(), "made_of": list(entry.made_of)}
    named["same_as"] = [entry.same_as] if entry.same_as else []
    for key, others in named.items():
        for other in others:
            if other not in datasets:
                raise SpecError(f"{where}.{key}: {unknown('data set', other, datasets)}")
    if any(datasets[other].kind != "files" for other in entry.made_of):
        raise SpecError(f"{where}.made_of: may name data sets of kind files only")
    if entry.same_as and datasets[entry.same_as].same_as:
        raise SpecError(f"{where}: same_as {entry.same_as!r} is itself same_as another")
    if entry.kind == "files" and not (entry.folder or entry.same_as):
        raise SpecError(f"{where}: is of kind files, so it needs a folder")
    if entry.kind != "files" and entry.folder:
        raise SpecError(f"{where}: is of kind {entry.kind}, so it has no folder")
