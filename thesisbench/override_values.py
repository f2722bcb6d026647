"""Applies value overrides to a composed configuration, and says in one line what is wrong with one.

What an id does not see must not be changed by a value: `_target_` and the other marks of
instantiation come from option files only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from thesisbench.errors import UserError, nearest, unknown
from thesisbench.schema import RunConfig
from thesisbench.value_checks import check_kinds, check_values

KINDS = ("fit", "eval", "prepare", "analytic")
COMPOSE_ERRORS = (HydraException, OmegaConfBaseException, AssertionError, ValueError, TypeError)
MARKS = ("_target_", "_partial_", "_recursive_", "_convert_")
_SCHEMA = frozenset(f.name for f in fields(RunConfig))


def apply_values(
    base: DictConfig, values: Sequence[Override], origin: str, groups: Sequence[str]
) -> dict[str, Any]:
    """The resolved configuration with values applied in order, as plain data.

    Args:
        base: composed from group choices.
        values: parsed overrides that are no group choices.
        origin: names the place they come from, for errors.
        groups: names of all config groups, for errors.

    Raises:
        UserError: an unknown key, a value of the wrong type, or one that may not be set.
    """
    config = deepcopy(base)
    for override in values:
        _check_value(override, origin)
        try:
            ConfigLoaderImpl._apply_overrides_to_config([override], config)
        except COMPOSE_ERRORS as error:
            raise UserError(f"{origin}: {_explain(override, base, error, groups)}") from None
    if OmegaConf.is_missing(config, "kind"):
        raise UserError(f"{origin}: no recipe; choose one with experiment=THESIS/CHAPTER/RECIPE")
    if config.kind not in KINDS:
        raise UserError(f"{origin}: {unknown('kind', str(config.kind), KINDS)}")
    resolved = _resolve(config, origin)
    check_values(resolved, origin)
    if values:
        plain = OmegaConf.to_container(base, resolve=False)
        assert isinstance(plain, dict)
        check_kinds({str(k): v for k, v in plain.items()}, resolved, origin)
        if moved := _moved_mark(base, resolved, origin):
            raise UserError(f"{origin}: sets {moved}; write an option file instead")
    return resolved


def _resolve(config: DictConfig, origin: str, *, complete: bool = True) -> dict[str, Any]:
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=complete)
    except OmegaConfBaseException as error:
        raise UserError(f"{origin}: does not compose: {one_line(error)}") from None
    assert isinstance(resolved, dict)
    return {str(k): v for k, v in resolved.items()}


def _check_value(override: Override, origin: str) -> None:
    """Refuses what would change a class unnoticed by the id, or take a key of the schema away."""
    key, said = override.key_or_group, f"{origin}: {override.input_line!r}"
    if mark := next((part for part in key.split(".") if part in MARKS), None):
        raise UserError(f"{said} sets a {mark}; write an option file instead")
    if override.is_delete() and key in _SCHEMA:
        raise UserError(f"{said}: every run has the key {key!r}; give it another value instead")


def _moved_mark(base: DictConfig, resolved: Mapping[str, Any], origin: str) -> str | None:
    """A `_target_` or other mark that values brought and the chosen options do not have there."""
    found = dict(_marks(resolved))
    if found == (plain := dict(_marks(OmegaConf.to_container(base, resolve=False)))):
        return None
    with contextlib.suppress(UserError):  # an interpolation that only the values complete
        plain = dict(_marks(_resolve(base, origin, complete=False)))
    return next((place for place, mark in found.items() if plain.get(place) != mark), None)


def _marks(node: Any, place: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        here = f"{place}.{key}" if place else str(key)
        if key in MARKS:
            yield here, str(value)
        elif isinstance(value, dict | list):
            yield from _marks(value, here)


def _explain(override: Override, base: DictConfig, error: Exception, groups: Sequence[str]) -> str:
    key = override.key_or_group
    if key in groups and isinstance(override.value(), dict):
        return f"{override.input_line!r}: {key} has no such keys; choose an option, {key}=NAME"
    known = _keys(OmegaConf.to_container(base, resolve=False))
    if key in known or override.is_add() or override.is_force_add():
        cause = error.__cause__ or error
        return f"{override.input_line!r}: {one_line(cause)}"
    siblings = [k for k in known if k.rpartition(".")[0] == key.rpartition(".")[0]]
    close = nearest(key, {*known, *groups})
    inside = f"valid: {', '.join(sorted(siblings))}" if siblings else "nothing is set there"
    choices = f"nearest: {', '.join(close)}" if close else inside
    return f"unknown key {key!r} in {override.input_line!r}; {choices}; a new key takes a leading +"


def _keys(node: Any, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    names = []
    for key, value in node.items():
        names.append(f"{prefix}{key}")
        names += _keys(value, f"{prefix}{key}.")
    return names


def one_line(error: BaseException) -> str:
    """What an error of Hydra or OmegaConf says, without notes on nodes, in at most 300 signs."""
    noise = ("full_key:", "object_type=", "reference_type=")
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(noise))[:300]
