"""Checks of the values of a run that types alone do not make: numbers in range, words of a list.

They come before anything runs, so that a slip on the command line costs no run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from thesisbench.errors import UserError, unknown
from thesisbench.training.batching import check_batching

_LEAST = {
    "seed": 0,
    "schedule.epochs": 1,
    "schedule.batch_size": 1,
    "schedule.patience": 0,
    "schedule.accumulate": 1,
    "schedule.limit_batches": 1,
}
_WORDS = {
    "precision": (
        *("64-true", "32-true", "16-true", "bf16-true", "16-mixed", "bf16-mixed"),
        *("64", "32", "16", "bf16", "transformer-engine", "transformer-engine-float16"),
    ),
    "memory_format": ("contiguous", "channels_last"),
    "schedule.mode": ("min", "max"),
    "schedule.select": ("best", "last"),
}
_WORDS["trainer.precision"] = _WORDS["precision"]
_MOST_SEED = 2**32 - 1  # what torch and NumPy take
_DEVICES = re.compile(r"auto|\d+(,\s*\d+)*")


def check_values(config: Mapping[str, Any], origin: str) -> None:
    """Refuses values of the common keys that no run can have.

    Args:
        config: resolved configuration as plain data.
        origin: names the place the values come from, for errors.

    Raises:
        UserError: naming the key, its value and what it may be.
    """
    for key, least in _LEAST.items():
        value = _at(config, key)
        if isinstance(value, int) and value < least:
            raise UserError(f"{origin}: {key} must be at least {least}; got {value}")
    if config["seed"] > _MOST_SEED:
        raise UserError(f"{origin}: seed must be at most {_MOST_SEED}; got {config['seed']}")
    for key, words in _WORDS.items():
        value = _at(config, key)
        if value is not None and value not in words:
            raise UserError(f"{origin}: {unknown(key, str(value), words)}")
    try:
        check_batching(config)
    except UserError as error:
        raise UserError(f"{origin}: {error}") from None


def check_kinds(plain: Mapping[str, Any], config: Mapping[str, Any], origin: str) -> None:
    """Refuses a word or a truth value in place of a number.

    Args:
        plain: the configuration without the overrides, as plain data.
        config: the same with them, resolved.
        origin: names the place they come from, for errors.

    Raises:
        UserError: naming the key, the number and what stands in its place.
    """
    for key, number, value in _replaced(plain, config, ""):
        if not (key == "trainer.devices" and _DEVICES.fullmatch(str(value))):
            text = f"{key} is a number ({number}); got {value!r}"
            raise UserError(f"{origin}: {text}")


def _replaced(old: Any, new: Any, place: str) -> Iterator[tuple[str, float, Any]]:
    """Keys of numbers that have become a word or a truth value."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in old.keys() & new.keys():
            yield from _replaced(old[key], new[key], f"{place}.{key}" if place else str(key))
    elif isinstance(old, int | float) and not isinstance(old, bool) and isinstance(new, str | bool):
        yield place, old, new


def _at(config: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; None where it is not there."""
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node
