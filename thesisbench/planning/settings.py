"""Which runs take equally long: those that differ in nothing but their replicate.

Two runs are alike when the science parts of their configurations are the same apart from seeds, and
the runs they need are alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from thesisbench.identity import SCIENCE, science
from thesisbench.instantiate import targets
from thesisbench.store.files import canonical_json

REPLICATE_KEYS = ("seed", "split")
DIGITS = 16


def settings_digest(config: Mapping[str, Any], needs: Mapping[str, Sequence[str]]) -> str:
    """A digest that like runs have in common.

    Args:
        config: resolved configuration as plain data.
        needs: input name -> digests of the needed runs, in order.

    Raises:
        UserError: a target that is not allowed or not there.
        ValueError: a configuration that is no plain data.
    """
    parts = {
        "values": without_seeds(science(config, {})["values"]),
        "targets": list(targets({k: config[k] for k in SCIENCE if k in config})),
        "needs": {name: list(digests) for name, digests in needs.items()},
    }
    return digest(parts)


def without_seeds(node: Any) -> Any:
    """Plain data without the entries in which replicates differ.

    >>> without_seeds({"seed": 3, "dataset": {"data_seed": 3, "n": 5}})
    {'dataset': {'n': 5}}
    """
    if isinstance(node, Mapping):
        kept = {k: v for k, v in node.items() if not _is_replicate(str(k))}
        return {k: without_seeds(v) for k, v in kept.items()}
    if isinstance(node, list | tuple):
        return [without_seeds(v) for v in node]
    return node


def digest(value: Any) -> str:
    """A short digest of plain data."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:DIGITS]


def _is_replicate(key: str) -> bool:
    return key in REPLICATE_KEYS or key.endswith("_seed")
