"""How the global batch of a recipe is shared out: devices, accumulation, and what follows.

`schedule.batch_size` is the batch of one step of the optimiser, over all devices. It is cut into
devices x accumulation equal parts, so it is the same experiment on one device and on eight. What
the parts do change is what a batch normalisation sees: that batch is part of a run's id where it is
not the global one. Nothing here imports torch, since plans and ids are made of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from thesisbench.errors import UserError, unknown
from thesisbench.instantiate import targets
from thesisbench.training.batch_free import is_declared

LR_KEYS = ("lr_rule", "base_batch")
LR_RULES = ("none", "linear", "sqrt")
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false")
_EVERY = ("auto", -1, "-1")
_A_COUNT = "a whole number of at least 1"


@dataclass(frozen=True)
class Batching:
    """The parts of a global batch.

    Attributes:
        batch_size: global. devices: over all nodes. accumulate: parts that a device does in turn.
    """

    batch_size: int
    devices: int = 1
    accumulate: int = 1

    @property
    def parts(self) -> int:
        """Number of parts of a global batch."""
        return self.devices * self.accumulate

    @property
    def per_device(self) -> int:
        """Samples that a device holds at a time."""
        return self.batch_size // self.parts

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Batching:
        """How a fit's batches are shared out.

        Args:
            config: resolved configuration with a schedule.

        Raises:
            UserError: the batch has no such equal parts.
        """
        schedule = config["schedule"]
        batch, devices = int(schedule["batch_size"]), world_size(config)
        accumulate = int(schedule.get("accumulate") or 1)
        if batch % (devices * accumulate):
            raise UserError(_uneven(batch, devices, accumulate))
        most = (config.get("trainer") or {}).get("max_per_device_batch")
        if most is not None and batch // (devices * accumulate) > most:
            if accumulate > 1:
                text = f"schedule.accumulate={accumulate} leaves {batch // devices // accumulate}"
                raise UserError(f"{text} samples a device, trainer.max_per_device_batch is {most}")
            accumulate = _fewest_parts(batch // devices, most)
        return cls(batch, devices, accumulate)


def devices_on_a_node(config: Mapping[str, Any]) -> int:
    """Number of devices that a run asks for on each node; 1 for `auto` and -1, which name none.

    >>> [devices_on_a_node({"trainer": {"devices": d}}) for d in (2, "2", "0,1", [3], "auto")]
    [2, 2, 2, 1, 1]
    """
    devices = (config.get("trainer") or {}).get("devices", 1)
    if devices is None or devices in _EVERY:
        return 1
    if isinstance(devices, list | tuple):
        return len(devices)
    if isinstance(devices, str) and "," in devices:
        return len([part for part in devices.split(",") if part.strip()])
    return int(devices)


def takes_every_device(config: Mapping[str, Any]) -> bool:
    """Whether a run asks for all devices of a machine without saying how many these are."""
    return (config.get("trainer") or {}).get("devices", 1) in _EVERY


def world_size(config: Mapping[str, Any]) -> int:
    """Number of devices, hence of processes, of a run over all its nodes."""
    return devices_on_a_node(config) * int((config.get("trainer") or {}).get("num_nodes") or 1)


def precision_of(config: Mapping[str, Any]) -> str:
    """Precision of a run: trainer.precision where it is given, else precision."""
    given = (config.get("trainer") or {}).get("precision")
    return str(given if given is not None else config.get("precision", "32-true"))


def norm_batch(config: Mapping[str, Any]) -> int | None:
    """Samples that a batch normalisation, or a loss, sees at a time; None for the global batch.

    None too where nothing is known to mix samples: every class of the network, and the task with
    its loss, say `batch_free = True`. Synchronised normalisation leaves the loss as it is.

    Raises:
        UserError: the batch has no such equal parts, or a target is not allowed.
    """
    if config.get("kind") != "fit" or not config.get("schedule"):
        return None
    batching = Batching.of(config)
    synced = (config.get("trainer") or {}).get("sync_batchnorm") and _loss_is_free(config)
    seen = batching.batch_size // (batching.accumulate if synced else batching.parts)
    if seen == batching.batch_size or is_batch_free(config):
        return None
    return seen


def is_batch_free(config: Mapping[str, Any]) -> bool:
    """Whether backbone, variants and task are all declared to mix no samples of a batch."""
    used = [*targets(config.get("backbone")), *targets(config.get("variants"))]
    return bool(used) and all(is_declared(target) for target in used) and _loss_is_free(config)


def _loss_is_free(config: Mapping[str, Any]) -> bool:
    """Whether the loss of a batch is the mean of those of its samples."""
    return all(is_declared(target) for target in targets(config.get("task")))


def lr_factor(optimizer: Mapping[str, Any], batch_size: int) -> float:
    """What the learning rate of a recipe is multiplied by, following its `lr_rule`.

    >>> lr_factor({"lr_rule": "linear", "base_batch": 256}, 1024)
    4.0
    """
    ratio = batch_size / float(optimizer.get("base_batch") or batch_size)
    rules = {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}
    return rules[str(optimizer.get("lr_rule") or "none")]


def check_batching(config: Mapping[str, Any]) -> None:
    """Refuses devices, batches and learning-rate rules that no run can have.

    Raises:
        UserError: naming the key and what it may be.
    """
    trainer = config.get("trainer") or {}
    _check_devices(trainer.get("devices"))
    for key in ("num_nodes", "max_per_device_batch"):
        if (value := trainer.get(key)) is not None and not _is_count(value):
            raise UserError(f"trainer.{key} must be {_A_COUNT}; got {value!r}")
    strategy = str(trainer.get("strategy") or "auto")
    if world_size(config) > 1 and strategy not in STRATEGIES:
        raise UserError(unknown("trainer.strategy for several devices", strategy, STRATEGIES))
    _check_rule(config.get("optimizer"))
    if config.get("kind") == "fit" and isinstance(config.get("schedule"), Mapping):
        Batching.of(config)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _check_devices(value: Any) -> None:
    """Refuses what is neither a number of devices, nor names of some, nor `auto` or -1."""
    if value is None or value in _EVERY or _is_count(value):
        return
    names = value.split(",") if isinstance(value, str) else value
    names = [str(n).strip() for n in names if str(n).strip()] if isinstance(names, list) else []
    named = isinstance(value, list) or (isinstance(value, str) and "," in value)
    if not names or not all(n.isdigit() for n in names) or (not named and int(names[0]) < 1):
        raise UserError(f"trainer.devices must be {_A_COUNT}; got {value!r}")
    if len(set(names)) != len(names):
        raise UserError(f"trainer.devices names a device twice: {value!r}")


def _check_rule(optimizer: Any) -> None:
    if not isinstance(optimizer, Mapping):
        return
    rule, base = str(optimizer.get("lr_rule") or "none"), optimizer.get("base_batch")
    if rule not in LR_RULES:
        raise UserError(unknown("optimizer.lr_rule", rule, LR_RULES))
    if rule != "none" and "lr" not in optimizer:
        raise UserError(f"optimizer.lr_rule={rule} needs optimizer.lr, which is not set")
    if rule != "none" and (isinstance(base, bool) or not isinstance(base, int) or base < 1):
        text = f"optimizer.lr_rule={rule} needs optimizer.base_batch, the batch that lr is for"
        raise UserError(f"{text}; got {base!r}")


@lru_cache(maxsize=256)
def _fewest_parts(size: int, most: int) -> int:
    """The fewest equal parts of at most so many samples.

    Raises:
        UserError: they would have to be less than half as large as they may be.
    """
    parts = next(n for n in range(-(-size // most), size + 1) if size % n == 0)
    if parts > 2 * -(-size // most):
        text = f"a batch of {size} a device has no equal parts of nearly {most}"
        raise UserError(f"trainer.max_per_device_batch={most}: {text}; next: {size // parts}")
    return parts


def _uneven(batch: int, devices: int, accumulate: int) -> str:
    """What to say of a batch that cannot be cut."""
    parts = devices * accumulate
    below, above = batch // parts * parts, (batch // parts + 1) * parts
    near = f"{below} or {above}" if below else str(above)
    text = f"schedule.batch_size={batch} has no {parts} equal parts"
    return f"{text} ({devices} devices x {accumulate} in turn); nearest that have: {near}"
