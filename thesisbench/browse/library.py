"""All that can be listed, searched and shown: specs, options, registries and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from thesisbench.browse.options import Option, config_roots, options
from thesisbench.browse.registry import Registry, read_registry
from thesisbench.store.runs import RunStore
from thesisbench.tables.accepted_claims import AcceptedClaim, accepted_claims
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.grid import has_grid, recipe_names
from thesisbench.tables.model import SCALES
from thesisbench.tables.spec import Table


@dataclass
class Library:
    """Everything at hand, read on first use.

    Attributes:
        catalog: the chapters. config_dirs: the user's config groups. store: the runs folder.
        words: options of the command line that lead here, repeated in the commands that are shown.
    """

    catalog: Catalog
    config_dirs: tuple[str, ...] = ()
    store: RunStore = field(default_factory=RunStore)
    words: tuple[str, ...] = ()
    _claims: dict[str, Mapping[str, tuple[AcceptedClaim, ...]]] = field(default_factory=dict)

    @classmethod
    def at(cls, spec_dirs: Sequence[str] = (), config_dirs: Sequence[str] = ()) -> Library:
        """What ships, and what is in the user's folders.

        Raises:
            UserError: a folder that is not there.
        """
        named = {"--spec-dir": spec_dirs, "--config-dir": config_dirs}
        words = [word for option, dirs in named.items() for d in dirs for word in (option, d)]
        config_roots(config_dirs)  # refuses a folder that is not there
        return cls(Catalog.at(spec_dirs), tuple(config_dirs), words=tuple(words))

    @cached_property
    def recipes(self) -> frozenset[str]:
        """Names of all recipes."""
        return recipe_names(self.config_dirs)

    @cached_property
    def options(self) -> list[Option]:
        """All options of config groups."""
        return options(self.config_dirs)

    @cached_property
    def registry(self) -> Registry:
        """Data sets, weights and theses."""
        return read_registry(self.catalog.roots)

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Table id -> spec, in order."""
        return {t: folder.tables[t] for t, folder in self.catalog.tables.items()}

    @cached_property
    def loaders(self) -> frozenset[str]:
        """Names of the data sets that can be loaded."""
        return frozenset(o.name for o in self.options if o.group == "dataset" and o.target)

    def accepted(self, table: str) -> list[str]:
        """Scales at which results of a table are accepted."""
        folder, key = self.catalog.tables[table], self.tables[table].key
        return [s for s in SCALES if (folder.results(s) / f"{key}.json").exists()]

    def state(self, table: str) -> str:
        """In words: "targets only", "not run" or "accepted small, paper"."""
        if scales := self.accepted(table):
            return f"accepted {', '.join(scales)}"
        return "not run" if has_grid(self.catalog, self.recipes, table) else "targets only"

    def claims(self, slug: str) -> Mapping[str, tuple[AcceptedClaim, ...]]:
        """Claim id -> what it came to on accepted records, for a chapter."""
        if slug not in self._claims:
            self._claims[slug] = accepted_claims(self.catalog.folders[slug])
        return self._claims[slug]

    def loader_of(self, dataset: str) -> bool:
        """Whether a data set can be loaded, under this or its other name."""
        entry = self.registry.datasets.get(dataset)
        other = entry.same_as if entry else None
        return dataset in self.loaders or other in self.loaders


def values_of(table: Table) -> int:
    """Number of published values in a table."""
    return sum(value is not None for row in table.rows.values() for value in row.values.values())
