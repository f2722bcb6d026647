"""Which networks and variants are declared to mix no samples of a batch.

A class says so by `batch_free = True`. Then its results do not depend on how a batch is cut into
parts, so neither devices nor accumulation enter the id of a run. What the shipped classes say is
kept in a file (a test compares it with the code), so that planning imports no torch.
"""

from __future__ import annotations

import json
import pkgutil
from functools import lru_cache
from importlib.resources import files
from typing import Any

from thesisbench.instantiate import check_targets

KEPT = "batch_free.json"


def is_declared(target: str) -> bool:
    """Whether an instantiation target says that it is free of batch statistics.

    Raises:
        UserError: a target outside the allowed packages.
    """
    kept = _kept()
    if target in kept:
        return kept[target]
    check_targets({"_target_": target})
    return says_so(target)


@lru_cache(maxsize=512)
def says_so(target: str) -> bool:
    """What the code of a target says; False where it cannot be imported, which shows elsewhere."""
    try:
        found: Any = pkgutil.resolve_name(target)
    except Exception:  # importing a module may raise anything
        return False
    return getattr(found, "batch_free", False) is True


@lru_cache(maxsize=1)
def _kept() -> dict[str, bool]:
    text = (files("thesisbench") / KEPT).read_text(encoding="utf-8")
    kept: dict[str, bool] = json.loads(text)
    return kept
