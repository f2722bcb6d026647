"""From a plan to finished run folders: what is left to do, written down and given to a launcher."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thesisbench.errors import UserError, unknown
from thesisbench.launch.jobs import Job, Launcher, OnEvent, OnTick
from thesisbench.launch.local import LocalLauncher
from thesisbench.store.runs import RunStore
from thesisbench.tables.model import PlannedRun

FINISHED = ("done", "diverged")


@dataclass
class Rerun:
    """Which runs are executed again on request.

    Attributes:
        failed, stale: all runs in that state. ids: runs named one by one, whatever their state.
    """

    failed: bool = False
    stale: bool = False
    ids: frozenset[str] = frozenset()

    @classmethod
    def of(cls, words: Iterable[str], runs: Iterable[str]) -> Rerun:
        """Reads `--rerun failed|stale|ID`.

        Raises:
            UserError: an id that is not of these runs.
        """
        words, known = list(words), list(runs)
        named = {}
        for word in words:
            if word in ("failed", "stale"):
                continue
            found = [run for run in known if run.startswith(word)]
            if len(found) != 1:
                many = (
                    f"{len(found)} runs begin with it"
                    if found
                    else "no run of this plan begins with it"
                )
                raise UserError(f"--rerun {word!r}: {many}; give failed, stale or a run id")
            named[word] = found[0]
        return cls("failed" in words, "stale" in words, frozenset(named.values()))


@dataclass
class Work:
    """What is to be done.

    Attributes:
        jobs: to be executed, needed ones first. done: ids finished before.
        held: id -> why it is not executed (failed or stale, and not asked for; or blocked by one).
    """

    jobs: list[Job] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)


def sort_out(runs: Iterable[PlannedRun], states: Mapping[str, str], rerun: Rerun) -> Work:
    """Which runs are left to do, given their states."""
    work = Work()
    for run in runs:
        state, again = states.get(run.id, "absent"), run.id in rerun.ids
        needed = [n for ids in run.needs.values() for n in ids]
        redone = any(job.id in needed and job.id in rerun.ids for job in work.jobs)
        blocked = [n for n in needed if n in work.held]
        if state in FINISHED and not again and not redone:
            work.done.append(run.id)
        elif blocked:
            work.held[run.id] = f"needs {blocked[0]}, which is {work.held[blocked[0]].split()[0]}"
        elif state == "failed" and not (again or rerun.failed):
            work.held[run.id] = "failed before; --rerun failed tries it again"
        elif state == "stale" and not (again or rerun.stale):
            work.held[run.id] = (
                "stale: a record of an older revision is there; --rerun stale makes it anew"
            )
        else:
            work.jobs.append(Job(run.id, tuple(needed), run.exclusive))
    return work


def longest_first(
    jobs: Sequence[Job], runs: Mapping[str, PlannedRun], seconds: Mapping[str, float]
) -> list[Job]:
    """Jobs in the order that keeps all workers busy to the end.

    Those that need others come first (they start as soon as they may), then the longest; a job
    that nothing is known of counts as the longest.

    Args:
        jobs: to be ordered.
        runs: id -> run.
        seconds: id -> how long a run of the same step and levels took, where one is known.
    """
    known: dict[tuple[Any, ...], list[float]] = {}
    for run_id, value in seconds.items():
        known.setdefault(_like(runs[run_id]), []).append(value)

    def length(job: Job) -> float:
        values = known.get(_like(runs[job.id]))
        return sum(values) / len(values) if values else float("inf")

    return sorted(jobs, key=lambda job: (not job.needs, -length(job)))


def _like(run: PlannedRun) -> tuple[Any, ...]:
    return (run.chapter, run.step, *sorted(run.levels.items()))


def write_folders(
    store: RunStore, runs: Iterable[PlannedRun], wanted: Iterable[str], *, overridden: bool
) -> None:
    """Writes the configuration of each wanted run into its folder.

    One that was tried before gets the new one: a wrong device must not stay for ever.
    """
    chosen = set(wanted)
    for run in runs:
        if run.id not in chosen:
            continue
        folder, config = store.folder(run.id), folder_config(run, overridden=overridden)
        if store.state(run.id).name in ("failed", "interrupted", "queued"):
            folder.renew_config(config)
        else:
            folder.write_config(config)


def folder_config(run: PlannedRun, *, overridden: bool = False) -> dict[str, Any]:
    """What config.yaml of a run says."""
    return {
        "id": run.id,
        "lineage": run.lineage,
        "chapter": run.chapter,
        "step": run.step,
        "kind": run.kind,
        "recipe": run.recipe,
        "scale": run.scale,
        "levels": dict(run.levels),
        "replicate": dict(run.replicate),
        "tables": list(run.tables),
        "needs": {name: list(ids) for name, ids in run.needs.items()},
        "overridden": overridden,
        "config": dict(run.config),
    }


def discard(store: RunStore, ids: Iterable[str]) -> None:
    """Sets the folders of runs aside that are to be made anew (`<id>.old-<n>`); nothing is deleted.

    Raises:
        UserError: one of them is running.
    """
    for run_id in ids:
        path = store.folder(run_id).path
        if not path.exists():
            continue
        if store.state(run_id).name == "running":
            raise UserError(f"run {run_id} is running; wait for it or stop it first")
        number = 1
        while (target := path.with_name(f"{run_id}.old-{number}")).exists():
            number += 1
        path.rename(target)
        for name in ("record.json", "config.yaml"):  # a set-aside folder is no run folder
            if (target / name).exists():
                (target / name).rename(target / f"{name}.old")


def make_launcher(config: Mapping[str, Any], runs: Sequence[PlannedRun]) -> Launcher:
    """The launcher that a `launcher` node describes.

    Raises:
        UserError: no such launcher, or a number that is not one.
    """
    name = config.get("name", "local")
    if name == "inline":
        from thesisbench.launch.inline import InlineLauncher

        return InlineLauncher(_positive(config.get("threads", 1), "launcher.threads"))
    if name != "local":
        raise UserError(unknown("launcher", str(name), ("local", "inline")))
    threads = _positive(config.get("threads", 1), "launcher.threads")
    workers = config.get("workers")
    workers = max(1, available_cores() // threads) if workers is None else workers
    preload = ("thesisbench.launch.preload", *target_modules(runs))
    return LocalLauncher(_positive(workers, "launcher.workers"), threads, preload)


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


def execute(
    store: RunStore, launcher: Launcher, work: Work, on_event: OnEvent, on_tick: OnTick
) -> dict[str, str]:
    """Gives the jobs to the launcher; returns the final word on each."""
    return launcher.launch(store, work.jobs, on_event, on_tick) if work.jobs else {}


def _positive(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{name} must be a whole number of at least 1; got {value!r}")
    return value
