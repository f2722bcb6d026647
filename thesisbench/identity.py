"""The identity of a run: a digest of what changes its result, and of nothing else.

An id is the sha256 of canonical JSON of the science subtree of the resolved configuration, the ids
of the runs it needs, the recipe's revision and an id version. `_target_` paths stay out, so a class
may be renamed; arguments equal to their default stay out, so one may be added; a drop-in that is
absent (option "none") stays out, so a group may be added.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import pkgutil
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from thesisbench.errors import UserError
from thesisbench.instantiate import check_targets
from thesisbench.override_values import MARKS
from thesisbench.schema import RunConfig, Schedule
from thesisbench.store.files import canonical_json
from thesisbench.training.batching import LR_KEYS, norm_batch, precision_of

ID_VERSION = 1
ID_LENGTH = 16
SCIENCE = (
    *("kind", "seed", "split", "precision", "memory_format", "dataset", "backbone", "detector"),
    *("variants", "task", "optimizer", "scheduler", "schedule", "evaluation", "compute"),
    *("callbacks", "trainer"),
)
FIT_IGNORES = ("evaluation",)
NOT_SCIENCE_GROUPS = ("experiment", "logger", "launcher", "debug", "trainer")
NOT_SCIENCE_TRAINER = frozenset(
    [
        "accelerator",
        "devices",
        "num_nodes",
        "strategy",
        "enable_progress_bar",
        "enable_model_summary",
        "enable_checkpointing",
        "profiler",
        "log_every_n_steps",
        "num_workers",
        "compile",
        "channels_last",
        "max_per_device_batch",
        "sync_batchnorm",
    ]
)
SEEN_OTHERWISE = ("precision",)  # in `trainer`: it changes results, but has a key of its own
ABSENT = ("none", "None", "null")


def science(config: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """The part of a resolved configuration that changes the result.

    Args:
        config: resolved configuration as plain data.
        choices: group -> option it was composed from.
    """
    ignored = FIT_IGNORES if config.get("kind") == "fit" else ()
    values = {k: config[k] for k in SCIENCE if k in config and k not in ignored}
    values["trainer"] = _dropped(values.get("trainer"), (*NOT_SCIENCE_TRAINER, *SEEN_OTHERWISE))
    schedule = _dropped(values.get("schedule"), ("accumulate",))  # it is in the norm batch
    values["schedule"] = _without(schedule, _field_defaults(Schedule))
    values["norm_batch"] = norm_batch(config)
    values["precision"] = precision_of(config)
    if "optimizer" in values:
        values["optimizer"] = _optimizer(values["optimizer"])
    values = _without(values, _field_defaults(RunConfig), keep=("kind", "seed"))
    made_by = {
        group: option
        for group, option in choices.items()
        if group.split("/")[0] not in (*NOT_SCIENCE_GROUPS, *ignored) and option not in ABSENT
    }
    return {"choices": made_by, "values": _prune(values) or {}}


def _dropped(node: Mapping[str, Any] | None, keys: Sequence[str]) -> dict[str, Any]:
    return {k: v for k, v in (node or {}).items() if k not in keys}


def _optimizer(node: Any) -> Any:
    """An optimiser without a learning-rate rule that does nothing."""
    plain = isinstance(node, Mapping) and str(node.get("lr_rule") or "none") == "none"
    return _dropped(node, LR_KEYS) if plain else node


def run_id(
    config: Mapping[str, Any],
    choices: Mapping[str, str],
    needs: Mapping[str, Sequence[str]],
    *,
    with_revision: bool = True,
) -> str:
    """Id of a run (hex); without the revision: its lineage, which a bug fix does not change.

    Raises:
        UserError: a value that has no identity (not finite), or a target that is not allowed.
    """
    return _digest(science(config, choices), config, needs, with_revision=with_revision)


def id_and_lineage(
    config: Mapping[str, Any],
    choices: Mapping[str, str],
    needs: Mapping[str, Sequence[str]],
    lineages: Mapping[str, Sequence[str]],
) -> tuple[str, str]:
    """Id of a run, made of the ids of the runs it needs, and its lineage, made of their lineages.

    Raises:
        UserError: as `run_id`.
    """
    subject = science(config, choices)
    return (
        _digest(subject, config, needs, with_revision=True),
        _digest(subject, config, lineages, with_revision=False),
    )


def _digest(
    science: Mapping[str, Any],
    config: Mapping[str, Any],
    needs: Mapping[str, Sequence[str]],
    *,
    with_revision: bool,
) -> str:
    subject: dict[str, Any] = {
        "id_version": ID_VERSION,
        "needs": {name: list(ids) for name, ids in needs.items()},
        **science,
    }
    if with_revision:
        subject["revision"] = config.get("revision", 1)
    try:
        text = canonical_json(subject)
    except ValueError as error:
        raise UserError(f"no run can be made of this configuration: {error}") from None
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def target_defaults(target: str) -> dict[str, Any]:
    """Defaults of the arguments of an instantiation target that are plain data.

    The shipped targets' are kept in a file (a test compares it with the code), so that planning
    imports no torch; any other target is imported and inspected, if it is allowed.

    Raises:
        UserError: a target outside the allowed packages, or that is not there.
    """
    known = _kept_defaults()
    if target in known:
        return known[target]
    check_targets({"_target_": target})
    return inspect_defaults(target)


@lru_cache(maxsize=512)
def inspect_defaults(target: str) -> dict[str, Any]:
    """Defaults read off the code of a target.

    Raises:
        UserError: it cannot be imported.
    """
    try:
        found = pkgutil.resolve_name(target)
    except Exception as error:  # importing a module may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"target {target!r} cannot be imported: {reason}") from None
    try:
        parameters = inspect.signature(found).parameters
    except (ValueError, TypeError):
        return {}  # built in, without a signature
    return {
        p.name: p.default
        for p in parameters.values()
        if p.default is not p.empty and _is_plain(p.default)
    }


@lru_cache(maxsize=1)
def _kept_defaults() -> dict[str, dict[str, Any]]:
    text = (files("thesisbench") / "target_defaults.json").read_text(encoding="utf-8")
    kept: dict[str, dict[str, Any]] = json.loads(text)
    return kept


def _prune(node: Any) -> Any:
    """Drops targets, their defaults, nulls and empty nodes; None when nothing is left."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            node = _without(node, target_defaults(node["_target_"]))
        pruned = {str(k): _prune(v) for k, v in node.items() if k not in MARKS}
        return {k: v for k, v in pruned.items() if v is not None} or None
    if isinstance(node, list | tuple):
        return [_prune(v) for v in node]
    return node


def _without(
    node: Mapping[str, Any], defaults: Mapping[str, Any], keep: Sequence[str] = ()
) -> dict[str, Any]:
    """Drops defaults; a null that is not the default is kept as a word, since nulls are dropped."""

    def is_default(key: str, value: Any) -> bool:
        return key in defaults and key not in keep and _same(value, defaults[key])

    kept = {str(k): v for k, v in node.items() if not is_default(k, v)}
    return {k: "null" if v is None and defaults.get(k) is not None else v for k, v in kept.items()}


def _same(a: Any, b: Any) -> bool:
    """Whether two values have one spelling in canonical JSON; plain ones need no spelling out."""
    if type(a) is type(b) and type(a) in (bool, int, str, type(None)):
        return bool(a == b)
    if isinstance(a, str | None) or isinstance(b, str | None):
        return False
    try:
        return canonical_json(a) == canonical_json(b)
    except (TypeError, ValueError):
        return False


@lru_cache(maxsize=8)
def _field_defaults(kind: type[Any]) -> dict[str, Any]:
    plain = {
        f.name: f.default for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING
    }
    return {k: v for k, v in plain.items() if _is_plain(v) and v != "???"}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(v) for v in value)
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    return value is None or isinstance(value, bool | int | float | str)
