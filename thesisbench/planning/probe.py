"""Probes: a few training steps of fits that nothing like was run before, to estimate them.

They are run one after the other by the launcher that a real run would have, with its threads, in a
runs folder of their own that is gone afterwards: a probe never leaves a record.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from thesisbench.execute import folder_config, job_of, make_launcher
from thesisbench.instantiate import ALLOW_VARIABLE, check_targets
from thesisbench.launch.environment import changed_environment
from thesisbench.planning.machine import Machine
from thesisbench.planning.probe_file import Probe, Probes
from thesisbench.progress import Display
from thesisbench.store.runs import RunStore
from thesisbench.tables.model import PlannedRun

STEPS = 20
CLOCK = "thesisbench.training.step_clock"


@dataclass(frozen=True)
class Wish:
    """A fit to be probed.

    Attributes:
        run: one of the runs that are alike. settings: their digest. machine: they are for.
    """

    run: PlannedRun
    settings: str
    machine: Machine


@dataclass
class Prober:
    """Makes probes.

    Attributes:
        store: where the runs lie that a probed fit needs. launcher: the node of the configuration.
        probes: where they are kept, each as soon as it is made.
        made: titles of the fits that were probed.
        failed: title of a fit -> why there is no probe of it.
    """

    store: RunStore
    launcher: Mapping[str, Any]
    probes: Probes
    made: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def make(self, wishes: Sequence[Wish], console: Console) -> None:
        """Makes probes, as far as that is possible.

        Raises:
            UserError: a configuration that calls into a package that is not allowed.
            KeyboardInterrupt: the user stopped it; what is finished is kept.
        """
        possible = [wish for wish in wishes if self._has_needs(wish.run)]
        check_targets([dict(wish.run.config) for wish in possible])
        if possible:
            with tempfile.TemporaryDirectory(prefix="thesisbench-probe-") as folder:
                self._launch(possible, RunStore(Path(folder)), console)

    def _launch(self, wishes: Sequence[Wish], store: RunStore, console: Console) -> None:
        by_id = {wish.run.id: wish for wish in wishes}
        runs = {run_id: wish.run for run_id, wish in by_id.items()}
        launcher = make_launcher({**self.launcher, "workers": 1}, list(runs.values()))
        for wish in wishes:
            self._write(wish.run, store)
        with Display(console, store, runs, len(runs)) as display, _clock_allowed():

            def on_event(run_id: str, event: Any) -> None:
                over = event not in ("started", "elsewhere")
                display.on_event(run_id, "done" if over else event)  # failures are told at the end
                if over:
                    self._read(by_id[run_id], store)

            jobs = [replace(job_of(run), needs=()) for run in runs.values()]
            launcher.launch(store, jobs, on_event, display.on_tick)

    def _has_needs(self, run: PlannedRun) -> bool:
        missing = [i for ids in run.needs.values() for i in ids if self.store.record(i) is None]
        if missing:
            self.failed[run.title] = f"needs run {missing[0]}, which is not done here"
        return not missing

    def _write(self, run: PlannedRun, store: RunStore) -> None:
        """Writes the folder of a probe, and links to the runs it needs."""
        for run_id in (i for ids in run.needs.values() for i in ids):
            if not store.folder(run_id).path.exists():
                target = self.store.folder(run_id).path.resolve()
                store.folder(run_id).path.symlink_to(target, target_is_directory=True)
        folder = store.folder(run.id)
        config = probe_config(run.config, _clock_file(store, run.id))
        folder.write_config({**folder_config(run), "config": config})

    def _read(self, wish: Wish, store: RunStore) -> None:
        """Keeps what a finished probe measured."""
        probe = read_probe(store, wish.run)
        if probe is None:
            said = store.state(wish.run.id)
            diverged = "the loss left the finite range in its first steps"
            self.failed[wish.run.title] = diverged if said.name == "diverged" else said.message
            return
        self.probes.keep([(wish.settings, wish.machine, probe)])
        self.made.append(wish.run.title)


def probe_config(config: Mapping[str, Any], clock: Path) -> dict[str, Any]:
    """The configuration of a fit, ended after a few steps by a clock that writes to a file."""
    schedule = dict(config["schedule"])
    schedule["limit_batches"] = min(schedule.get("limit_batches") or STEPS, STEPS)
    schedule["patience"] = None
    schedule["epochs"] = max(schedule["epochs"], STEPS)  # an epoch may be one step
    node = {"_target_": f"{CLOCK}.StepClock", "path": str(clock), "steps": STEPS}
    callbacks = {**(config.get("callbacks") or {}), "step_clock": node}
    return {**config, "schedule": schedule, "callbacks": callbacks}


def read_probe(store: RunStore, run: PlannedRun) -> Probe | None:
    """What a probe measured; None if it did not come so far."""
    record, path = store.record(run.id), _clock_file(store, run.id)
    if record is None or record["result"]["outcome"] != "ok" or not path.exists():
        return None
    said = json.loads(path.read_text(encoding="utf-8"))
    once = record["cost"]["seconds"] - said.pop("loop")
    limit = (run.config.get("schedule") or {}).get("limit_batches")
    if limit is not None:
        for name in ("batches", "validation_batches"):
            said[name] = min(said[name], limit)
    return Probe(**{**said, "steps": tuple(said["steps"]), "once": once})


def _clock_file(store: RunStore, run_id: str) -> Path:
    return store.root / f"{run_id}.clock.json"


@contextmanager
def _clock_allowed() -> Iterator[None]:
    """Lets the configurations of probes name the clock."""
    allowed = filter(None, [os.environ.get(ALLOW_VARIABLE), CLOCK])
    with changed_environment({ALLOW_VARIABLE: ",".join(allowed)}):
        yield
