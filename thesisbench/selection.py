"""What the words of a command line select: tables, and overrides that do or do not change runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from thesisbench.compose import Composer, key_of
from thesisbench.errors import UserError
from thesisbench.identity import NOT_SCIENCE_TRAINER
from thesisbench.store.runs import RunStore
from thesisbench.store.secrets import refuse_secret_words
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.grid import has_grid, missing_recipes
from thesisbench.tables.session import Session

INFRASTRUCTURE = ("launcher", "logger")
MOST_SEEDS = 10_000
_SEEDS = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")


def make_session(
    words: Sequence[str],
    named: Mapping[str, Any],
    *,
    scale: str = "small",
    seeds: str | None = None,
    second_look: bool = False,
    spec_dirs: Sequence[str] = (),
    config_dirs: tuple[str, ...] = (),
    store: RunStore | None = None,
    targets_too: bool = False,
) -> tuple[Session, dict[str, Any]]:
    """The session that command-line words select, and the launcher and logger nodes.

    Args:
        words: table ids and overrides, mixed.
        named: chapter, thesis, every.
        scale: smoke, small or paper.
        seeds: as written, such as "0-4"; None takes the spec's.
        second_look: twice the seeds.
        spec_dirs: the user's folders of chapters.
        config_dirs: the user's folders of config groups.
        store: the runs folder; the default one when not given.
        targets_too: keep tables that have targets only; otherwise they are left out, or refused
            when they were named one by one.

    Raises:
        UserError: bad input of any kind; nothing has been done.
    """
    overrides = tuple(w for w in words if is_override(w))
    refuse_secret_words(overrides)
    composer = Composer(config_dirs)
    catalog = Catalog.at(spec_dirs)
    ids = [w for w in words if w not in overrides]
    tables = catalog.select(ids, **named)
    plumbing = tuple(o for o in overrides if not changes_runs(o))
    infrastructure = {
        name: composer.compose([*_of(plumbing, name), "kind=fit"], "overrides").config[name]
        for name in INFRASTRUCTURE
    }
    session = Session(
        catalog=catalog,
        store=store or RunStore(),
        composer=composer,
        tables=tuple(tables if targets_too else _built(catalog, composer, tables, named=ids)),
        scale=scale,
        overrides=tuple(o for o in overrides if changes_runs(o)),
        trainer=tuple(o for o in plumbing if key_of(o).split(".")[0] == "trainer"),
        seeds=parse_seeds(seeds),
        second_look=second_look,
    )
    for line in session.plan.unused.values():  # planning says all else that can be wrong
        raise UserError(line)
    return session, infrastructure


def is_override(word: str) -> bool:
    """Whether a word is an override and not a table id.

    >>> is_override("seed=1"), is_override("kayhan.t2.1"), is_override("~scheduler")
    (True, False, True)
    """
    return "=" in word or word.startswith(("+", "~"))


def changes_runs(override: str) -> bool:
    """Whether an override may change a run's id: all but those of launcher, logger and devices."""
    first, _, rest = key_of(override).partition(".")
    if first in (*INFRASTRUCTURE, "trainer") and not rest:
        return False
    return not (first in INFRASTRUCTURE or (first == "trainer" and rest in NOT_SCIENCE_TRAINER))


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """Reads "0,1,5" or "0-4".

    Raises:
        UserError: anything else.
    """
    if text is None:
        return None
    seeds: list[int] = []
    for part in text.split(","):
        found = _SEEDS.fullmatch(part.strip())
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if high < low:
            raise UserError(f"--seeds {text!r}: give whole numbers such as 0,1,2 or 0-4")
        if high - low >= MOST_SEEDS:
            raise UserError(f"--seeds {text!r}: at most {MOST_SEEDS} of them")
        seeds += range(low, high + 1)
    if len(seeds) > MOST_SEEDS or len(set(seeds)) != len(seeds):
        raise UserError(f"--seeds {text!r}: each seed once, and at most {MOST_SEEDS} of them")
    return tuple(seeds)


def _of(overrides: Sequence[str], name: str) -> list[str]:
    return [o for o in overrides if key_of(o).split(".")[0] == name]


def _built(
    catalog: Catalog, composer: Composer, tables: Sequence[str], *, named: Sequence[str]
) -> list[str]:
    """The tables that have a grid.

    Raises:
        UserError: none has, or one named by its id has not.
    """
    built = [t for t in tables if has_grid(catalog, composer.recipes, t)]
    check_built(catalog, composer, named)
    if not built:
        raise UserError("none of the selected tables has a grid yet; they have targets only")
    return built


def check_built(catalog: Catalog, composer: Composer, tables: Sequence[str]) -> None:
    """Raises UserError when one of these tables has targets only, and says what it lacks."""
    for table in tables:
        if not has_grid(catalog, composer.recipes, table):
            raise UserError(f"{table} has targets only: {_lacking(catalog, composer, table)}")


def _lacking(catalog: Catalog, composer: Composer, table: str) -> str:
    """What stands between a table and a grid."""
    missing = missing_recipes(catalog, composer.recipes, table)
    if not missing:
        return "no grid yet; `thesisbench report` shows what was published"
    return f"its recipe {missing[0]!r} is not built yet"
