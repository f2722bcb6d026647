"""Executes one run folder: claim it, do its step, publish its record.

Launchers only ever start this. Who may execute is decided by leases in the folder, how it went is
said by state.json, and the result is record.json, which the first to finish publishes.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from thesisbench.errors import UserError
from thesisbench.instantiate import make
from thesisbench.launch.jobs import BUSY, DONE, FAILED
from thesisbench.step import LostRunError, NeededRun, StepContext, StepResult
from thesisbench.store.folder import RunFolder
from thesisbench.store.lease import Lease, Outcome
from thesisbench.store.provenance import collect_provenance

BEAT_SECONDS = 5.0
REPORT_SECONDS = 0.5


def run_folder(path: Path, *, orphaned: Callable[[], bool] = lambda: False) -> int:
    """Executes a run folder.

    Args:
        path: the folder, with its config.yaml.
        orphaned: True once whoever started this is gone; the run then ends at once, resumable.

    Returns:
        DONE (also when it was done already), FAILED (state.json and log.txt say why), or BUSY
        (a live process has it).
    """
    folder = RunFolder(path)
    config = folder.read_config()
    claim = Lease.claim(path)
    if claim.outcome is not Outcome.OWNED or claim.lease is None:
        return DONE if claim.outcome is Outcome.DONE else BUSY
    started = time.time()
    with _Heartbeat(claim.lease, orphaned):
        try:
            result = _execute(folder, config, claim.lease)
            return _publish(folder, config, claim.lease, result, started)
        except LostRunError:
            return BUSY
        except Exception as error:
            return _failed(folder, claim.lease, error)


def _execute(folder: RunFolder, config: Mapping[str, Any], lease: Lease) -> StepResult:
    folder.write_state({"name": "running", "message": "", "progress": {}}, lease)
    needs = _needs(folder, config)
    if any(n.record["result"]["outcome"] == "diverged" for runs in needs.values() for n in runs):
        return StepResult(outcome="diverged", facts={"diverged": "a run it needs diverged"})
    earlier = [folder.attempt_dir(n) for n in range(lease.n - 1, 0, -1)]
    context = StepContext(
        config=config["config"],
        folder=folder,
        attempt=folder.attempt_dir(lease.n),
        previous=tuple(earlier),
        needs=needs,
        report=_Reporter(folder, lease),
        allowed=lease.is_mine,
    )
    return run_step(context)


def run_step(context: StepContext) -> StepResult:
    """Does the step a configuration describes: compute, evaluation or fit, whichever it has."""
    config = context.config
    for part in ("compute", "evaluation"):
        if config.get(part) and (part == "compute" or config["kind"] != "fit"):
            metrics = make(config[part])(context)
            context.result.metrics |= {name: float(value) for name, value in metrics.items()}
            return context.result
    if config["kind"] != "fit":
        raise UserError(f"a step of kind {config['kind']} needs compute=NAME or evaluation=NAME")
    from thesisbench.training.fit import run_fit  # Lightning is only needed here

    return run_fit(context)


def _needs(folder: RunFolder, config: Mapping[str, Any]) -> dict[str, tuple[NeededRun, ...]]:
    return {
        name: tuple(_needed(folder.path.parent / run_id) for run_id in ids)
        for name, ids in (config.get("needs") or {}).items()
    }


def _needed(path: Path) -> NeededRun:
    folder = RunFolder(path)
    record = folder.read_record()
    if record is None:
        raise UserError(f"needs run {folder.id}, which is not done")
    return NeededRun(folder, folder.read_config(), record)


def _publish(
    folder: RunFolder, config: Mapping[str, Any], lease: Lease, result: StepResult, started: float
) -> int:
    provenance = collect_provenance(
        threads=torch.get_num_threads(),
        started=started,
        finished=time.time(),
        config=config["config"],
    )
    keys = ("id", "lineage", "chapter", "step", "kind", "recipe", "scale", "levels", "replicate")
    record = {
        **{key: config.get(key) for key in keys},
        "overridden": bool(config.get("overridden")),
        "needs": dict(config.get("needs") or {}),
        "result": {
            "outcome": result.outcome,
            "metrics": _finite(result.metrics),
            "digests": result.digests,
        },
        "cost": {"seconds": time.time() - started, **result.cost},
        "provenance": {**provenance, "attempts": lease.n, "facts": result.facts},
    }
    if not folder.publish_record(record, lease):
        return BUSY if folder.read_record() is None else DONE  # what is there is another's
    tidy(folder.path / "attempts", result.facts.get("weights"))
    folder.write_state({"name": "done", "message": "", "progress": {}}, lease)
    lease.release()
    return DONE


def tidy(attempts: Path, kept: str | None) -> None:
    """Leaves of the files of all attempts only the kept weights (named from the run folder)."""
    for path in attempts.glob("*/checkpoints/*"):
        if path.is_file() and (kept is None or path != attempts.parent / kept):
            path.unlink(missing_ok=True)


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    bad = [name for name, value in metrics.items() if value != value or abs(value) == float("inf")]
    if bad:
        raise ValueError(f"metrics that are not finite numbers: {', '.join(bad)}")
    return dict(metrics)


def _failed(folder: RunFolder, lease: Lease, error: Exception) -> int:
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, UserError):
        traceback.print_exc()
        text = f"{type(error).__name__}: {text}"
    print(f"failed: {text}", file=sys.stderr)
    folder.write_state({"name": "failed", "message": text, "progress": {}}, lease)
    lease.release()
    return FAILED


class _Reporter:
    """Writes progress into state.json, not more often than is of use."""

    def __init__(self, folder: RunFolder, lease: Lease) -> None:
        self.folder, self.lease, self.last = folder, lease, 0.0

    def __call__(self, progress: dict[str, Any]) -> None:
        if time.monotonic() - self.last >= REPORT_SECONDS:
            self.last = time.monotonic()
            state = {"name": "running", "message": "", "progress": progress}
            self.folder.write_state(state, self.lease)


class _Heartbeat:
    """Renews the lease while the run goes on, and ends the process when nobody waits for it."""

    def __init__(self, lease: Lease, orphaned: Callable[[], bool]) -> None:
        self.lease, self.orphaned = lease, orphaned
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *exc: object) -> None:
        self.stopped.set()
        self.thread.join()

    def _beat(self) -> None:
        last = time.monotonic()
        while not self.stopped.wait(0.25):
            if self.orphaned():
                os._exit(BUSY)
            if time.monotonic() - last >= BEAT_SECONDS:
                last = time.monotonic()
                try:
                    self.lease.beat()
                except UserError:
                    continue  # the disk may come back; a lost lease shows before the next write
