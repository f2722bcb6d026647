"""Ad-hoc runs and sweeps: plain Hydra on the command line, our run folders and records behind."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Glob, Override
from rich.console import Console

from thesisbench.compose import Composed, Composer
from thesisbench.errors import UserError
from thesisbench.execute import (
    Rerun,
    discard,
    execute,
    make_launcher,
    sort_out,
    write_folders,
)
from thesisbench.identity import run_id
from thesisbench.instantiate import check_targets
from thesisbench.loggers.sweep import Mirror
from thesisbench.progress import Display
from thesisbench.store.leftovers import clear_leftovers
from thesisbench.store.runs import RunStore
from thesisbench.store.secrets import refuse_secret_words
from thesisbench.tables.model import PlannedRun

HYDRA_FLAGS = ("--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i", "--version")
MULTIRUN = ("-m", "--multirun")
BAD_INPUT = 2


def train(arguments: Sequence[str], console: Console) -> int:
    """Executes the command line of `thesisbench train`; returns the exit code.

    Raises:
        UserError: bad input.
    """
    if any(a in HYDRA_FLAGS or a.startswith(("--cfg=", "--info=")) for a in arguments):
        return _hydra(arguments)
    overrides, multirun, composer, rerun = _options(arguments)
    refuse_secret_words(overrides)
    runs = plan_sweep(composer, overrides, multirun=multirun)
    check_targets([dict(run.config) for run in runs])
    return _execute(runs, rerun, console)


def plan_sweep(composer: Composer, overrides: Sequence[str], *, multirun: bool) -> list[PlannedRun]:
    """The runs of a command line: one, or with -m the product of all sweeps in it.

    Raises:
        UserError: a sweep without -m, or a configuration that is no runnable step.
    """
    lines = expand(composer, overrides) if multirun else [list(overrides)]
    runs = [ad_hoc_run(composer.compose(line, "train")) for line in lines]
    return list({run.id: run for run in runs}.values())


def expand(composer: Composer, overrides: Sequence[str]) -> list[list[str]]:
    """All combinations of a sweep, by Hydra's own grammar (comma lists, range, choice, glob)."""
    options: list[list[str]] = []
    for override in composer.parse(overrides, "train"):
        if override.is_sweep_override():
            options.append(
                [f"{override.get_key_element()}={v}" for v in _values(composer, override)]
            )
        else:
            options.append([str(override.input_line)])
    return [list(line) for line in itertools.product(*options)]


def _values(composer: Composer, override: Override) -> list[str]:
    """What a sweep goes through.

    Raises:
        UserError: nothing fits.
    """
    value, valid = override.value(), list[str]()
    if isinstance(value, Glob):
        valid = composer.options(override.key_or_group)
        values = value.filter(valid)
    else:
        values = list(override.sweep_string_iterator())
    if not values:
        text = f"{override.input_line!r} stands for no value at all"
        raise UserError(f"{text}; valid: {', '.join(sorted(valid))}" if valid else text)
    return values


def ad_hoc_run(composed: Composed) -> PlannedRun:
    """A run that no table asked for."""
    config, recipe = composed.config, composed.choices.get("experiment", "none")
    if config["kind"] not in ("fit", "analytic"):
        raise UserError(f"{recipe} is of kind {config['kind']}; use `thesisbench evaluate RUN`")
    shown = ("backbone", "border", "pool", "dataset")
    levels = {k: v for k, v in composed.choices.items() if k in shown}
    return PlannedRun(
        id=run_id(config, composed.choices, {}),
        lineage=run_id(config, composed.choices, {}, with_revision=False),
        chapter=recipe.rpartition("/")[0],
        step=recipe.rpartition("/")[2],
        kind=config["kind"],
        recipe=recipe,
        scale="ad hoc",
        levels={k: v for k, v in levels.items() if v != "none"},
        replicate={"seed": config["seed"]},
        config=config,
    )


def _execute(runs: Sequence[PlannedRun], rerun: Sequence[str], console: Console) -> int:
    store = RunStore()
    run_missing(store, runs, rerun, console)
    return _report(store, runs, console)


def run_missing(
    store: RunStore, runs: Sequence[PlannedRun], rerun: Sequence[str], console: Console
) -> None:
    """Executes those of some runs that are not finished; failed ones are tried again.

    Args:
        store: where their folders are.
        runs: that need no others; launcher and logger are the first one's.
        rerun: words of --rerun.
        console: progress is shown there.

    Raises:
        UserError: bad input; nothing was run then.
    """
    known = {run.id: run for run in runs}
    states = {i: store.state(i).name for i in known}
    again = Rerun.of(rerun or ["failed"], known)
    again.look_for_oom(store, states)
    for reason in again.refused.values():
        raise UserError(f"--rerun oom: {reason}")
    work = sort_out(runs, states, again)
    if work.jobs:
        first = runs[0].config
        wanted = [job.id for job in work.jobs]
        launcher = make_launcher(first.get("launcher") or {}, [known[i] for i in wanted])
        discard(store, again.ids)
        write_folders(store, runs, wanted, overridden=False, parts=again.parts)
        mirror = Mirror.start(
            list(runs),
            store.root,
            dict(first.get("logger") or {}),
            lambda line: console.print(line, markup=False, highlight=False),
        )
        try:
            with Display(console, store, known, len(work.jobs)) as display:
                execute(store, launcher, work, display.on_event, display.on_tick)
        finally:
            if mirror is not None:
                mirror.close()
    clear_leftovers(store, known)


def _report(store: RunStore, runs: Sequence[PlannedRun], console: Console) -> int:
    failed = 0
    for run in runs:
        state, record = store.state(run.id), store.record(run.id)
        metrics = record["result"]["metrics"] if record else {}
        shown = ", ".join(f"{k} {v:.4g}" for k, v in metrics.items())
        text = f"{run.title}: {state.name} {shown or state.message} ({store.folder(run.id).path})"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        failed += record is None
    for problem in store.problems:
        console.print(problem, markup=False, highlight=False)
    return 1 if failed or store.problems else 0


def _options(arguments: Sequence[str]) -> tuple[list[str], bool, Composer, list[str]]:
    """Splits our few options off the overrides."""
    overrides: list[str] = []
    taken: dict[str, list[str]] = {"--config-dir": [], "--allow-targets": [], "--rerun": []}
    rest, multirun = iter(arguments), False
    for word in rest:
        name, equals, value = word.partition("=")
        if word in MULTIRUN:
            multirun = True
        elif name in taken:
            value = value if equals else next(rest, "")
            if not value:
                raise UserError(f"{name} needs a value")
            taken[name].append(value)
        elif word.startswith("-"):
            valid = ", ".join(["-m", *taken, "--cfg job", "--help"])
            raise UserError(f"unknown option {word!r}; valid: {valid}; overrides are KEY=VALUE")
        elif "=" not in word and not word.startswith("~"):
            raise UserError(f"{word!r} is not an override; overrides are KEY=VALUE, such as seed=1")
        else:
            overrides.append(word)
    if taken["--allow-targets"]:
        from thesisbench.selectors import allow

        allow(taken["--allow-targets"])
    return overrides, multirun, Composer(tuple(taken["--config-dir"])), taken["--rerun"]


def _check(arguments: Sequence[str]) -> None:
    """Says wrong overrides of a recipe in one line, which Hydra does not."""
    overrides = [a for a in arguments if "=" in a and not a.startswith("-")]
    folders = [a.partition("=")[2] for a in arguments if a.startswith("--config-dir=")]
    folders += [
        folder for flag, folder in itertools.pairwise(arguments) if flag in ("--config-dir", "-cd")
    ]
    if any(override.startswith("experiment=") for override in overrides):
        Composer(tuple(folders)).compose(overrides, "train")


def _hydra(arguments: Sequence[str]) -> int:
    """Hydra's own help and --cfg; the body of the application is never reached."""
    import hydra

    from thesisbench.schema import register

    register()
    _check(arguments)
    sys.argv = ["thesisbench train", *arguments]
    os.environ.setdefault("HYDRA_FULL_ERROR", "0")

    @hydra.main(version_base="1.3", config_path="pkg://thesisbench.conf", config_name="train")
    def never(config: Any) -> None:  # pragma: no cover - only flags that print lead here
        del config

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            never()
    except SystemExit as stop:
        if stop.code == BAD_INPUT:  # the last line of Hydra's usage says what is wrong
            last = said.getvalue().strip().rpartition("error: ")[2]
            raise UserError(f"{last}; see thesisbench train --help") from None
        sys.stderr.write(said.getvalue())
        raise
    sys.stderr.write(said.getvalue())
    return 0
