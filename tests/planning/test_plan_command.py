"""`thesisbench plan`: what it says of runs done and to do, of their cost, and of tables to come."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from toy_chapter import FITS, NUMBERS, Command, Toy, table, write, write_toy

from thesisbench.store.runs import RunStore


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return write_toy(tmp_path)


@pytest.fixture
def command(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    return Command(toy, monkeypatch, capfd)


def planned(command: Command, *words: str) -> dict[str, object]:
    said = command(*command.toy.words("plan", *words, "--json"))
    assert said.code == 0, said.err
    found: dict[str, object] = json.loads(said.out)
    return found


def test_without_any_timing_nothing_is_estimated(toy: Toy, command: Command) -> None:
    said = command(*toy.words("plan", FITS))
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[:5] == [
        "toy/sweep:fit (fit): 4 runs, 0 done",
        "    4 to do: no timing (`--probe` measures 20 steps)",
        "toy/sweep:test (eval): 4 runs, 0 done, after fit",
        "    4 to do: no timing (no run like it is done)",
        "8 runs in all, 8 to do",
    ]
    assert lines[5].startswith("wall time: not known")
    assert lines[6].startswith("disk: not known")
    assert not (toy.root / "runs").exists()


def test_what_is_done_tells_what_the_rest_takes(toy: Toy, command: Command) -> None:
    command.reproduce(FITS)
    said = command(*toy.words("plan", FITS))
    assert said.out.splitlines() == [
        "toy/sweep:fit (fit): 4 runs, 4 done",
        "toy/sweep:test (eval): 4 runs, 4 done, after fit",
        "8 runs in all, 0 to do",
    ]
    said = command(*toy.words("plan", FITS, "--seeds", "0-3", "--workers", "2"))
    assert "toy/sweep:fit (fit): 8 runs, 4 done" in said.out
    assert re.search(r"4 to do, about [\d.]+ s.* each: from 2 runs of the same step", said.out)
    assert "16 runs in all, 8 to do" in said.out
    assert "with 2 workers of 1 thread (simulated schedule)" in said.out
    assert "core-hours: " in said.out
    assert re.search(r"disk: about \d", said.out)


def test_json_has_every_run_with_what_it_needs_and_takes(toy: Toy, command: Command) -> None:
    command.reproduce(FITS)
    plan = planned(command, FITS, "--seeds", "0,1,2", "--workers", "1")
    runs = {run["id"]: run for run in plan["runs"]}  # type: ignore[index, attr-defined]
    tests = [run for run in runs.values() if run["kind"] == "eval"]
    assert len(tests) == 6
    assert all(runs[run["needs"]["weights"][0]]["kind"] == "fit" for run in tests)
    todo = [run for run in runs.values() if run["state"] == "absent"]
    assert len(todo) == 4
    assert all(run["seconds"]["middle"] > 0 and run["rests_on"] for run in todo)
    assert all(run["seconds"] is None for run in runs.values() if run["state"] == "done")
    estimate = plan["estimate"]
    total = sum(run["seconds"]["middle"] for run in todo)
    assert estimate["wall_seconds"]["middle"] == pytest.approx(total)  # type: ignore[index]
    assert estimate["core_seconds"] == pytest.approx(total)  # type: ignore[index]
    assert (estimate["runs"], estimate["without_timing"]) == (4, 0)  # type: ignore[index]


def test_tables_without_a_grid_are_counted_and_refused_by_name(toy: Toy, command: Command) -> None:
    bare = table("toy.t9.9", "", "k", ["k0"], "number", 1)
    del bare["step"]
    bare["rows"] = {"k0": {"label": "K", "values": {"number": 1.0}}}
    write(toy.root / "specs/toy/sweep/tables/t9_9.yaml", bare)
    said = command(*toy.words("plan", "--chapter", "toy/sweep"))
    assert said.code == 0, said.err
    assert "targets only, no grid yet: toy.t9.9" in said.out
    assert planned(command, "--thesis", "toy")["targets_only"] == ["toy.t9.9"]
    for words in (("toy.t9.9",), ("toy.t9.9", "--chapter", "toy/sweep")):
        said = command(*toy.words("plan", *words))
        assert (said.code, said.out) == (2, "")
        assert "toy.t9.9 has targets only" in said.err


def test_a_thesis_without_any_grid_is_no_error(command: Command) -> None:
    said = command("plan", "--thesis", "ilic")
    assert said.code == 0, said.err
    assert re.fullmatch(r"\d+ tables have targets only: no grid yet\n", said.out)


def test_failed_runs_are_held_back(tmp_path: Path, command: Command) -> None:
    toy = write_toy(tmp_path, wants=str(tmp_path / "wanted"))
    command.reproduce(NUMBERS)
    said = command(*toy.words("plan", NUMBERS))
    assert "toy/sweep:number (analytic): 6 runs, 0 done, 6 held back (failed before" in said.out
    assert "6 runs in all, 0 to do, 6 held back" in said.out


def test_a_table_of_one_seed_at_scale_paper_is_priced_with_three(
    toy: Toy, command: Command
) -> None:
    alone = table("toy.t1.1", "test", "width", ["w4", "w8"], "top1_test", 1)
    write(toy.root / "specs/toy/sweep/tables/t1_1.yaml", alone)
    words = ["plan", FITS, "--scale", "paper", *toy.shared]
    said = command(*words)
    assert said.code == 0, said.err
    assert "toy.t1.1 has one seed at scale paper, as published" in said.out
    assert "    with 1 seed: 4 runs, 4 of them of no known timing; time not known" in said.out
    assert "    with 3 seeds: 12 runs" in said.out
    counts = json.loads(command(*words, "--json").out)["seeds"]["toy.t1.1"]
    assert {n: cost["runs"] for n, cost in counts.items()} == {"1": 4, "3": 12}
    assert "one seed" not in command(*words, "--seeds", "0").out
    assert "one seed" not in command(*toy.words("plan", FITS)).out


def test_a_probe_estimates_fits_and_leaves_no_record(toy: Toy, command: Command) -> None:
    said = command(*toy.words("plan", FITS, "--probe", "launcher=inline"))
    assert said.code == 0, said.err
    assert said.out.splitlines()[:2] == ["probed fit width=w4 seed=0", "probed fit width=w8 seed=0"]
    assert re.search(r"4 to do, about .* each: from a probe of 20 training steps\n", said.out)
    assert "without 4 runs of no known timing" in said.out
    assert [p.name for p in (toy.root / "runs").iterdir()] == [".probes.json"]
    assert RunStore(toy.root / "runs").ids() == []
    again = command(*toy.words("plan", FITS))
    assert "from a probe of 20 training steps" in again.out
    kept = json.loads((toy.root / "runs/.probes.json").read_text())["probes"]
    assert {(p["batches"], p["validation_batches"]) for p in kept.values()} == {(4, 4)}
    assert all(p["count"] == 20 and len(p["steps"]) == 15 for p in kept.values())


def test_probes_are_limited_and_what_was_measured_is_not_probed_again(
    toy: Toy, command: Command
) -> None:
    words = toy.words("plan", FITS, "--probe", "--probe-limit", "1", "launcher=inline")
    said = command(*words)
    assert said.out.count("probed fit") == 1
    assert "1 more kind of fit left unprobed" in said.out
    assert "left unprobed" not in command(*words).out
    assert "nothing to probe" in command(*words).out


def test_a_fit_that_cannot_be_probed_is_said_so(toy: Toy, command: Command) -> None:
    words = toy.words("plan", FITS, "dataset.splits.n=0", "--probe", "launcher=inline")
    said = command(*words)
    assert said.code == 0, said.err
    assert "not probed: fit width=w4 seed=0 and 1 more: " in said.out
    assert "from a probe" not in said.out
    assert not (toy.root / "runs").exists()


@pytest.mark.parametrize("words", [("--probe-limit", "0"), ("--workers", "0"), ("--scale", "big")])
def test_bad_input_is_one_line(words: tuple[str, ...], toy: Toy, command: Command) -> None:
    said = command("plan", FITS, *words, *toy.shared)
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
