"""What the `launcher` node of a configuration may say, and what it means when it says nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from thesisbench.errors import UserError
from thesisbench.tables.model import PlannedRun


def positive(value: Any, name: str) -> int:
    """A whole number of at least 1.

    Raises:
        UserError: naming the key, what it may be and what stands there.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{name} must be a whole number of at least 1; got {value!r}")
    return value


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def target_modules(runs: Iterable[PlannedRun]) -> list[str]:
    """Modules the runs will instantiate from, to be imported once and not once a run."""
    from thesisbench.instantiate import allowed_packages, targets

    modules = {t.rpartition(".")[0] for run in runs for t in targets(dict(run.config))}
    return sorted(
        m for m in modules if any(f"{m}.".startswith(f"{p}.") for p in allowed_packages())
    )
