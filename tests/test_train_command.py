"""`thesisbench train` and `thesisbench evaluate`: plain Hydra in front, run folders behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from toy_chapter import Command, Toy, write_toy

FIT, TEST = "experiment=toy/sweep/fit", "experiment=toy/sweep/test"


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return write_toy(tmp_path)


@pytest.fixture
def command(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    return Command(toy, monkeypatch, capfd)


def train(command: Command, *words: str) -> Any:
    return command("train", *words, "launcher=inline", "logger=none", *command.toy.parts)


def seeds(toy: Toy) -> list[int]:
    return sorted(toy.store.folder(i).read_config()["replicate"]["seed"] for i in toy.store.ids())


def one_line(said: Any, *parts: str) -> None:
    """Bad input: exit code 2 and one line that says it all."""
    assert said.code == 2, said
    assert len(said.err.splitlines()) == 1, said.err
    for part in parts:
        assert part in said.err


def test_one_run_has_a_folder_and_a_record_like_any_other(toy: Toy, command: Command) -> None:
    said = train(command, FIT, "seed=1", "backbone.width=4")
    assert said.code == 0, said.err + said.out
    (run_id,) = toy.store.ids()
    record = toy.store.record(run_id)
    assert record is not None
    assert (record["scale"], record["recipe"], record["kind"]) == (
        "ad hoc",
        "toy/sweep/fit",
        "fit",
    )
    assert record["provenance"]["config"]["backbone"]["width"] == 4
    assert re.search(rf"seed=1: done .*best_val_loss [\d.]+.* \(.*{run_id}\)", said.out)


def test_a_run_of_a_table_and_one_by_hand_are_the_same_run(toy: Toy, command: Command) -> None:
    command.reproduce("toy.t1.1")
    before = toy.store.ids()
    said = train(command, FIT, "seed=1", "backbone.width=4")
    assert said.code == 0
    assert toy.store.ids() == before


def test_the_same_command_again_executes_nothing(toy: Toy, command: Command) -> None:
    words = (FIT, "seed=1,2", "-m")
    assert train(command, *words).code == 0
    made = {i: toy.store.folder(i).record_file.stat().st_mtime_ns for i in toy.store.ids()}
    said = train(command, *words)
    assert said.code == 0
    assert said.out.count(": done ") == 2
    after = {i: toy.store.folder(i).record_file.stat().st_mtime_ns for i in toy.store.ids()}
    assert after == made


def test_rerun_makes_a_named_run_anew(toy: Toy, command: Command) -> None:
    train(command, FIT)
    (run_id,) = toy.store.ids()
    before = toy.store.record(run_id)
    assert before is not None
    assert train(command, FIT, f"--rerun={run_id[:8]}").code == 0
    after = toy.store.record(run_id)
    assert after is not None
    assert after["result"] == before["result"]
    assert after["provenance"]["started"] != before["provenance"]["started"]
    one_line(train(command, FIT, "--rerun", "zzz"), "zzz", "give failed, stale, oom or a run id")


@pytest.mark.parametrize(
    ("sweep", "found"),
    [
        ("seed=1,2", [1, 2]),
        ("seed=range(3,6)", [3, 4, 5]),
        ("seed=choice(7,9)", [7, 9]),
        ("seed=range(0,10,step=5)", [0, 5]),
    ],
)
def test_sweeps_of_values(sweep: str, found: list[int], toy: Toy, command: Command) -> None:
    experiment = "experiment=toy/sweep/number"
    assert train(command, experiment, sweep, "-m").code == 0
    assert seeds(toy) == found


def test_a_sweep_is_the_product_of_all_its_parts(toy: Toy, command: Command) -> None:
    said = train(command, "experiment=toy/sweep/number", "seed=1,2", "compute.k=0,1,2", "-m")
    assert said.code == 0
    assert seeds(toy) == [1, 1, 1, 2, 2, 2]
    assert len(toy.store.ids()) == 6


def test_options_of_a_group_are_swept_by_glob(toy: Toy, command: Command) -> None:
    (toy.root / "conf/compute/other_number.yaml").write_text(
        (toy.root / "conf/compute/number.yaml").read_text().replace("k: 0", "k: 5")
    )
    said = train(command, "experiment=toy/sweep/number", "compute=glob(*number)", "--multirun")
    assert said.code == 0, said.err
    configs = [toy.store.folder(i).read_config()["config"] for i in toy.store.ids()]
    assert sorted(config["compute"]["k"] for config in configs) == [0, 5]


def test_debug_makes_any_run_one_batch_of_one_epoch_with_another_id(
    toy: Toy, command: Command
) -> None:
    assert train(command, FIT, "debug=one_batch").code == 0
    assert train(command, FIT, "debug=one_batch", "debug=none").code == 0
    epochs = {}
    for run_id, record in toy.store.records():
        lines = toy.store.folder(run_id).metrics_file.read_text().splitlines()
        epochs[len(lines)] = json.loads(lines[-1])["step"]
        assert record["result"]["metrics"]["epochs"] == len(lines)
    assert epochs == {1: 1, 3: 12}


def test_a_failed_run_is_exit_code_1_and_is_tried_again(tmp_path: Path, command: Command) -> None:
    wanted = tmp_path / "wanted"
    write_toy(tmp_path, wants=str(wanted))
    said = train(command, "experiment=toy/sweep/number")
    assert said.code == 1
    assert f"failed ValueError: no file {wanted} yet" in said.out
    wanted.touch()
    assert train(command, "experiment=toy/sweep/number").code == 0


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ([], ["no recipe", "experiment="]),
        ([FIT, "seed=1,2"], ["seed=1,2", "train -m"]),
        (["experiment=toy/sweep/fti"], ["fti", "toy/sweep/fit"]),
        ([FIT, "backbone=toy_ne"], ["toy_ne", "toy_net"]),
        ([FIT, "schedule.epoch=3"], ["schedule.epoch", "schedule.epochs"]),
        ([FIT, "schedule.epochs=many"], ["schedule.epochs=many"]),
        ([FIT, "compute=glob(*nothing)", "-m"], ["glob(*nothing)", "no value", "use_count"]),
        ([FIT, "seed=range(3,3)", "-m"], ["seed=range(3,3)", "no value"]),
        ([FIT, "nonsense"], ["nonsense", "KEY=VALUE"]),
        ([FIT, "--fast"], ["--fast", "valid: -m"]),
        ([FIT, "--config-dir"], ["--config-dir needs a value"]),
        ([FIT, "launcher.workers=0", "launcher=local"], ["launcher.workers", "at least 1"]),
        ([TEST], ["is of kind eval", "thesisbench evaluate"]),
        ([FIT, "hydra/launcher=basic"], ["hydra/launcher", "launcher=local"]),
        ([FIT, "backbone._target_=os.system"], ["_target_"]),
        (["experiment=toy/sweep/fti", "--cfg", "job"], ["fti", "toy/sweep/fit"]),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_done(
    words: list[str], parts: list[str], toy: Toy, command: Command
) -> None:
    shared = command.toy.parts if "--cfg" not in words else command.toy.parts[:2]
    if words[-1:] == ["--config-dir"]:
        shared = []
    said = command("train", *shared, *words)
    one_line(said, *parts)
    assert not toy.store.root.exists()


def test_a_target_outside_the_allowed_packages_is_refused(toy: Toy, command: Command) -> None:
    said = command("train", FIT, "launcher=inline", "logger=none", *toy.parts[:2])
    assert said.code in (1, 2)
    assert "add --allow-targets toy_parts" in said.err + said.out


def test_hydras_own_flags_show_the_configuration_and_the_groups(toy: Toy) -> None:
    def say(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "thesisbench", "train", *words],
            env=toy.environment(),
            cwd=toy.root,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    shipped = "experiment=kayhan/full_conv/red_green"
    shown = say(shipped, "border=full", "schedule.epochs=7", "--cfg", "job")
    assert "  epochs: 7\n" in shown
    assert "kind: fit\n" in shown
    assert "seed: 5\n" in say(FIT, "seed=5", "--cfg", "job", *toy.parts[:2])
    groups = say("--help")
    for group in ("border: ", "backbone: ", "experiment/kayhan/full_conv: "):
        assert f"\n{group}" in groups
    assert not toy.store.root.exists()


# ---- evaluate ----


def fit_id(toy: Toy, command: Command) -> str:
    assert train(command, FIT).code == 0
    return toy.store.ids()[0]


def evaluate(command: Command, *words: str) -> tuple[int, dict[str, Any]]:
    said = command("evaluate", *words, *command.toy.parts, "--json")
    return said.code, json.loads(said.out)


def test_a_fit_is_evaluated_by_id_by_folder_and_by_weights_file(toy: Toy, command: Command) -> None:
    fit = fit_id(toy, command)
    (weights,) = toy.store.folder(fit).path.glob("attempts/1/checkpoints/weights-*.pt")
    places = [fit, fit[:6], str(toy.store.folder(fit).path), str(weights)]
    found = [evaluate(command, place, TEST) for place in places]
    assert found == [found[0]] * 4
    code, result = found[0]
    assert code == 0
    assert 0 <= result["top1_test"] <= 100
    record = toy.store.record(result["run"])
    assert record is not None
    assert record["needs"] == {"weights": [fit]}
    assert len(toy.store.ids()) == 2, "the evaluation was executed once"
    code, other = evaluate(command, fit, TEST, "evaluation.splits=[val]")
    assert code == 0
    assert other["run"] != result["run"]
    assert "top1_val" in other


def test_the_evaluation_of_a_table_is_found_again(toy: Toy, command: Command) -> None:
    command.reproduce("toy.t1.1")
    before = toy.store.ids()
    configs = {i: toy.store.folder(i).read_config() for i in before}
    fit = next(i for i, c in configs.items() if c["kind"] == "fit" and c["config"]["seed"] == 0)
    code, result = evaluate(command, fit, TEST)
    assert code == 0
    assert toy.store.ids() == before
    assert fit in configs[result["run"]]["needs"]["weights"]


def test_an_evaluation_is_repeated_and_compared_bit_by_bit(toy: Toy, command: Command) -> None:
    _, result = evaluate(command, fit_id(toy, command), TEST)
    run_id = result["run"]
    code, again = evaluate(command, run_id)
    assert (code, again) == (0, {"same": True, **result})
    record = json.loads(toy.store.folder(run_id).record_file.read_text())
    record["result"]["digests"]["test"] = "0" * 16
    toy.store.folder(run_id).record_file.write_text(json.dumps(record))
    code, again = evaluate(command, run_id)
    assert code == 1
    assert again["same"] is False
    assert len(toy.store.ids()) == 2, "a repetition leaves nothing behind"


def test_places_that_are_no_run_are_one_line(toy: Toy, command: Command) -> None:
    fit = fit_id(toy, command)
    (toy.root / "weights.pt").write_text("")
    pairs = {
        ("nonsense", TEST): "no such run",
        ("abcdef0123456789", TEST): "no such run",
        (str(toy.root / "weights.pt"), TEST): "is not in a run folder",
        (fit,): "give experiment=RECIPE of an evaluation",
        (fit, FIT): "is of kind fit; give experiment=RECIPE of an evaluation",
        (fit, "experiment=toy/sweep/tset"): "toy/sweep/test",
        (fit, TEST, "evaluation.split=[val]"): "evaluation.splits",
    }
    for words, part in pairs.items():
        one_line(command("evaluate", *words, *toy.parts), part)
    _, result = evaluate(command, fit, TEST)
    said = command("evaluate", result["run"], TEST, *toy.parts)
    one_line(said, "is of kind eval; evaluations need a fit")


def test_a_fit_that_is_not_done_is_said_to_be_so(toy: Toy, command: Command) -> None:
    fit = fit_id(toy, command)
    toy.store.folder(fit).record_file.unlink()
    said = command("evaluate", fit, TEST, *toy.parts)
    one_line(said, "is not done", "thesisbench status")
