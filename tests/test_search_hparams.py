"""`thesisbench search-hparams`: the space in Hydra's grammar, trials as runs, lasting searches."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_chapter import Command, Said, Toy, write_toy

from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.search_hparams.space import Parameter, Space
from thesisbench.search_hparams.study import FOLDER
from thesisbench.train import expand

FIT, NUMBER = "experiment=toy/sweep/fit", "experiment=toy/sweep/number"
K = "compute.k=range(0,40)"


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return write_toy(tmp_path)


@pytest.fixture
def command(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    return Command(toy, monkeypatch, capfd)


def search(command: Command, *words: str) -> Said:
    shared = command.toy.parts
    return command("search-hparams", *words, "launcher=inline", "logger=none", *shared)


def found(command: Command, *words: str) -> dict[str, Any]:
    said = search(command, *words, "--json")
    assert said.code == 0, said.err
    data: dict[str, Any] = json.loads(said.out)
    return data


def numbers(toy: Toy) -> dict[str, float]:
    return {i: record["result"]["metrics"]["number"] for i, record in toy.store.records()}


# ---- the space ----


@pytest.mark.parametrize(
    ("word", "parameter"),
    [
        ("lr=interval(0.1,2)", Parameter("lr", low=0.1, high=2.0)),
        ("lr=interval(1,2)", Parameter("lr", low=1.0, high=2.0)),
        ("lr=tag(log,interval(1e-4,1))", Parameter("lr", low=1e-4, high=1.0, log=True)),
        ("n=int(interval(1,9))", Parameter("n", low=1, high=9)),
        ("n=range(1,9)", Parameter("n", low=1, high=8, step=1)),
        ("n=range(5)", Parameter("n", low=0, high=4, step=1)),
        ("n=range(1,10,3)", Parameter("n", low=1, high=7, step=3)),
        ("n=range(9,1,-2)", Parameter("n", low=3, high=9, step=2)),
        ("n=tag(log,range(1,129))", Parameter("n", low=1, high=128, step=1, log=True)),
        ("+n=range(0.1,0.75,0.3)", Parameter("+n", low=0.1, high=0.7, step=0.3)),
        ("border=choice(full,same)", Parameter("border", choices=("full", "same"))),
        ("border=full,same,full", Parameter("border", choices=("full", "same"))),
        ("n=choice(true,0.5,'a b')", Parameter("n", choices=("True", "0.5", "a\\ b"))),
        ("border=glob(re*)", Parameter("border", choices=("reflect", "replicate"))),
    ],
)
def test_hydras_grammar_says_what_is_searched(
    word: str, parameter: Parameter, composer: Composer
) -> None:
    space = Space.of(composer, ["seed=3", word])
    assert space == Space((parameter,), ("seed=3",))
    kind = type(parameter.distribution()).__name__
    whole = isinstance(parameter.low, int)
    assert kind == (
        "CategoricalDistribution"
        if parameter.choices
        else ("IntDistribution" if whole else "FloatDistribution")
    )
    if word.split("=")[1].startswith(("range", "choice", "border")):
        swept = [line[0] for line in expand(composer, [word])]
        assert set(parameter.examples()) <= set(swept)


@given(
    low=st.integers(-50, 50), count=st.integers(2, 20), step=st.integers(1, 7), down=st.booleans()
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_range_is_searched_over_what_train_sweeps(
    low: int, count: int, step: int, down: bool, composer: Composer
) -> None:
    ends = (low + (count - 1) * step, low - 1, -step) if down else (low, low + count * step, step)
    word = f"n=range({','.join(map(str, ends))})"
    (parameter,) = Space.of(composer, [word]).parameters
    ours = range(int(parameter.low), int(parameter.high) + 1, int(parameter.step or 1))
    assert {f"n={n}" for n in ours} == {line[0] for line in expand(composer, [word])}


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["lr=1"], "nothing to search"),
        (["lr=interval(1,1)"], "fewer than two values"),
        (["lr=interval(2,1)"], "fewer than two values"),
        (["n=range(3,3)"], "fewer than two values"),
        (["n=range(3,4)"], "fewer than two values"),
        (["n=choice(a)"], "fewer than two values"),
        (["border=glob(z*)"], "fewer than two values"),
        (["lr=tag(log,interval(0,1))"], "above 0"),
        (["n=tag(log,range(1,9,2))"], "has no step"),
        (["n=tag(log,choice(1,2))"], "no logarithm"),
        (["n=tag(lgo,interval(1,2))"], "unknown tag 'lgo'; valid: log"),
        (["n=1,2", "n=3,4"], "'n' is given twice"),
        (["n=1", "n=3,4"], "'n' is given twice"),
        (["seed=1,2"], "--seeds"),
        (["experiment=a,b"], "one recipe"),
        (["trainer.devices=1,2"], "changes no result"),
        (["launcher=local,inline"], "changes no result"),
    ],
)
def test_what_cannot_be_searched_is_said_in_one_line(
    words: list[str], part: str, composer: Composer
) -> None:
    with pytest.raises(UserError) as caught:
        Space.of(composer, words)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- the search ----


def test_trials_are_ordinary_runs_and_the_best_one_is_the_least(toy: Toy, command: Command) -> None:
    data = found(command, NUMBER, K, "--metric", "number", "--trials", "6")
    values = numbers(toy)
    trials = data["trials"]
    assert [(t["number"], t["state"]) for t in trials] == [(n, "done") for n in range(6)]
    assert {i for t in trials for i in t["runs"]} == set(values)
    assert all(t["value"] == values[t["runs"][0]] for t in trials)
    assert data["best"]["value"] == min(values.values())
    configs = {i: toy.store.folder(i).read_config()["config"] for i in values}
    assert all(
        configs[t["runs"][0]]["compute"]["k"] == t["parameters"]["compute.k"] for t in trials
    )
    highest = found(
        command, NUMBER, K, "--metric", "number", "--trials", "6", "--direction", "maximize"
    )
    assert highest["study"] != data["study"]
    assert highest["best"]["value"] == max(t["value"] for t in highest["trials"])


def test_the_command_of_a_trial_trains_the_run_that_is_there(toy: Toy, command: Command) -> None:
    space = ("optimizer.lr=tag(log,interval(1e-3,1))", "backbone.width=choice(4,8)")
    said = search(command, FIT, *space, "--metric", "val_loss", "--trials", "3")
    assert said.code == 0, said.err
    before = toy.store.ids()
    assert len(before) == 3
    (line,) = [x for x in said.out.splitlines() if "train it: thesisbench train " in x]
    words = line.partition("thesisbench ")[2].split()
    assert command(*words).code == 0
    assert toy.store.ids() == before
    (run,) = [x.split()[-1] for x in said.out.splitlines() if x.startswith("  run: ")]
    assert run in before


def test_the_same_command_again_executes_nothing_and_more_trials_go_on(
    toy: Toy, command: Command
) -> None:
    words = (NUMBER, K, "--metric", "number")
    first = found(command, *words, "--trials", "3")
    told = (toy.root / "told").read_text()
    assert found(command, *words, "--trials", "3") == first
    assert (toy.root / "told").read_text() == told
    more = found(command, *words, "--trials", "5")
    assert more["trials"][:3] == first["trials"]
    assert len(more["trials"]) == 5


def test_a_study_that_is_lost_is_made_again_without_repeating_a_run(
    toy: Toy, command: Command
) -> None:
    words = (NUMBER, K, "--metric", "number", "--trials", "4")
    first = found(command, *words)
    told = (toy.root / "told").read_text()
    Path(first["file"]).unlink()
    assert found(command, *words) == first
    assert (toy.root / "told").read_text() == told


def test_an_interrupted_search_goes_on_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = (NUMBER, K, "--metric", "number", "--trials", "5")
    whole = Command(write_toy(tmp_path / "a"), monkeypatch, capfd)
    expected = [(t["parameters"], t["value"]) for t in found(whole, *words)["trials"]]
    toy = write_toy(tmp_path / "b")
    command = Command(toy, monkeypatch, capfd)
    from toy_parts import Number

    call, calls = Number.__call__, []

    def interrupted(self: Number, context: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return call(self, context)

    with monkeypatch.context() as patch:
        patch.setattr(Number, "__call__", interrupted)
        said = search(command, *words)
    assert said.code == 130
    assert "the same command goes on" in said.err
    assert len(numbers(toy)) == 2
    for lease in toy.store.root.glob("*/lease.*"):
        os.utime(lease, (0, 0))  # this process, which lives on, lets go of the run
    data = found(command, *words)
    assert [(t["parameters"], t["value"]) for t in data["trials"]] == expected
    assert len(calls) == 3


def test_seeds_are_averaged(toy: Toy, command: Command) -> None:
    data = found(command, NUMBER, K, "--metric", "number", "--trials", "2", "--seeds", "0-2")
    values = numbers(toy)
    for trial in data["trials"]:
        assert len(trial["runs"]) == 3
        assert trial["value"] == pytest.approx(sum(values[i] for i in trial["runs"]) / 3)
        assert trial["command"].partition(" --config-dir")[0].endswith("seed=0,1,2 -m")
    seeds = [toy.store.folder(i).read_config()["config"]["seed"] for i in values]
    assert sorted(set(seeds)) == [0, 1, 2]


def test_several_at_a_time_are_executed_once_each(toy: Toy, command: Command) -> None:
    words = (NUMBER, "compute.k=choice(1,2)", "--metric", "number", "--trials", "4")
    shared = [*toy.parts, "logger=none", "--workers", "2", "--json"]
    said = command("search-hparams", *words, *shared)
    assert said.code == 0, said.err
    assert len(json.loads(said.out)["trials"]) == 4
    begun = [x.split()[1] for x in (toy.root / "told").read_text().splitlines() if "begin" in x]
    assert len(begun) == len(set(begun)) <= 2


def test_failures_are_told_and_tried_anew_by_the_next_command(
    tmp_path: Path, command: Command
) -> None:
    wanted = tmp_path / "wanted"
    write_toy(tmp_path, wants=str(wanted))
    words = (NUMBER, K, "--metric", "number", "--trials", "3")
    said = search(command, *words)
    assert said.code == 1
    assert "trial 0: failed" in said.out
    assert "no trial is done (1 failed)" in said.out, "it ends when all have failed so far"
    wanted.touch()
    data = found(command, *words)
    assert [t["state"] for t in data["trials"]] == ["failed", "done", "done", "done"]


def test_a_trial_that_diverges_is_a_result_without_a_number(toy: Toy, command: Command) -> None:
    words = ("optimizer.lr=tag(log,interval(1e30,1e38))", "--metric", "val_loss", "--trials", "2")
    said = search(command, FIT, *words)
    assert said.code == 1
    assert said.out.count(": diverged at optimizer.lr=") == 2
    assert "no trial is done (2 diverged)" in said.out
    assert search(command, FIT, *words).out.count("trial 2") == 0, "they count as trials"


def test_an_unknown_metric_is_named_with_those_there_and_costs_no_run_twice(
    toy: Toy, command: Command
) -> None:
    words = (NUMBER, K, "--trials", "2", "--study", "mine")
    said = search(command, *words, "--metric", "nubmer")
    assert said.code == 2
    assert said.err == (
        "thesisbench: --metric nubmer: the runs have no such metric; they have number\n"
    )
    (run,) = toy.store.ids()
    again = search(command, *words, "--metric", "nubmer")
    assert (again.code, toy.store.ids()) == (2, [run]), "now it is known before anything is run"
    data = found(command, *words, "--metric", "number")
    assert data["trials"][0]["runs"] == [run], "the study has begun anew, with the same trial"


def test_a_study_keeps_to_its_settings(toy: Toy, command: Command) -> None:
    words = (NUMBER, "--metric", "number", "--trials", "1", "--study", "mine")
    found(command, *words, K)
    for extra, part in [
        ((K, "--direction", "maximize"), "another direction"),
        (("compute.k=range(0,41)",), "another space"),
        ((K, "seed=4"), "another recipe or fixed override"),
        ((K, "--seeds", "0,1"), "another list of seeds"),
    ]:
        said = search(command, *words, *extra)
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert part in said.err
        assert "another --study" in said.err
    assert len(toy.store.ids()) == 1


def test_a_torn_study_goes_on_and_one_that_is_none_is_named(toy: Toy, command: Command) -> None:
    words = (NUMBER, K, "--metric", "number", "--study", "mine", "--trials")
    found(command, *words, "2")
    file = toy.store.root / FOLDER / "mine.journal"
    with file.open("ab") as opened:
        opened.write(b'{"op_code":')
    assert [t["state"] for t in found(command, *words, "3")["trials"]] == ["done"] * 3
    file.write_text("not a study\nat all\n")
    said = search(command, *words, "3")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "mine.journal is no study that can be read" in said.err


def test_without_optuna_it_says_how_to_get_it(
    toy: Toy, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    said = search(command, NUMBER, K, "--metric", "number")
    assert said.code == 2
    assert said.err == (
        "thesisbench: search-hparams needs Optuna: pip install 'thesisbench[optuna]'\n"
    )
    assert not toy.store.root.exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([NUMBER, K, "--metric", "number", "--direction", "up"], "valid: maximize, minimize"),
        ([NUMBER, K, "--metric", "number", "--study", "../mine"], "--study '../mine'"),
        ([NUMBER, K, "--metric", "number", "--seeds", "x"], "--seeds 'x'"),
        ([NUMBER, K, "--metric", "number", "--seeds", "1", "seed=2"], "not both"),
        ([NUMBER, K, "--metric", ""], "--metric ''"),
        ([NUMBER, "compute.kk=range(0,4)", "--metric", "number"], "compute.kk"),
        ([FIT, "schedule.epochs=interval(1,4)", "--metric", "val_loss"], "schedule.epochs"),
        ([FIT, "backbone=choice(toy_net,toy_nut)", "--metric", "val_loss"], "toy_nut"),
        ([FIT, "schedule.epochs=range(0,4)", "--metric", "val_loss"], "schedule.epochs"),
        (["experiment=toy/sweep/test", "seed=1", K, "--metric", "x"], "compute"),
        (["border=full,same", "--metric", "x"], "experiment="),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_done(
    words: list[str], part: str, toy: Toy, command: Command
) -> None:
    said = search(command, *words)
    assert said.code == 2, said
    assert said.err.count("\n") == 1, said.err
    assert part in said.err
    assert not toy.store.root.exists()
