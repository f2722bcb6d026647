"""Configurations of replicates: composed once for all seeds of a cell, the seed then put in.

Composing takes milliseconds, and the replicates of a cell differ in nothing but their numbers. Two
made-up replicates show where in the configuration these stand. If anything else differs between the
two (a name built from the seed, say), every replicate is composed on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from thesisbench.compose import Composed
from thesisbench.errors import UserError

WORTH_IT = 5  # replicates, from which on two more compositions pay
_PROBES = (1_000_003, 2_000_029)

Replicate = Mapping[str, int]
Pair = tuple[Composed, Composed]
Slots = list[tuple[tuple[Any, ...], str]]


@dataclass(frozen=True)
class Template:
    """The configuration of a step and levels, without its replicate.

    Attributes:
        pair: as the spec says, and with the user's overrides; for a made-up replicate.
        slots: for each of the two, the paths where a replicate's numbers stand, and which.
    """

    pair: Pair
    slots: tuple[Slots, Slots]

    def fill(self, replicate: Replicate) -> Pair:
        """The two configurations of a replicate."""
        plain, theirs = self.pair
        first = _filled(plain, self.slots[0], replicate)
        return first, first if theirs is plain else _filled(theirs, self.slots[1], replicate)


def make_template(compose: Callable[[Replicate], Pair], keys: tuple[str, ...]) -> Template | None:
    """A template for the replicates with these keys, None where there can be none.

    Args:
        compose: makes the two configurations of a replicate.
        keys: of the replicates, such as ("seed",).
    """
    first, second = ({key: probe + i for i, key in enumerate(keys)} for probe in _PROBES)
    try:
        pair, other = compose(first), compose(second)
    except UserError:
        return None  # a number that is not made up may still be fine
    slots = [_slots(a, b, first, second) for a, b in zip(pair, other, strict=True)]
    if slots[0] is None or slots[1] is None:
        return None
    return Template(pair, (slots[0], slots[1]))


def _slots(a: Composed, b: Composed, first: Replicate, second: Replicate) -> Slots | None:
    """Where two compositions differ; None if they do in more than their replicates' numbers."""
    if a.choices != b.choices:
        return None
    names = {(first[key], second[key]): key for key in first}
    slots: Slots = []
    for path, left, right in _differences(a.config, b.config, ()):
        if type(left) is not int or (left, right) not in names:
            return None
        slots.append((path, names[left, right]))
    return slots


def _differences(
    a: Any, b: Any, path: tuple[Any, ...]
) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict) and list(a) == list(b):
        for key in a:
            yield from _differences(a[key], b[key], (*path, key))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (left, right) in enumerate(zip(a, b, strict=True)):
            yield from _differences(left, right, (*path, i))
    elif a != b or type(a) is not type(b):
        yield path, a, b


def _filled(made: Composed, slots: Slots, replicate: Replicate) -> Composed:
    config: Any = made.config
    for path, key in slots:
        config = _with(config, path, replicate[key])
    return replace(made, config=config)


def _with(node: Any, path: tuple[Any, ...], value: int) -> Any:
    """The node with another value at a path; what is not on the way is shared."""
    if not path:
        return value
    changed = node.copy()
    changed[path[0]] = _with(node[path[0]], path[1:], value)
    return changed
