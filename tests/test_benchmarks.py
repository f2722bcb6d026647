"""Arithmetic of the benchmark harness on fake clocks, its tables, and that benchmarks are there."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks import by_hand, registry, show, step_overhead
from benchmarks.harness import Comparison, Figure, Timing, alternate
from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.launch.environment import child_environment
from thesisbench.step import StepContext
from thesisbench.store.folder import RunFolder
from thesisbench.training.fit import run_fit

ROOT = Path(__file__).parents[1]


class FakeClock:
    """A clock that only moves when an action moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def taking(self, *seconds: float, log: list[str] | None = None, name: str = "") -> object:
        times: Iterator[float] = iter(seconds)

        def action() -> None:
            self.now += next(times)
            if log is not None:
                log.append(name)

        return action


def compared(
    ours: tuple[float, ...], base: tuple[float, ...], figure: Figure, bound: float | None = None
) -> Comparison:
    return Comparison("case", Timing("ours", ours), Timing("base", base), figure, bound)


def test_actions_alternate_and_every_other_repetition_runs_them_in_the_opposite_order() -> None:
    clock, log = FakeClock(), []
    actions = {n: clock.taking(*[1.0] * 4, log=log, name=n) for n in ("a", "b")}
    alternate(actions, 3, clock=clock)  # type: ignore[arg-type]
    assert "".join(log) == "ab" + "ab" + "ba" + "ab"  # the first round is not counted


def test_times_are_those_of_the_clock_per_unit_and_leave_out_the_warm_up() -> None:
    clock = FakeClock()
    actions = {"a": clock.taking(50.0, 8.0, 4.0, 6.0), "b": clock.taking(90.0, 2.0, 2.0, 10.0)}
    times = alternate(actions, 3, per=2, clock=clock)  # type: ignore[arg-type]
    assert times["a"] == Timing("a", (4.0, 2.0, 3.0))
    assert times["b"] == Timing("b", (1.0, 1.0, 5.0))
    assert (times["a"].median, times["b"].median) == (3.0, 1.0)


def test_without_warm_up_the_first_round_counts() -> None:
    clock = FakeClock()
    times = alternate({"a": clock.taking(3.0)}, 1, warm_up=False, clock=clock)  # type: ignore[dict-item]
    assert times["a"].seconds == (3.0,)


def test_seconds_that_an_action_returns_count_instead_of_its_duration() -> None:
    clock = FakeClock()

    def action() -> float:
        clock.now += 7.0
        return 0.0 if clock.now < 110 else 1.5

    assert alternate({"a": action}, 2, warm_up=False, clock=clock)["a"].seconds == (0.0, 1.5)


def test_no_repetition_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        alternate({"a": lambda: None}, 0)


@pytest.mark.parametrize(
    ("figure", "figures", "value"),
    [
        ("overhead", (10.0, -50.0, 100.0), 10.0),  # percent beyond the baseline
        ("extra", (0.2, -2.0, 1.0), 0.2),
        ("speedup", (1 / 1.1, 2.0, 0.5), 1 / 1.1),
        ("factor", (1.1, 0.5, 2.0), 1.1),
        ("time", (2.2, 2.0, 2.0), 2.0),
        ("busy", (100 / 1.1, 200.0, 50.0), 100 / 1.1),
    ],
)
def test_a_figure_is_the_median_over_pairs_not_a_ratio_of_medians(
    figure: Figure, figures: tuple[float, ...], value: float
) -> None:
    comparison = compared((2.2, 2.0, 2.0), (2.0, 4.0, 1.0), figure)
    assert comparison.figures == pytest.approx(figures)
    assert comparison.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("figure", "ours", "base", "bound", "met"),
    [
        ("overhead", 1.05, 1.0, 5.1, True),
        ("overhead", 1.06, 1.0, 5.0, False),
        ("extra", 1.5, 1.25, 0.25, True),
        ("extra", 1.5, 1.125, 0.25, False),
        ("speedup", 1.0, 2.0, 2.0, True),
        ("speedup", 1.0, 1.75, 1.8, False),
        ("factor", 1.0, 9.0, None, None),
        ("speedup", 1.0, 9.0, None, None),
        ("time", 1.9, 9.0, 2.0, True),
        ("time", 2.1, 9.0, 2.0, False),
        ("busy", 10.0, 9.5, 90.0, True),
        ("busy", 10.0, 8.5, 90.0, False),
    ],
)
def test_an_overhead_has_an_upper_bound_and_a_speedup_a_lower_one(
    figure: Figure, ours: float, base: float, bound: float | None, met: bool | None
) -> None:
    assert compared((ours,), (base,), figure, bound).met is met


def test_a_comparison_without_pairs_or_with_a_bound_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="equally many"):
        compared((1.0, 2.0), (1.0,), "factor")
    with pytest.raises(ValueError, match="equally many"):
        compared((), (), "factor")
    with pytest.raises(ValueError, match="no bound"):
        compared((1.0,), (1.0,), "factor", 2.0)


def test_the_table_shows_medians_spread_bound_and_what_is_not_met() -> None:
    good = compared((1.02, 1.04, 1.03), (1.0, 1.0, 1.0), "overhead", 5.0)
    bad = compared((0.010,), (0.013,), "speedup", 1.8)
    text = show.table([good, bad])
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "case baseline ours figure bound met"
    assert lines[1] == (
        "case 1 s (1 s..1 s) 1.03 s (1.02 s..1.04 s) +3.0 % (+2.0..+4.0) <= +5.0 % yes"
    )
    assert lines[2].endswith(
        "10.0 ms (10.0 ms..10.0 ms) 1.30x as fast (1.30..1.30) >= 1.80x as fast NO"
    )
    assert show.summary([good, bad, compared((1.0,), (1.0,), "factor")]) == (
        "2 bounds, 1 met; not met: case"
    )


def test_json_of_a_comparison_has_its_figure_spread_and_every_time() -> None:
    data = compared((2.0, 3.0), (1.0, 1.0), "factor").as_json()
    assert (data["value"], data["low"], data["high"], data["met"]) == (2.5, 2.0, 3.0, None)
    assert data["ours"] == {"label": "ours", "seconds": (2.0, 3.0)}


@pytest.mark.parametrize("name", registry.SUMMARIES)
def test_every_benchmark_is_there_and_takes_quick(name: str) -> None:
    assert list(inspect.signature(registry.load(name)).parameters) == ["quick"]


def test_every_module_with_a_measure_is_registered() -> None:
    found = [
        p.stem for p in (ROOT / "benchmarks").glob("*.py") if "\ndef measure(" in p.read_text()
    ]
    assert sorted(found) == sorted(registry.SUMMARIES)


def test_an_unknown_benchmark_is_bad_input_with_the_nearest_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UserError, match="workers"):
        registry.chosen(["worker"])
    assert program.main(["worker"]) == 2
    assert "benchmarks: " in capsys.readouterr().err


def test_a_benchmark_that_crashes_costs_only_itself_and_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(name: str) -> object:
        def measure(quick: bool) -> list[Comparison]:
            assert quick
            if name == "conv":
                raise RuntimeError("no such kernel")
            return [compared((9.0,), (1.0,), "overhead", 5.0)]

        return measure

    monkeypatch.setattr(program, "load", load)
    for key, value in child_environment(program.THREADS).items():
        monkeypatch.setenv(key, value)
    assert program.main(["workers", "--quick"]) == 0  # a bound that is not met is no crash
    path = tmp_path / "all.json"
    assert program.main(["conv", "workers", "--quick", "--json", str(path)]) == 1
    shown = capsys.readouterr()
    assert "no such kernel" in shown.err
    assert "+800.0 %" in shown.out
    assert '"crashed": [\n    "conv"\n  ]' in path.read_text()


def test_the_program_starts_itself_anew_with_a_runs_settings_when_they_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    seen: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda *given: seen.append(given))
    program._ensure_environment(["conv", "--quick"])
    ((path, command, environment),) = seen
    assert path == sys.executable
    assert command[1:] == ["-m", "benchmarks", "conv", "--quick"]
    assert environment.items() >= child_environment(1).items()
    monkeypatch.setattr(os, "environ", environment)
    program._ensure_environment(["conv", "--quick"])
    assert len(seen) == 1


def test_nothing_heavy_is_imported_before_the_environment_is_set() -> None:
    code = "import sys, benchmarks.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_loop_by_hand_trains_as_the_recipe_does(tmp_path: Path) -> None:
    size = by_hand.Size(2, 210, 30, 30)
    words = [step_overhead.RECIPE, "border=full", "schedule.select=last", *size.overrides]
    config = Composer().compose([*words, "dataset.splits.protocol=released", "seed=3"]).config
    context = StepContext(config=config, folder=RunFolder(tmp_path), attempt=tmp_path / "attempt")
    result = run_fit(context)
    assert by_hand.fit("full", size, 3) == pytest.approx(result.metrics["val_loss"], rel=1e-5)
    assert size.steps == 2
