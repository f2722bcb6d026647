"""The commands that take recipes and runs: train, search-hparams, evaluate, run; and doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thesisbench.commands.output import console, put
from thesisbench.completion import complete_overrides, complete_runs
from thesisbench.errors import UserError
from thesisbench.selectors import AsJson, ConfigDirs, Targets, allow

RunPlace = Annotated[
    str,
    typer.Argument(help="Run id, run folder or weights file.", autocompletion=complete_runs),
]
EvalWords = Annotated[
    list[str] | None,
    typer.Argument(
        help="experiment=RECIPE and overrides; none repeats an evaluation run.",
        autocompletion=complete_overrides,
    ),
]
SearchWords = Annotated[
    list[str] | None,
    typer.Argument(
        help="experiment=RECIPE, overrides, and KEY=interval(..), range(..) or choice(..).",
        autocompletion=complete_overrides,
    ),
]
TrainWords = Annotated[list[str] | None, typer.Argument(autocompletion=complete_overrides)]


def train(overrides: TrainWords = None) -> None:
    """Run one recipe, or a sweep of it: plain Hydra, with our run folders and records.

    For example:

      thesisbench train experiment=kayhan/full_conv/red_green border=full seed=1,2 -m

      thesisbench train experiment=kayhan/full_conv/red_green --cfg job

      thesisbench train experiment=kayhan/full_conv/red_green debug=one_batch
    """
    from thesisbench.train import train as go

    raise typer.Exit(go(overrides or [], console(stderr=False)))


def search_hparams(
    metric: Annotated[str, typer.Option(help="Of the runs' records, such as val_loss.")],
    overrides: SearchWords = None,
    direction: Annotated[str, typer.Option(help="minimize or maximize.")] = "minimize",
    trials: Annotated[int, typer.Option(min=1, help="That the study is to have.")] = 20,
    study: Annotated[str | None, typer.Option(help="Name of the study.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Average over these: 0,1,2 or 0-4.")] = None,
    workers: Annotated[int | None, typer.Option(help="Runs at a time.")] = None,
    config_dir: ConfigDirs = None,
    allow_targets: Targets = None,
    as_json: AsJson = False,
) -> None:
    """Search for hyper-parameters of your own variant with Optuna; trials are ordinary runs.

    Numbers and choices are given in Hydra's grammar. The same command again goes on with the study
    up to --trials, and a trial whose run is there is not repeated.

      thesisbench search-hparams experiment=kayhan/full_conv/red_green border=choice(full,same)
      'optimizer.lr=tag(log,interval(1e-4,1))' --metric val_loss --trials 30
    """
    from thesisbench.search_hparams.command import Options, print_best
    from thesisbench.search_hparams.command import search_hparams as go

    allow(allow_targets)
    said = console(stderr=as_json)
    folders = tuple(config_dir or ())
    options = Options(metric, direction, trials, study, seeds, workers, folders)
    told, code = go(overrides or [], options, said)
    if as_json:
        put(told)
    else:
        print_best(told, said)
    raise typer.Exit(code)


def evaluate(
    run: RunPlace,
    overrides: EvalWords = None,
    config_dir: ConfigDirs = None,
    allow_targets: Targets = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a fit without training it again, or repeat an evaluation and compare.

    Example: thesisbench evaluate 3f0c51d2a4b6e789 experiment=kayhan/full_conv/red_green_test
    """
    from thesisbench.evaluate import evaluate as go

    allow(allow_targets)
    result, code = go(run, overrides or [], tuple(config_dir or ()))
    if as_json:
        put(result)
    else:
        for name, value in result.items():
            print(f"{name}: {value}")
    raise typer.Exit(code)


def run(folder: Path) -> None:
    """Execute one run folder; what launchers call."""
    from thesisbench.launch.tree import end_with_launcher

    end_with_launcher()
    from thesisbench.run import run_folder

    if not (folder / "config.yaml").exists():
        raise UserError(f"{folder} is no run folder: it has no config.yaml")
    raise typer.Exit(run_folder(folder))


def doctor(as_json: AsJson = False) -> None:
    """Look whether this machine can do the work: a line a check, and what to do.

    Exit code 1 when something is missing without which nothing can be run. No key is shown.
    """
    from thesisbench.doctor import command

    checks = list(command.all_checks())
    if as_json:
        put(command.as_json(checks))
    else:
        command.print_checks(checks, console(stderr=False))
    raise typer.Exit(command.exit_code(checks))
