"""What a run will take, and which timings that rests on.

In this order: runs that differ in their replicate only; a probe; runs of the same recipe, scaled
by how much more or less they compute, where that is known; runs of the same step at other levels,
as they are. Where there is nothing, nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from thesisbench.planning.machine import Machine
from thesisbench.planning.probe_file import Probe, Probes
from thesisbench.planning.settings import settings_digest
from thesisbench.planning.spread import Spread, seconds_text
from thesisbench.planning.timings import Timing, Timings
from thesisbench.planning.work import Work, ratio, work_of
from thesisbench.tables.model import PlannedRun

Basis = Literal["alike", "probe", "scaled", "other levels", "none"]


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        seconds: None when there is nothing to go by.
        basis: what kind of timing it rests on. why: the same in words.
        machine: it holds for. size: bytes the run leaves on disk, None when not known.
        size_is_least: the size is that of the weights only.
    """

    seconds: Spread | None
    basis: Basis
    why: str
    machine: Machine
    size: float | None = None
    size_is_least: bool = False


@dataclass
class Estimator:
    """Estimates runs of a plan.

    Attributes:
        timings: of finished runs. probes: of runs that were tried for a few steps.
        threads: that a run computes with.
    """

    timings: Timings
    probes: Probes
    threads: int
    _settings: dict[tuple[object, ...], str] = field(default_factory=dict)
    _made: dict[tuple[str, Machine], Estimate] = field(default_factory=dict)

    def settings(self, run: PlannedRun) -> str:
        """The digest that runs like this one have in common."""
        plan = self.timings.session.plan
        needs = {
            name: tuple(self.settings(plan.runs[i]) for i in ids) for name, ids in run.needs.items()
        }
        # In one plan, runs of a step with the same levels and needs differ in their replicate only.
        key = (run.chapter, run.step, tuple(run.levels.items()), tuple(needs.items()))
        if key not in self._settings:
            self._settings[key] = settings_digest(run.config, needs)
        return self._settings[key]

    def machine(self, run: PlannedRun) -> Machine:
        """What a run would be computed on."""
        return Machine.here(run.config, run.kind, self.threads)

    def of(self, run: PlannedRun) -> Estimate:
        """What a run will take."""
        key = (self.settings(run), self.machine(run))
        if key not in self._made:
            self._made[key] = self._estimate(run, *key)
        return self._made[key]

    def _estimate(self, run: PlannedRun, settings: str, here: Machine) -> Estimate:
        seconds, basis, why = self._seconds(run, settings, here)
        size, is_least = self._size(run, settings)
        return Estimate(seconds, basis, why, here, size, is_least)

    def _seconds(
        self, run: PlannedRun, settings: str, here: Machine
    ) -> tuple[Spread | None, Basis, str]:
        alike = [t for t in self.timings.found if t.settings == settings]
        mine = [t for t in alike if t.machine.is_like(here)]
        probe = self.probes.get(settings, here)
        if alike and (mine or probe is None):
            spread, text = _spread(mine or alike, here)
            return spread, "alike", f"{text} of the same step and levels"
        if probe is not None:
            return _probed(run, probe)
        return self._scaled(run, here) or self._other_levels(run, here) or self._nothing(run)

    def _scaled(self, run: PlannedRun, here: Machine) -> tuple[Spread, Basis, str] | None:
        planned = work_of(run.kind, self._configs(run), self.timings.known)
        groups: dict[str | None, list[_Scaled]] = {}
        for timing in self.timings.found:
            scaled = _scale(planned, timing) if timing.recipe == run.recipe else None
            if scaled is not None:
                groups.setdefault(timing.settings, []).append(scaled)
        if planned is None or not groups:
            return None
        best = min(groups.values(), key=lambda group: _distance(run, planned, group[0]))
        kept = {id(t) for t in _preferred([s.timing for s in best], here)}
        best = [s for s in best if id(s.timing) in kept]
        return _scaled_spread(best), "scaled", _scaled_text(run, best, here)

    def _other_levels(self, run: PlannedRun, here: Machine) -> tuple[Spread, Basis, str] | None:
        step = f"{run.chapter}:{run.step}"
        changed = run.id in self.timings.session.plan.overridden
        found = [
            t
            for t in self.timings.found
            if (t.step, t.scale) == (step, run.scale) and not (t.overridden or changed)
        ]
        if not found:
            return None
        spread, text = _spread(_preferred(found, here), here)
        return spread, "other levels", f"{text} of the same step at other levels, not scaled"

    def _nothing(self, run: PlannedRun) -> tuple[None, Basis, str]:
        hint = "`--probe` measures 20 steps" if run.kind == "fit" else "no run like it is done"
        return None, "none", f"no timing ({hint})"

    def _size(self, run: PlannedRun, settings: str) -> tuple[float | None, bool]:
        """Bytes that a run leaves, and whether it may well be more."""
        step = f"{run.chapter}:{run.step}"
        alike = [t for t in self.timings.found if t.settings == settings]
        near = [t for t in self.timings.found if (t.step, t.scale) == (step, run.scale)]
        for timings in (alike, near):
            sizes = [t.size for t in timings if t.size is not None]
            if sizes:
                return float(median(sizes)), False
        weights = [t.weights for t in alike or near if t.weights is not None]
        return (float(median(weights)), True) if weights else (None, False)

    def _configs(self, run: PlannedRun) -> list[dict[str, object]]:
        plan = self.timings.session.plan
        needed = (plan.runs[i] for ids in run.needs.values() for i in ids)
        return [dict(run.config), *(dict(r.config) for r in needed)]


@dataclass(frozen=True)
class _Scaled:
    """A timing of other work: how many times that work the planned run is, and in what."""

    timing: Timing
    work: Work
    factor: float
    by: tuple[str, ...]


def _scale(planned: Work | None, timing: Timing) -> _Scaled | None:
    if planned is None or timing.work is None:
        return None
    found = ratio(planned, timing.work)
    return None if found is None else _Scaled(timing, timing.work, *found)


def _distance(run: PlannedRun, planned: Work, other: _Scaled) -> tuple[bool, bool, float]:
    """How far a run is: another scale, another network, more or less work."""
    far = abs(math.log(other.factor))
    return (other.timing.scale != run.scale, other.work.network != planned.network, far)


def _scaled_spread(timings: Sequence[_Scaled]) -> Spread:
    return Spread.of(s.timing.seconds * s.factor for s in timings)


def _scaled_text(run: PlannedRun, timings: Sequence[_Scaled], here: Machine) -> str:
    spread, text = _spread([s.timing for s in timings], here)
    scale, by = timings[0].timing.scale, list(dict.fromkeys(n for s in timings for n in s.by))
    place = "with other levels or settings" if scale == run.scale else f"at scale {scale}"
    factor = f"{median(s.factor for s in timings):.2g}"
    each = seconds_text(spread.middle)
    scaled = f"{each}, times {factor} for {' x '.join(by)}" if by else "as much work"
    return f"{text} of the same recipe {place} ({scaled}{_may_stop(run)})"


def _preferred(timings: Sequence[Timing], here: Machine) -> Sequence[Timing]:
    """Those of this hardware, if there are any."""
    return [t for t in timings if t.machine.is_like(here)] or timings


def _spread(timings: Sequence[Timing], here: Machine) -> tuple[Spread, str]:
    """What runs took, and how many they were; other hardware is named."""
    others = list(dict.fromkeys(t.machine.text for t in timings if not t.machine.is_like(here)))
    text = f"{len(timings)} run{'' if len(timings) == 1 else 's'}"
    text += f" on {'; '.join(others)} (here: {here.text})" if others else ""
    return Spread.of(t.seconds for t in timings), text


def _probed(run: PlannedRun, probe: Probe) -> tuple[Spread, Basis, str]:
    epochs = int((run.config.get("schedule") or {}).get("epochs", 1))
    steps = Spread.of(probe.steps)
    low, middle, high = (probe.seconds(epochs, s) for s in (steps.low, steps.middle, steps.high))
    text = f"a probe of {probe.count} training steps{_may_stop(run)}"
    return Spread(low, middle, high), "probe", text


def _may_stop(run: PlannedRun) -> str:
    patience = (run.config.get("schedule") or {}).get("patience")
    return "" if patience is None else ", less if it stops early"
