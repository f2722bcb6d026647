"""What the runs that a session has left to do cost together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from thesisbench.execute import Rerun, Work, longest_first, make_launcher, sort_out
from thesisbench.launch.jobs import Job
from thesisbench.planning.estimate import Estimate, Estimator
from thesisbench.planning.probe import Prober, Wish
from thesisbench.planning.probe_file import Probes
from thesisbench.planning.schedule import MOST_SIMULATED, bound_seconds, wall_seconds
from thesisbench.planning.spread import Spread
from thesisbench.planning.timings import Timings
from thesisbench.tables.session import Session

SEED_COUNTS = (1, 3)  # one is what the thesis did, three are the fewest that give a verdict


@dataclass
class Forecast:
    """The cost of what is left to do.

    Attributes:
        session: whose runs. launcher: the node of the configuration.
        workers: runs at a time. threads: of a run.
        probes: that were made in this runs folder.
    """

    session: Session
    launcher: Mapping[str, Any]
    workers: int = 1
    threads: int = 1
    probes: Probes = field(init=False)
    work: Work = field(init=False)
    estimates: dict[str, Estimate] = field(init=False)

    def __post_init__(self) -> None:
        made: Any = make_launcher(self.launcher, ())
        self._room, self.threads = made.room, made.threads
        self.workers = self._room().width
        self.probes = Probes(self.session.store.root)
        self.refresh()

    def refresh(self) -> None:
        """Estimates anew, with the probes there are by now."""
        plan = self.session.plan
        self.work = sort_out(plan.runs.values(), self.session.states, Rerun())
        self._estimator = Estimator(Timings.of(self.session), self.probes, self.threads)
        self.estimates = {job.id: self._estimator.of(plan.runs[job.id]) for job in self.work.jobs}

    def wishes(self) -> list[Wish]:
        """Fits to be probed: one of each kind that nothing alike was measured of here."""
        found: dict[str, Wish] = {}
        counts: dict[str, int] = {}
        for run_id, estimate in self.estimates.items():
            run = self.session.plan.runs[run_id]
            if run.kind == "fit" and estimate.basis not in ("alike", "probe"):
                key = self._estimator.settings(run)
                found.setdefault(key, Wish(run, key, estimate.machine))
                counts[key] = counts.get(key, 0) + 1
        return [found[key] for key in sorted(found, key=lambda k: -counts[k])]

    def prober(self) -> Prober:
        """What makes the probes."""
        return Prober(self.session.store, self.launcher, self.probes)

    @property
    def untimed(self) -> list[str]:
        """Ids of runs to do that nothing is known of."""
        return [i for i, estimate in self.estimates.items() if estimate.seconds is None]

    @property
    def simulated(self) -> bool:
        """Whether the wall time is that of a simulated schedule, and not only a bound."""
        return len(self.work.jobs) <= MOST_SIMULATED

    @property
    def wall(self) -> Spread | None:
        """Wall time of the runs to do that have a timing; None when none has."""
        if len(self.untimed) == len(self.work.jobs):
            return None
        jobs = self.work.jobs
        lengths = {i: e.seconds for i, e in self.estimates.items() if e.seconds is not None}
        order = longest_first(jobs, self.session.plan.runs, self.session.seconds)
        values = [
            self._together(order, {i: getattr(s, name) for i, s in lengths.items()})
            for name in ("low", "middle", "high")
        ]
        return Spread(*values)

    def _together(self, order: Sequence[Job], seconds: Mapping[str, float]) -> float:
        if self.simulated:
            return wall_seconds(order, seconds, self._room())
        return bound_seconds(self.work.jobs, seconds, self.workers)

    @property
    def gpu_seconds(self) -> float:
        """Seconds of GPUs, of the runs that have a timing."""
        return sum(s.middle * len(e.machine.gpus) for e, s in self._timed())

    @property
    def core_seconds(self) -> float:
        """Seconds of CPU cores, of the runs that have a timing and use no GPU."""
        return sum(s.middle * self.threads for e, s in self._timed() if not e.machine.gpus)

    def _timed(self) -> list[tuple[Estimate, Spread]]:
        return [(e, e.seconds) for e in self.estimates.values() if e.seconds is not None]

    @property
    def disk(self) -> tuple[float, int, int]:
        """Bytes, runs of which only the weights are counted, and runs of unknown size."""
        sizes = [(e.size, e.size_is_least) for e in self.estimates.values()]
        least = sum(is_least for _, is_least in sizes)
        return sum(s or 0.0 for s, _ in sizes), least, sum(s is None for s, _ in sizes)


def seed_costs(forecast: Forecast) -> dict[str, dict[int, Forecast]]:
    """What tables that have one seed at scale paper cost with one and with three.

    Returns:
        Table id -> number of seeds -> forecast. Nothing at other scales, where the user chose the
        seeds, and for tables whose runs take no seed.
    """
    session = forecast.session
    if session.scale != "paper" or session.seeds is not None or session.second_look:
        return {}
    single = {t: seeds[0] for t, seeds in session.plan.seeds.items() if len(seeds) == 1}
    return {
        table: {n: _with_seeds(forecast, table, range(seed, seed + n)) for n in SEED_COUNTS}
        for table, seed in single.items()
        if "seed" in session.catalog.table(table).replicates
    }


def _with_seeds(forecast: Forecast, table: str, seeds: Sequence[int]) -> Forecast:
    session = replace(forecast.session, tables=(table,), seeds=tuple(seeds))
    session.__dict__["summaries"] = forecast.session.summaries
    return Forecast(session, forecast.launcher)
