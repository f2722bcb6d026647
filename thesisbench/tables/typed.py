"""Plain data into the types of a spec, or one line that names place, key and choices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from thesisbench.errors import SpecError, unknown

_FIELD = re.compile(r"Object contains unknown field `(.*?)`")
_CHOICE = re.compile(r"Invalid enum value (.*?) - at `\$\.(\w+)")


def convert(data: Any, kind: type[Any], origin: str) -> Any:
    """Turns plain data into a spec type.

    Args:
        data: as read from YAML.
        kind: a msgspec struct.
        origin: names the file, for errors.

    Raises:
        SpecError: what does not fit, and where.
    """
    try:
        return msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as error:
        place, inner, message = _located(data, kind, str(error), ())
        where = f"{'.'.join(place)}: " if place else ""
        raise SpecError(f"{origin}: {where}{_explained(message, inner)}") from None


def _located(
    data: Any, kind: type[Any], message: str, place: tuple[str, ...]
) -> tuple[tuple[str, ...], type[Any], str]:
    """The innermost struct that does not fit, its keys from the top, and what is wrong with it.

    msgspec says `rows[...]` for an entry of a mapping; this looks for the entry.
    """
    for keys, entry, inner in _entries(data, kind):
        try:
            msgspec.convert(entry, inner, strict=True)
        except msgspec.ValidationError as error:
            return _located(entry, inner, str(error), (*place, *keys))
    return place, kind, message


def _entries(data: Any, kind: type[Any]) -> Iterator[tuple[tuple[str, ...], Any, type[Any]]]:
    """Keys, data and type of every struct directly inside a struct's data."""
    hints = get_type_hints(kind)
    for field in (f for f in hints if isinstance(data, dict) and f in data):
        inner = next(filter(_is_struct, (hints[field], *get_args(hints[field]))), None)
        if inner is None:
            continue
        if get_origin(hints[field]) is not dict:
            yield (field,), data[field], inner
        elif isinstance(data[field], dict):
            yield from (((field, str(k)), entry, inner) for k, entry in data[field].items())


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _explained(message: str, kind: type[Any]) -> str:
    if match := _FIELD.match(message):
        return unknown("key", match[1], get_type_hints(kind))
    if match := _CHOICE.match(message):
        choices = list(_choices(get_type_hints(kind)[match[2]]))
        return unknown(match[2], match[1].strip("'"), choices)
    return message.replace("`$.", "`").replace(" - at `$`", "")


def _choices(hint: Any) -> Iterator[str]:
    """All words a type allows."""
    if get_origin(hint) is Literal:
        yield from map(str, get_args(hint))
    else:
        for inner in get_args(hint):
            yield from _choices(inner)
