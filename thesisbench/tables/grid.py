"""Which tables have a grid: their steps are named and all the recipes behind them are built.

Nothing here imports Hydra: recipes are looked up as files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from thesisbench.tables.catalog import Catalog, ChapterFolder

TARGETS_ONLY = "targets only: no grid yet"


def recipe_names(config_dirs: Sequence[str | Path] = ()) -> frozenset[str]:
    """Names of all recipes, as "<thesis>/<chapter>/<name>": shipped, and in the users' folders."""
    roots = [Path(str(files("thesisbench.conf"))), *map(Path, config_dirs)]
    return frozenset(
        path.relative_to(root / "experiment").with_suffix("").as_posix()
        for root in roots
        for path in (root / "experiment").rglob("*.yaml")
    )


def has_grid(catalog: Catalog, recipes: Collection[str], table: str) -> bool:
    """Whether a table says how it is run and all the recipes this takes are there."""
    return catalog.table(table).says_how and not missing_recipes(catalog, recipes, table)


def missing_recipes(catalog: Catalog, recipes: Collection[str], table: str) -> list[str]:
    """The recipes a table wants that are not there."""
    folder = catalog.tables[table]
    wanted = (
        f"{folder.slug}/{folder.chapter.steps[step].recipe}"
        for step in steps_behind(folder, catalog.table(table).steps)
    )
    return [name for name in dict.fromkeys(wanted) if name not in recipes]


def steps_behind(folder: ChapterFolder, steps: Sequence[str]) -> list[str]:
    """Steps and all they need, directly or not, in order."""
    found = list(dict.fromkeys(steps))
    for step in found:
        found += [name for name in _needed(folder, step) if name not in found]
    return found


def _needed(folder: ChapterFolder, step: str) -> Iterator[str]:
    for needs in folder.chapter.steps[step].inputs().values():
        yield from dict.fromkeys(need.step for need in needs)
