"""`thesisbench search-hparams`: options, what is printed, and what machines are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thesisbench.compose import Composer
from thesisbench.launch.options import available_cores, positive
from thesisbench.search_hparams.search import Search
from thesisbench.search_hparams.space import Space
from thesisbench.search_hparams.study import imported
from thesisbench.selection import parse_seeds
from thesisbench.store.runs import RunStore
from thesisbench.store.secrets import refuse_secret_words
from thesisbench.tables.model import PlannedRun
from thesisbench.train import run_missing

if TYPE_CHECKING:
    from rich.console import Console

FINE, FAILED = 0, 1
WORKERS = "launcher.workers"


@dataclass(frozen=True)
class Options:
    """What the user gave.

    Attributes:
        metric, direction, trials, study, seeds: of the search. workers: runs at a time.
        config_dirs: of the user.
    """

    metric: str
    direction: str
    trials: int
    study: str | None
    seeds: str | None
    workers: int | None
    config_dirs: tuple[str, ...] = ()


def search_hparams(
    words: Sequence[str], options: Options, console: Console
) -> tuple[dict[str, Any], int]:
    """Makes a search, or goes on with it; what came of it, and the exit code.

    Raises:
        UserError: bad input, or Optuna is not installed.
    """
    imported()
    refuse_secret_words(words)
    composer, store = Composer(options.config_dirs), RunStore()
    extra = [] if options.workers is None else [f"{WORKERS}={options.workers}"]
    search = Search(
        composer,
        store,
        Space.of(composer, [*words, *extra]),
        options.metric,
        options.direction,
        parse_seeds(options.seeds) or (),
        options.study,
    )
    first = search.check()

    def run(runs: Sequence[PlannedRun]) -> None:
        run_missing(store, runs, (), console)

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    at_a_time = max(_workers(first.config.get("launcher") or {}) // max(len(search.seeds), 1), 1)
    say(f"study {search.study.name}, kept in {search.study.file}")
    search.go_on(options.trials, at_a_time, run, say)
    for problem in store.problems:
        say(problem)
    told = as_json(search)
    return told, FINE if told["best"] and not search.failed and not store.problems else FAILED


def as_json(search: Search) -> dict[str, Any]:
    """A search for machines."""
    trials = [
        {
            "number": trial.number,
            "state": trial.state,
            "value": trial.value,
            "parameters": dict(trial.values),
            "runs": list(trial.runs),
            "command": search.command(trial),
        }
        for trial in search.study.trials()
        if len(trial.values) == len(search.space.parameters)
    ]
    best = search.study.best()
    return {
        "study": search.study.name,
        "file": str(search.study.file),
        "metric": search.metric,
        "direction": search.direction,
        "seeds": list(search.seeds),
        "trials": trials,
        "best": next((t for t in trials if best and t["number"] == best.number), None),
    }


def print_best(told: dict[str, Any], console: Console) -> None:
    """The best trial, its runs, and how to train it."""
    best, states = told["best"], [trial["state"] for trial in told["trials"]]
    counted = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    lines = [f"no trial is done ({counted}); `thesisbench status` says why"]
    if best is not None:
        lines = [
            f"best of {len(states)} trials ({counted}): {told['metric']} {best['value']:.6g}, "
            f"trial {best['number']}",
            f"  run: {', '.join(best['runs'])}",
            f"  train it: {best['command']}",
        ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _workers(launcher: dict[str, Any]) -> int:
    """Runs that are executed at a time."""
    if launcher.get("name") == "inline":
        return 1
    threads = positive(launcher.get("threads") or 1, "launcher.threads")
    workers = launcher.get("workers")
    return max(available_cores() // threads, 1) if workers is None else positive(workers, WORKERS)
