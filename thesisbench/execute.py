"""From a plan to finished run folders: what is left to do, written down and given to a launcher."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from thesisbench.errors import StorageError, UserError, unknown
from thesisbench.launch.jobs import FAILED, Event, Job, Launcher, OnEvent, OnTick
from thesisbench.launch.resources import Resources
from thesisbench.less_memory import PARTS, cut, more_parts, out_of_memory
from thesisbench.store.disk import check_writable
from thesisbench.store.folder import RunFolder
from thesisbench.store.runs import RunStore
from thesisbench.tables.model import PlannedRun

FINISHED = ("done", "diverged")
LAUNCHERS = ("local", "inline")  # modules of thesisbench.launch
WORDS = ("failed", "stale", "oom")


@dataclass
class Rerun:
    """Which runs are executed again on request.

    Attributes:
        failed, stale: all runs in that state. ids: runs named one by one, whatever their state.
        oom: whether those that ran out of memory are tried in smaller parts.
        parts: of these, id -> parts of a batch. refused: id -> why it cannot be cut.
    """

    failed: bool = False
    stale: bool = False
    ids: frozenset[str] = frozenset()
    oom: bool = False
    parts: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, words: Iterable[str], runs: Iterable[str]) -> Rerun:
        """Reads `--rerun failed|stale|oom|ID`.

        Raises:
            UserError: an id that is not of these runs.
        """
        words, known = list(words), list(runs)
        named = {}
        for word in words:
            if word in WORDS:
                continue
            found = [run for run in known if run.startswith(word)]
            if len(found) != 1:
                many = (
                    f"{len(found)} runs begin with it"
                    if found
                    else "no run of this plan begins with it"
                )
                raise UserError(f"--rerun {word!r}: {many}; give {', '.join(WORDS)} or a run id")
            named[word] = found[0]
        return cls(
            "failed" in words, "stale" in words, frozenset(named.values()), oom="oom" in words
        )

    def look_for_oom(self, store: RunStore, states: Mapping[str, str]) -> None:
        """Finds, where that was asked for, the runs that ran out of memory, and cuts their batches.

        Args:
            store: where they are.
            states: id -> state of each run.
        """
        failed = [i for i, state in states.items() if state == "failed" and i not in self.ids]
        for run_id in out_of_memory(store, failed) if self.oom else ():
            try:
                self.parts[run_id] = more_parts(store, run_id)
            except UserError as error:
                self.refused[run_id] = str(error)


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
        elif run.id in rerun.refused and not (again or rerun.failed):
            work.held[run.id] = f"failed out of memory; {rerun.refused[run.id]}"
        elif state == "failed" and not (again or rerun.failed or run.id in rerun.parts):
            work.held[run.id] = "failed before; --rerun failed tries it again"
        elif state == "stale" and not (again or rerun.stale):
            work.held[run.id] = (
                "stale: a record of an older revision is there; --rerun stale makes it anew"
            )
        else:
            work.jobs.append(job_of(run))
    return work


def job_of(run: PlannedRun) -> Job:
    """What a launcher is told of a run.

    Raises:
        UserError: it asks for devices that no launcher can give.
    """
    needed = tuple(n for ids in run.needs.values() for n in ids)
    return Job(run.id, needed, run.exclusive, Resources.of(run.config, run.kind))


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
    store: RunStore,
    runs: Iterable[PlannedRun],
    wanted: Iterable[str],
    *,
    overridden: bool,
    parts: Mapping[str, int] | None = None,
) -> None:
    """Writes the configuration of each wanted run into its folder.

    One that was tried before gets the new one: a wrong device must not stay for ever. Into how many
    parts its batches are cut since it ran out of memory stays.

    Args:
        store: where the folders are.
        runs: that are planned.
        wanted: ids of those to be written.
        overridden: whether what was asked for differs from the table's own runs.
        parts: id -> into how many parts its batches are to be cut from now on.
    """
    chosen = set(wanted)
    for run in runs:
        if run.id not in chosen:
            continue
        folder, config = store.folder(run.id), folder_config(run, overridden=overridden)
        state = store.state(run.id).name
        if state in ("failed", "interrupted", "queued"):
            tried = state != "queued"
            _cut(config, (parts or {}).get(run.id) or (_parts_of(folder) if tried else 0))
            folder.renew_config(config)
        else:
            folder.write_config(config)


def _parts_of(folder: RunFolder) -> int:
    """Into how many parts a run's batches are cut since it ran out of memory; 0: it never did."""
    try:
        return int(folder.read_config().get(PARTS, 0))
    except (UserError, ValueError):
        return 0  # it is about to be written anew


def _cut(config: dict[str, Any], parts: int) -> None:
    """Lets a run cut its batches into so many parts; 0 leaves them."""
    if parts:
        science = config.pop("config")
        config |= {PARTS: parts, "config": cut(science, parts)}


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

    Args:
        config: the node.
        runs: that are to be executed.

    Raises:
        UserError: no such launcher, a number that is not one, or runs that can never be executed
            there.
    """
    name = str(config.get("name", "local"))
    if name not in LAUNCHERS:
        raise UserError(unknown("launcher", name, LAUNCHERS))
    launcher: Launcher = import_module(f"thesisbench.launch.{name}").make(config, runs)
    launcher.check([job_of(run) for run in runs])
    return launcher


def execute(
    store: RunStore, launcher: Launcher, work: Work, on_event: OnEvent, on_tick: OnTick
) -> dict[str, str]:
    """Gives the jobs to the launcher; returns the final word on each.

    Raises:
        StorageError: the runs folder can no longer be written to; what was running can be resumed.
    """

    def note(run_id: str, event: Event) -> None:
        on_event(run_id, event)
        if event == "interrupted":  # would it happen to the others too?
            try:
                check_writable(store.root)
            except StorageError as error:
                error.code = FAILED  # not bad input: something was done
                raise

    return launcher.launch(store, work.jobs, note, on_tick) if work.jobs else {}
