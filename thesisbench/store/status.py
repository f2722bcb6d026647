"""The status of a run, derived from its files each time and stored nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from thesisbench.store.lease import LeaseStatus, Owner

StateName = Literal["queued", "running", "done", "diverged", "failed", "interrupted", "absent"]

OUTCOMES = ("ok", "diverged")
OUT_OF_MEMORY = "out of memory"


@dataclass(frozen=True)
class RunStatus:
    """What a run folder says about its run.

    Attributes:
        name: absent (no such run), queued (never claimed), running (a live owner), done, diverged
            (a result too), failed (see the log), interrupted (claimed, but neither finished nor
            failed).
        message: why it failed or diverged, or what its owner is doing; may be empty.
        progress: what its owner last said, for example {"epoch": 3, "epochs": 10}.
        attempts: how often it was claimed.
        owner: who claimed it last, if known.
        seconds: how long it took, or takes so far; None if unknown.
        kind: name of a failure that has one of its own (OUT_OF_MEMORY), else empty.
    """

    name: StateName
    message: str = ""
    progress: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    owner: Owner | None = None
    seconds: float | None = None
    kind: str = ""


def derive(
    record: Mapping[str, Any] | None,
    state: Mapping[str, Any] | None,
    lease: LeaseStatus,
    *,
    planned: bool,
) -> RunStatus:
    """The status of a run from what its files say.

    A state that an earlier attempt wrote says nothing about the last one.

    Args:
        record: the record, if there is one.
        state: what an owner last said, if anything.
        lease: how the folder is held.
        planned: whether there is a configuration.
    """
    held = partial(RunStatus, attempts=lease.attempts, owner=lease.owner)
    if record is not None:
        provenance = record.get("provenance")
        seconds = provenance.get("wall_seconds") if isinstance(provenance, Mapping) else None
        name: StateName = "done" if outcome_of(record) == "ok" else "diverged"
        return held(name, str(record["result"].get("message", "")), seconds=_number(seconds))
    said = state if state and state.get("attempt") == lease.attempts else {}
    progress = said.get("progress")
    told = partial(
        held,
        message=str(said.get("message", "")),
        progress=progress if isinstance(progress, Mapping) else {},
        seconds=_number(said.get("seconds")),
    )
    if lease.state == "live":
        return told("running")
    if said.get("name") == "failed":
        return told("failed", kind=str(said.get("kind", "")))
    if lease.attempts:
        return told("interrupted")
    return RunStatus("queued" if planned else "absent")


def outcome_of(record: Mapping[str, Any]) -> str | None:
    """How the run of a record ended, one of `OUTCOMES`; None for what is no record."""
    result = record.get("result")
    outcome = result.get("outcome") if isinstance(result, Mapping) else None
    return outcome if isinstance(outcome, str) and outcome in OUTCOMES else None


def _number(value: Any) -> float | None:
    """A number as such, anything else as unknown."""
    return float(value) if isinstance(value, int | float) else None
