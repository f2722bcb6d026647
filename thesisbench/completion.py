"""Shell completion: table ids, chapters, runs, recipes and overrides, found as file names.

Nothing here imports Hydra or torch, and nothing is ever printed: what goes wrong gives no choices.
Bash cuts words at "=", so `border=fu` arrives as `border`, `=` and `fu`; the other shells leave it.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import typer

VARIABLE = "_THESISBENCH_COMPLETE"  # set by the scripts of the shells
Complete = Callable[[typer.Context, str], list[str]]

SCALES = ("smoke", "small", "paper")
LAUNCHERS = ("local", "inline")
AGAIN = ("failed", "stale", "oom")
FORMATS = ("terminal", "md", "tex", "csv", "html", "json")
LISTED = (
    *("theses", "chapters", "tables", "claims"),
    *("variants", "datasets", "backbones", "runs"),
)


def answer(app: Any) -> None:
    """Gives a shell its choices; without a word when anything goes wrong, bad input included.

    Args:
        app: the program, which answers and then leaves.
    """
    _mend(os.environ)
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stderr(nowhere),
        contextlib.suppress(Exception),
    ):
        app(standalone_mode=False)


def _mend(environment: MutableMapping[str, str]) -> None:
    """Makes two words of `--scale=small` again, of which bash has made three."""
    words = environment.get("COMP_WORDS", "").split("\n")
    place = environment.get("COMP_CWORD", "")
    if len(words) > 1 and place.isdigit():
        words, cursor = joined_options(words, int(place))
        environment.update(COMP_WORDS="\n".join(words), COMP_CWORD=str(cursor))


def joined_options(words: Sequence[str], cursor: int) -> tuple[list[str], int]:
    """Words without the "=" behind options, and where the one to be completed now is.

    >>> joined_options(["thesisbench", "plan", "--scale", "=", "sm"], 4)
    (['thesisbench', 'plan', '--scale', 'sm'], 3)
    """
    kept: list[str] = []
    place = cursor
    for i, word in enumerate(words):
        if word != "=" or not kept or not kept[-1].startswith("--"):
            kept.append(word)
        elif i == cursor:
            kept.append("''")  # nothing is written behind it yet
        elif i < cursor:
            place -= 1
    return kept, place


def quietly(find: Callable[[typer.Context, str], Iterable[str]]) -> Complete:
    """Keeps those choices that begin as the word does; none when anything goes wrong."""

    @functools.wraps(find)
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            found = find(ctx, incomplete)
            return sorted({choice for choice in found if choice.startswith(incomplete)})
        except Exception:  # a shell that waits for choices is no place for a traceback
            return []

    return complete


@quietly
def complete_tables(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Ids of tables."""
    del incomplete
    for _, path in _table_files(ctx):
        yield _id_in(path)


@quietly
def complete_chapters(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Slugs of chapters."""
    del incomplete
    for root in _spec_roots(ctx):
        for path in root.glob("*/*/chapter.yaml"):
            yield path.parent.relative_to(root).as_posix()


@quietly
def complete_theses(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Names of theses."""
    return (slug.partition("/")[0] for slug in complete_chapters(ctx, incomplete))


@quietly
def complete_scales(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Scales."""
    del ctx, incomplete
    return SCALES


@quietly
def complete_launchers(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Launchers."""
    del ctx, incomplete
    return LAUNCHERS


@quietly
def complete_formats(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Formats of reports."""
    del ctx, incomplete
    return FORMATS


@quietly
def complete_listed(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """What can be listed."""
    del ctx, incomplete
    return LISTED


@quietly
def complete_runs(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Ids of the runs of the runs folder, by the names of their folders."""
    from thesisbench.store.runs import default_root

    del ctx, incomplete
    with os.scandir(default_root()) as entries:
        yield from (entry.name for entry in entries if _is_run_id(entry.name))


@quietly
def complete_rerun(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """What may be run again."""
    return [*AGAIN, *complete_runs(ctx, incomplete)]


@quietly
def complete_shown(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """What can be shown: tables and runs."""
    return [*complete_tables(ctx, incomplete), *complete_runs(ctx, incomplete)]


@quietly
def complete_table_words(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Table ids, and overrides for the recipes behind the tables named so far."""
    key, word = _cut(ctx, incomplete)
    words = [] if key else complete_tables(ctx, incomplete)
    recipes = _recipes_of(ctx)
    if not recipes:
        return words
    groups = [group for group in _groups(ctx) if group != "experiment"]
    return [*words, *_overrides(ctx, key, word, groups, recipes)]


@quietly
def complete_overrides(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Overrides of `train` and `evaluate`, first of all the recipe."""
    key, word = _cut(ctx, incomplete)
    recipes = list(_recipe_files(ctx, _experiment(_words(ctx))))
    return _overrides(ctx, key, word, _groups(ctx), recipes)


def _overrides(
    ctx: typer.Context, key: str, word: str, groups: list[str], recipes: list[Path]
) -> list[str]:
    """Choices for `key=word`, the part that bash has cut off left out."""
    cut = f"{key}=" if key else ""
    written = f"{cut}{word}"
    name, equals, _ = written.partition("=")
    begun = [group for group in groups if group.startswith(name)]
    if equals or len(begun) == 1:  # a lone `border=` would be followed by a blank
        chosen = [name] if equals and name in groups else ([] if equals else begun)
        choices = [f"{group}={option}" for group in chosen for option in _options(ctx, group)]
    else:
        choices = [f"{group}=" for group in begun]
    if name:
        choices += _values(recipes, name)
    return [choice.removeprefix(cut) for choice in choices if choice.startswith(cut)]


def _values(recipes: Iterable[Path], begun: str) -> Iterator[str]:
    """Values that recipes set, as `schedule.epochs=50`, whose keys begin so."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for path in recipes:
        for key, value in _leaves(yaml.load(path.read_bytes(), Loader=loader), ""):
            if key.startswith(begun) and key.split(".")[0] not in ("defaults", "kind", "revision"):
                yield f"{key}={_spelt(value)}"


def _leaves(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif prefix and not isinstance(node, list):
        yield prefix, node


def _spelt(value: Any) -> str:
    words = {True: "true", False: "false", None: "null"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _cut(ctx: typer.Context, incomplete: str) -> tuple[str, str]:
    """The key that bash has cut off, if it has, and the word behind it."""
    words = _words(ctx)
    if len(words) > 1 and words[-1] == "=":
        return words[-2], incomplete
    if words and not incomplete and _bash_is_at_equals():
        return words[-1], incomplete
    return "", incomplete


def _bash_is_at_equals() -> bool:
    """Whether the word to be completed is a lone "=", which typer takes for an empty one."""
    words = os.environ.get("COMP_WORDS", "").split("\n")
    place = os.environ.get("COMP_CWORD", "")
    return place.isdigit() and int(place) < len(words) and words[int(place)] == "="


def _words(ctx: typer.Context) -> list[str]:
    """The words before the one to be completed, options left out."""
    given = next((ctx.params[n] for n in ("words", "overrides") if ctx.params.get(n)), ())
    return [str(word) for word in given]


def _experiment(words: list[str]) -> str:
    """The recipe that was chosen, whether bash has cut the word or not."""
    text = " ".join(words).replace(" = ", "=")
    chosen = [word for word in text.split() if word.startswith("experiment=")]
    return chosen[-1].partition("=")[2] if chosen else ""


def _spec_roots(ctx: typer.Context) -> list[Path]:
    return [_shipped("experiments"), *map(Path, ctx.params.get("spec_dir") or ())]


def _table_files(ctx: typer.Context) -> Iterator[tuple[Path, Path]]:
    """Chapter folders and the files of their tables."""
    for root in _spec_roots(ctx):
        for path in root.glob("*/*/tables/*.yaml"):
            yield path.parent.parent, path


def _id_in(path: Path) -> str:
    """The id of a table, which its file begins with."""
    with path.open(encoding="utf-8") as file:
        found = (line[3:].strip().strip("\"'") for line in file if line.startswith("id:"))
        return next(found, "")


def _recipes_of(ctx: typer.Context) -> list[Path]:
    """The recipes of the chapters whose tables were named so far."""
    words = _words(ctx)
    named = [folder for folder, path in _table_files(ctx) if words and _id_in(path) in words]
    slugs = dict.fromkeys("/".join(folder.parts[-2:]) for folder in named)
    if chapter := ctx.params.get("chapter"):
        slugs[chapter] = None
    folders = (root / "experiment" / slug for root in _config_roots(ctx) for slug in slugs)
    return [path for folder in folders for path in sorted(folder.glob("*.yaml"))]


def _config_roots(ctx: typer.Context) -> list[Path]:
    return [_shipped("conf"), *map(Path, ctx.params.get("config_dir") or ())]


def _shipped(name: str) -> Path:
    from importlib.resources import files

    return Path(str(files(f"thesisbench.{name}")))


def _recipe_files(ctx: typer.Context, name: str) -> Iterator[Path]:
    paths = (root / "experiment" / f"{name}.yaml" for root in _config_roots(ctx))
    return (path for path in paths if path.is_file())


def _groups(ctx: typer.Context) -> list[str]:
    """Config groups: the folders of conf/."""
    folders = (path for root in _config_roots(ctx) for path in root.iterdir() if path.is_dir())
    return sorted({path.name for path in folders if not path.name.startswith(("_", "."))})


def _options(ctx: typer.Context, group: str) -> list[str]:
    """Options of a config group, those in folders of it included."""
    roots = [root / group for root in _config_roots(ctx)]
    paths = [(root, path) for root in roots for path in root.rglob("*.yaml")]
    return sorted(path.relative_to(root).with_suffix("").as_posix() for root, path in paths)


def _is_run_id(name: str) -> bool:
    return len(name) == 16 and all(letter in "0123456789abcdef" for letter in name)
