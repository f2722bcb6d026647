"""The search itself: asks for trials, executes their runs, tells what they came to."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Any

from thesisbench.compose import Composer
from thesisbench.errors import UserError, unknown
from thesisbench.instantiate import ALLOW_VARIABLE, check_targets
from thesisbench.search_hparams.space import ORIGIN, Space
from thesisbench.search_hparams.study import Outcome, Study, Trial
from thesisbench.selection import changes_runs
from thesisbench.store.files import canonical_json
from thesisbench.store.runs import RunStore
from thesisbench.tables.model import PlannedRun
from thesisbench.train import ad_hoc_run

DIRECTIONS = ("minimize", "maximize")

Run = Callable[[Sequence[PlannedRun]], None]
Say = Callable[[str], None]


@dataclass
class Search:
    """A search over a recipe.

    Attributes:
        composer: makes configurations. store: the runs folder. space: what is searched.
        metric: of the records. direction: minimize or maximize.
        seeds: averaged over; empty for the recipe's own one.
        name: of the study; None for one made of all of the above.
    """

    composer: Composer
    store: RunStore
    space: Space
    metric: str
    direction: str = "minimize"
    seeds: tuple[int, ...] = ()
    name: str | None = None
    failed: int = field(default=0, init=False)

    def check(self) -> PlannedRun:
        """Looks before anything is executed whether the search can be made; one of its runs.

        Raises:
            UserError: an unknown direction, key, value or metric, or two words on seeds.
        """
        if self.direction not in DIRECTIONS:
            raise UserError(unknown("--direction", self.direction, DIRECTIONS))
        if not self.metric:
            raise UserError("--metric '': give the name of a metric of the runs")
        if self.seeds and any(word.startswith("seed=") for word in self.space.fixed):
            raise UserError(f"{ORIGIN}: give seed=N or --seeds, not both")
        first, *_ = (ad_hoc_run(self.composer.compose(x, ORIGIN)) for x in self.space.examples())
        check_targets([dict(first.config)])
        known = {
            metric
            for run in self.store.summaries().values()
            if run.recipe == first.recipe and run.state == "done"
            for metric in run.metrics
        }
        if known:
            self._check_metric(known)
        return first

    @cached_property
    def study(self) -> Study:
        """Where the trials are kept."""
        fixed = [word for word in self.space.fixed if changes_runs(word)]
        settings: dict[str, Any] = {
            "recipe or fixed override": fixed,
            "space": [parameter.as_json() for parameter in self.space.parameters],
            "metric": self.metric,
            "direction": self.direction,
            "list of seeds": list(self.seeds),
        }
        digest = hashlib.sha256(canonical_json(settings).encode()).hexdigest()[:8]
        recipe = self.composer.compose(next(self.space.examples()), ORIGIN).choices["experiment"]
        name = self.name if self.name is not None else f"{recipe.rpartition('/')[2]}-{digest}"
        return Study.open(self.store.root, name, self.space, settings)

    def go_on(self, trials: int, at_a_time: int, run: Run, say: Say) -> None:
        """Executes trials until so many are done; those left open by an interruption come first.

        Args:
            trials: that the study is to have in the end.
            at_a_time: trials that are drawn up together.
            run: executes those of some runs that are not finished.
            say: takes a line for the user.

        Raises:
            UserError: the runs do not have the metric.
        """
        while batch := self._batch(trials, at_a_time):
            planned = {trial.number: self.runs(trial) for trial in batch}
            run(list({r.id: r for runs in planned.values() for r in runs}.values()))
            outcomes = [self._tell(trial, planned[trial.number], say) for trial in batch]
            self.failed += outcomes.count("failed")
            if set(outcomes) == {"failed"} and self.study.best() is None:
                return  # whatever is wrong is wrong with all of them

    def runs(self, trial: Trial) -> list[PlannedRun]:
        """The runs of a trial, one a seed."""
        line = self.space.line(dict(trial.values))
        lines = [[*line, f"seed={seed}"] for seed in self.seeds] or [line]
        return [ad_hoc_run(self.composer.compose(words, ORIGIN)) for words in lines]

    def command(self, trial: Trial) -> str:
        """The command line that trains what a trial has tried."""
        words = ["thesisbench", "train", *self.space.line(dict(trial.values))]
        if self.seeds:
            words.append(f"seed={','.join(map(str, self.seeds))}")
            words += ["-m"] if len(self.seeds) > 1 else []
        for folder in self.composer.searchpath:
            words += ["--config-dir", folder]
        for package in filter(None, os.environ.get(ALLOW_VARIABLE, "").split(",")):
            words += ["--allow-targets", package]
        return shlex.join(words)

    def _batch(self, trials: int, at_a_time: int) -> list[Trial]:
        known = self.study.trials()
        left = [trial for trial in known if trial.state == "open"]
        done = sum(trial.state in ("done", "diverged") for trial in known)
        new = trials - done - len(left) - self.failed
        batch = left[:at_a_time]
        return batch + [self.study.ask() for _ in range(min(new, at_a_time - len(batch)))]

    def _tell(self, trial: Trial, runs: Sequence[PlannedRun], say: Say) -> Outcome:
        outcome, value = self._outcome(runs)
        self.study.tell(trial, outcome, value, [run.id for run in runs])
        came_to = f"{self.metric} {value:.6g}" if value is not None else outcome
        words = " ".join(p.override(trial.values[p.key]) for p in self.space.parameters)
        say(f"trial {trial.number}: {came_to} at {words} (run {', '.join(r.id for r in runs)})")
        return outcome

    def _outcome(self, runs: Sequence[PlannedRun]) -> tuple[Outcome, float | None]:
        """What the runs of a trial came to; the mean of the metric over them when all are done."""
        results = [(self.store.record(run.id) or {}).get("result") for run in runs]
        if not all(results):
            return "failed", None
        if any(result["outcome"] == "diverged" for result in results if result):
            return "diverged", None
        metrics: list[Mapping[str, float]] = [result["metrics"] for result in results if result]
        for found in metrics:
            self._check_metric(found)
        return "done", fmean(found[self.metric] for found in metrics)

    def _check_metric(self, known: Mapping[str, Any] | set[str]) -> None:
        if self.metric not in known:
            raise UserError(f"--metric {self.metric}: the runs have no such metric; they have "
                            f"{', '.join(sorted(known)) or 'none'}")  # fmt: skip
