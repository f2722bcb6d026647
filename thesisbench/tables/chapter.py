"""What a chapter says: its factors and their levels, its steps; typed, validated on load.

The exact meaning is in docs/spec-format.md. Nothing here knows Hydra, runs or any chapter.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from thesisbench.errors import SpecError, unknown
from thesisbench.tables.model import SCALES, Kind
from thesisbench.tables.typed import convert

KEY = re.compile(r"[a-z][a-z0-9_]*\Z")
RESERVED = frozenset(keyword.kwlist)
EMPTY_LEVELS = ("false", "none")

LevelName = str | bool


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything read from a spec: unknown keys are errors."""


class Need(Struct, frozen=True):
    """An input of a step: which step makes it, with which changed levels, under which condition."""

    step: str
    at: dict[str, LevelName] = {}
    when: str | dict[str, list[LevelName]] | None = None


class Step(Struct, frozen=True):
    """A recipe used in a chapter.

    Attributes:
        kind: fit, eval, prepare or analytic.
        recipe: its name in conf/experiment/<thesis>/<chapter>/.
        takes: factors it receives; their order is the order of precedence.
        needs: input name -> the step that makes it (a list: several runs in order).
        scales: scale -> the step's own overrides there.
        replicates: replicate keys it takes; None takes all of the table's.
        exclusive: timed, so nothing runs beside it.
    """

    kind: Kind
    recipe: str
    takes: list[str] = []
    needs: dict[str, str | Need | list[str | Need]] = {}
    scales: dict[Literal["smoke", "small", "paper"], list[str]] = {}
    replicates: list[str] | None = None
    exclusive: bool = False

    def inputs(self) -> dict[str, list[Need]]:
        """Input name -> needs, in the long form."""
        return {
            name: [n if isinstance(n, Need) else Need(step=n) for n in _as_list(value)]
            for name, value in self.needs.items()
        }


@dataclass(frozen=True)
class Overrides:
    """A level that can be run: overrides in Hydra's grammar."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Skip:
    """A level that is not run at a scale."""

    reason: str


@dataclass(frozen=True)
class SameAs:
    """A level that shows another level's run."""

    level: str


Level = Overrides | Skip | SameAs


class _ChapterFile(Struct, frozen=True):
    title: str
    levels: dict[str, dict[LevelName, Any]] = {}
    steps: dict[str, Step] = {}
    defaults: dict[str, LevelName] = {}


@dataclass(frozen=True)
class Chapter:
    """Levels and steps of a chapter.

    Attributes:
        slug: "<thesis>/<chapter>".
        levels: factor -> level -> scale -> what it means there.
        defaults: factor -> the level an unset factor takes.
    """

    slug: str
    title: str
    levels: Mapping[str, Mapping[str, Mapping[str, Level]]]
    steps: Mapping[str, Step]
    defaults: Mapping[str, str]

    def level(self, factor: str, name: str, scale: str) -> Level:
        """What a level means at a scale; "smoke" falls back on "small"."""
        scales = self.levels[factor][name]
        return scales[scale] if scale in scales else scales["small"]


def word(level: LevelName) -> str:
    """A level as a word: YAML's true and false are the words "true" and "false"."""
    return str(level).lower() if isinstance(level, bool) else level


def at_scale(scales: Any, scale: str) -> Any:
    """What scale -> value says at a scale (smoke falls back on small); a list holds at all."""
    if not isinstance(scales, dict):
        return scales
    fallback = scales.get("small") if scale == "smoke" else None
    return scales.get(scale, fallback)


def parse_chapter(data: Any, slug: str, origin: str) -> Chapter:
    """Validates chapter.yaml.

    Raises:
        SpecError: naming file, key and valid choices.
    """
    raw: _ChapterFile = convert(data, _ChapterFile, origin)
    levels = {
        factor: _parse_factor(names, f"{origin}: levels.{factor}")
        for factor, names in raw.levels.items()
    }
    chapter = Chapter(
        slug, raw.title, levels, raw.steps, {f: word(v) for f, v in raw.defaults.items()}
    )
    check_keys([*levels, *raw.steps, *(n for d in levels.values() for n in d)], origin)
    _check_same_as(chapter, origin)
    for factor, level in chapter.defaults.items():
        check_level(chapter, factor, level, f"{origin}: defaults")
    for name, step in raw.steps.items():
        _check_step(chapter, name, step, origin)
    return chapter


def check_level(chapter: Chapter, factor: str, level: str, origin: str) -> None:
    """Raises SpecError unless the chapter has this level of this factor."""
    if factor not in chapter.levels:
        raise SpecError(f"{origin}: {unknown('factor', factor, chapter.levels)}")
    if level not in chapter.levels[factor]:
        raise SpecError(f"{origin}: {unknown(f'level of {factor}', level, chapter.levels[factor])}")


def _check_same_as(chapter: Chapter, origin: str) -> None:
    for factor, names in chapter.levels.items():
        for name, scales in names.items():
            for scale, value in scales.items():
                if not isinstance(value, SameAs):
                    continue
                where = f"{origin}: levels.{factor}.{name}.{scale}"
                check_level(chapter, factor, value.level, where)
                if isinstance(chapter.level(factor, value.level, scale), SameAs):
                    raise SpecError(
                        f"{where}: same_as {value.level!r} is itself same_as another level"
                    )


def _check_step(chapter: Chapter, name: str, step: Step, origin: str) -> None:
    where = f"{origin}: steps.{name}"
    for factor in step.takes:
        if factor not in chapter.levels:
            raise SpecError(f"{where}.takes: {unknown('factor', factor, chapter.levels)}")
    for key, needs in step.inputs().items():
        for need in needs:
            if need.step not in chapter.steps:
                raise SpecError(f"{where}.needs.{key}: {unknown('step', need.step, chapter.steps)}")
            for factor, level in need.at.items():
                check_level(chapter, factor, word(level), f"{where}.needs.{key}.at")
            for factor in _when(need):
                if factor not in chapter.levels:
                    raise SpecError(
                        f"{where}.needs.{key}.when: {unknown('factor', factor, chapter.levels)}"
                    )
    _check_cycle(chapter, name, (), origin)


def _check_cycle(chapter: Chapter, name: str, path: tuple[str, ...], origin: str) -> None:
    if name in path:
        raise SpecError(
            f"{origin}: steps need each other in a circle: {' -> '.join((*path, name))}"
        )
    for needs in chapter.steps[name].inputs().values():
        for need in needs:
            if need.step in chapter.steps:
                _check_cycle(chapter, need.step, (*path, name), origin)


def _when(need: Need) -> list[str]:
    if need.when is None:
        return []
    return [need.when] if isinstance(need.when, str) else list(need.when)


def _parse_factor(names: dict[LevelName, Any], where: str) -> dict[str, dict[str, Level]]:
    """The levels of a factor; `true` and `false` may be written bare or as words."""
    levels: dict[str, dict[str, Level]] = {}
    for name, value in names.items():
        if word(name) in levels:
            raise SpecError(f"{where}: level {word(name)!r} is there twice")
        levels[word(name)] = _parse_level(value, f"{where}.{word(name)}")
    return levels


def _parse_level(value: Any, where: str) -> dict[str, Level]:
    if isinstance(value, list):
        return dict.fromkeys(SCALES, _parse_meaning(value, where))
    if not isinstance(value, dict):
        raise SpecError(
            f"{where}: must be a list of overrides, or one entry a scale; got {value!r}"
        )
    for scale in value:
        if scale not in SCALES:
            raise SpecError(f"{where}: {unknown('scale', str(scale), SCALES)}")
    missing = [s for s in ("small", "paper") if s not in value]
    if missing:
        raise SpecError(
            f"{where}: says nothing for scale {' and '.join(missing)}; "
            "give overrides, skip or same_as"
        )
    return {scale: _parse_meaning(v, f"{where}.{scale}") for scale, v in value.items()}


def _parse_meaning(value: Any, where: str) -> Level:
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return Overrides(tuple(value))
    if value == "skip":
        return Skip("not run at this scale")
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if key == "skip" and isinstance(inner, str):
            return Skip(inner)
        if key == "same_as" and isinstance(inner, str | bool):
            return SameAs(word(inner))
    raise SpecError(
        f"{where}: must be a list of overrides (text), 'skip: reason' or 'same_as: level'; "
        f"got {value!r}"
    )


def check_keys(keys: Iterable[str], origin: str) -> None:
    """Raises SpecError unless every key can stand in a formula."""
    for key in keys:
        if key in RESERVED or not KEY.match(key):
            raise SpecError(
                f"{origin}: key {key!r} must match [a-z][a-z0-9_]* and be no reserved word"
            )


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
