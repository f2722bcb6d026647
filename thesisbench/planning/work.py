"""How much a run computes, as far as configurations and records say, to scale a timing by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thesisbench.planning.settings import digest, without_seeds

COUNTS = ("n_train", "n_val", "n_test")


@dataclass(frozen=True)
class Work:
    """What the time of a fit or an evaluation is proportional to; None where it is not known.

    Attributes:
        epochs: of a fit. samples: trained on an epoch, or evaluated on.
        flops: of a sample, forward.
        data: digest of the data set's node; form: the same without counts of samples.
        network: digest of backbone and variants.
    """

    epochs: float | None
    samples: float | None
    flops: float | None
    data: str
    form: str
    network: str


@dataclass
class Known:
    """What records tell about data sets and networks, to be used for runs that have none yet.

    Attributes:
        samples: data set -> size of its training split. flops: (network, form of data) -> FLOPs.
    """

    samples: dict[str, float] = field(default_factory=dict)
    flops: dict[tuple[str, str], float] = field(default_factory=dict)

    @classmethod
    def of(cls, fits: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Known:
        """Reads (configuration, facts) of fits."""
        known = cls()
        for config, facts in fits:
            data, form, network = _digests([config])
            if (count := _trained_on(facts)) is not None:
                known.samples[data] = count
            if (flops := facts.get("flops_per_sample")) is not None:
                known.flops[network, form] = float(flops)
        return known


def work_of(
    kind: str,
    configs: Sequence[Mapping[str, Any]],
    known: Known,
    metrics: Mapping[str, float] | None = None,
) -> Work | None:
    """The work of a fit or an evaluation; None for the other kinds.

    Args:
        kind: of the step.
        configs: its configuration, then those of the runs it needs.
        known: what records tell.
        metrics: of the run, if it is done: a fit may have stopped early.
    """
    if kind not in ("fit", "eval"):
        return None
    data, form, network = _digests(configs)
    schedule = configs[0].get("schedule") or {}
    samples = _count(_first(configs, "dataset"), "n_train" if kind == "fit" else "n_test")
    epochs: float | None = None
    if kind == "fit":
        samples = known.samples.get(data) if samples is None else samples
        samples = _limited(samples, schedule)
        epochs = (metrics or {}).get("epochs") or schedule.get("epochs")
    return Work(epochs, samples, known.flops.get((network, form)), data, form, network)


def ratio(planned: Work, measured: Work) -> tuple[float, tuple[str, ...]] | None:
    """How many times the work of a measured run another one is, and in what the two differ.

    None when that cannot be known: nothing is guessed.
    """
    quotients: dict[str, float] = {}
    if planned.epochs and measured.epochs:
        quotients["epochs"] = planned.epochs / measured.epochs
    if planned.samples and measured.samples:
        quotients["samples"] = planned.samples / measured.samples
    elif planned.data != measured.data:
        return None
    if (planned.network, planned.form) != (measured.network, measured.form):
        if not planned.flops or not measured.flops:
            return None
        quotients["FLOPs"] = planned.flops / measured.flops
    return math.prod(quotients.values()), tuple(k for k, v in quotients.items() if v != 1)


def _digests(configs: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    """Of the data set, of the data set without counts, and of the network."""
    data = without_seeds(_first(configs, "dataset"))
    network = [_first(configs, "backbone"), _first(configs, "variants")]
    return digest(data), digest(_without_counts(data)), digest(without_seeds(network))


def _first(configs: Sequence[Mapping[str, Any]], key: str) -> Any:
    """The node of the run itself, else of the first run it needs that has one."""
    return next((config[key] for config in configs if config.get(key)), None)


def _without_counts(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {k: _without_counts(v) for k, v in node.items() if k not in COUNTS}
    return node


def _count(node: Any, key: str) -> float | None:
    """A count of samples anywhere in a data set's node."""
    if not isinstance(node, Mapping):
        return None
    value = node.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return next((n for v in node.values() if (n := _count(v, key)) is not None), None)


def _limited(samples: float | None, schedule: Mapping[str, Any]) -> float | None:
    limit = schedule.get("limit_batches")
    if limit is None or samples is None:
        return samples
    return min(samples, float(limit * schedule.get("batch_size", 1)))


def _trained_on(facts: Mapping[str, Any]) -> float | None:
    splits = (facts.get("data") or {}).get("splits") or {}
    count = (splits.get("train") or {}).get("count")
    return None if count is None else float(count)
