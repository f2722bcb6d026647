"""Executes one run folder: claim it, do its step, publish its record.

Launchers only ever start this. Who may execute is decided by leases in the folder, how it went is
said by state.json, and the result is record.json, which the first to finish publishes. A run on
several devices is several processes: only rank 0 claims the folder and writes into it.
"""

from __future__ import annotations

import contextlib
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
from thesisbench.launch.memory import failure_kind
from thesisbench.step import LostRunError, NeededRun, StepContext, StepResult
from thesisbench.store.disk import disk_fault
from thesisbench.store.folder import RunFolder
from thesisbench.store.lease import Lease, Outcome
from thesisbench.store.leftovers import tidy
from thesisbench.store.provenance import collect_provenance
from thesisbench.store.secrets import masked_output
from thesisbench.training.company import RankLostError, end_with_parent, in_company
from thesisbench.training.ranks import Rank, check_devices, device_type

BEAT_SECONDS = 5.0
REPORT_SECONDS = 0.5


@masked_output()
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
    rank = Rank.here(config["config"])
    if rank.number:
        return _accompany(folder, config, rank)
    claim = Lease.claim(path)
    if claim.outcome is not Outcome.OWNED or claim.lease is None:
        return DONE if claim.outcome is Outcome.DONE else BUSY
    started = time.time()
    with _Heartbeat(claim.lease, orphaned):
        try:
            result = _execute(folder, config, claim.lease, rank)
            return _publish(folder, config, claim.lease, result, started)
        except LostRunError as error:
            gone = disk_fault(error, path)  # the folder was taken away, not taken over
            return _interrupted(folder, claim.lease, gone) if gone else BUSY
        except RankLostError as error:
            return _bereft(folder, claim.lease, error)
        except Exception as error:
            if fault := disk_fault(error, path):  # nothing is wrong with the run
                return _interrupted(folder, claim.lease, fault)
            return _failed(folder, claim.lease, error)


def _accompany(folder: RunFolder, config: Mapping[str, Any], rank: Rank) -> int:
    """What a rank other than 0 does: its part of the step, and nothing to the folder."""
    end_with_parent()
    if folder.read_record() is not None:
        return DONE
    try:
        needs = _needs(folder, config)
        context = StepContext(
            config=config["config"],
            folder=folder,
            attempt=folder.path / "attempts",
            needs=needs,
            rank=rank,
        )
        _in_company(context, lambda _: os._exit(FAILED))
    except Exception as error:
        _complain(error)
        return FAILED
    return DONE


def _in_company(context: StepContext, stuck: Callable[[RankLostError], None]) -> StepResult:
    kind = device_type(context.config)
    if context.config["kind"] == "fit":
        check_devices(context.config)
    with in_company(context.rank, context.folder.path, kind, stuck):
        return run_step(context)


def _execute(folder: RunFolder, config: Mapping[str, Any], lease: Lease, rank: Rank) -> StepResult:
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
        rank=rank,
    )
    return _in_company(context, lambda error: os._exit(_bereft(folder, lease, error)))


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
    seconds = time.monotonic() - lease.began  # the clock may have been set meanwhile
    provenance = collect_provenance(
        threads=torch.get_num_threads(),
        started=started,
        finished=started + seconds,
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
        "cost": {"seconds": seconds, **result.cost},
        "provenance": {**provenance, "attempts": lease.n, "facts": result.facts},
    }
    if not folder.publish_record(record, lease):
        return BUSY if folder.read_record() is None else DONE  # what is there is another's
    with contextlib.suppress(UserError):  # the result is safe
        tidy(folder.path, result.facts.get("weights"))
        folder.write_state({"name": "done", "message": "", "progress": {}}, lease)
        lease.release()
    return DONE


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    bad = [name for name, value in metrics.items() if value != value or abs(value) == float("inf")]
    if bad:
        raise ValueError(f"metrics that are not finite numbers: {', '.join(bad)}")
    return dict(metrics)


def _bereft(folder: RunFolder, lease: Lease, error: RankLostError) -> int:
    """Ends a run whose other rank is gone: interrupted where it was killed, else failed."""
    if not error.killed:
        return _failed(folder, lease, error)
    return _interrupted(folder, lease, str(error))


def _interrupted(folder: RunFolder, lease: Lease, why: str) -> int:
    """Ends a run that the same command goes on with."""
    print(f"interrupted: {why}", file=sys.stderr)
    _conclude(folder, lease, {"name": "interrupted", "message": why, "progress": {}})
    return FAILED


def _failed(folder: RunFolder, lease: Lease, error: Exception) -> int:
    kind, text = failure_kind(error), _complain(error)
    _conclude(folder, lease, {"name": "failed", "kind": kind, "message": text, "progress": {}})
    return FAILED


def _conclude(folder: RunFolder, lease: Lease, state: Mapping[str, Any]) -> None:
    """Says how it ended and gives the folder back, as far as the disk lets us."""
    for action in (lambda: folder.write_state(state, lease), lease.release):
        try:
            action()
        except UserError as error:
            print(error, file=sys.stderr)


def _complain(error: Exception) -> str:
    """Prints what went wrong; one line of it."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, UserError):
        traceback.print_exc()
        text = f"{type(error).__name__}: {text}"
    if kind := failure_kind(error):
        text = f"{kind}: {text}"
    print(f"failed: {text}", file=sys.stderr)
    return text


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
