from __future__ import annotations

import json
import os
from pathlib import Path

from thesisbench.loggers.curve import Curve


def write(path: Path, epochs: dict[int, float], end: str = "") -> None:
    lines = [json.dumps({"epoch": epoch, "loss": loss}) for epoch, loss in epochs.items()]
    path.with_suffix(".new").write_text("".join(f"{line}\n" for line in lines) + end)
    path.with_suffix(".new").replace(path)


def losses(curve: Curve) -> list[tuple[int, float]]:
    return [(epoch, values["loss"]) for epoch, values in curve.new_lines()]


def test_a_file_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    curve = Curve(tmp_path / "metrics.jsonl")
    assert losses(curve) == []
    write(curve.path, {0: 1.0})
    assert losses(curve) == [(0, 1.0)]


def test_every_line_is_handed_out_once(tmp_path: Path) -> None:
    curve = Curve(tmp_path / "metrics.jsonl")
    write(curve.path, {0: 1.0, 1: 0.5})
    assert losses(curve) == [(0, 1.0), (1, 0.5)]
    assert losses(curve) == []
    with curve.path.open("a") as file:
        file.write('{"epoch": 2, "loss": 0.25}\n')
    assert losses(curve) == [(2, 0.25)]


def test_a_resumed_run_that_rewrites_its_file_repeats_nothing(tmp_path: Path) -> None:
    curve = Curve(tmp_path / "metrics.jsonl")
    write(curve.path, {0: 1.0, 1: 0.5, 2: 0.25})
    assert len(losses(curve)) == 3
    write(curve.path, {0: 1.0})
    assert losses(curve) == []
    write(curve.path, {0: 1.0, 1: 9.0, 2: 9.0, 3: 0.125})
    assert losses(curve) == [(3, 0.125)]


def test_a_torn_last_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    curve = Curve(tmp_path / "metrics.jsonl")
    write(curve.path, {0: 1.0}, end='{"epoch": 1, "lo')
    assert losses(curve) == [(0, 1.0)]
    with curve.path.open("a") as file:
        file.write('ss": 0.5}')
    assert losses(curve) == [], "a line without its end may still grow"
    with curve.path.open("a") as file:
        file.write("\n")
    assert losses(curve) == [(1, 0.5)]


def test_lines_that_are_no_metrics_are_passed_over(tmp_path: Path) -> None:
    curve = Curve(tmp_path / "metrics.jsonl")
    write(curve.path, {0: 1.0}, end='garbage\n[1]\n{"loss": 2}\n{"epoch": 1, "loss": 0.5}\n')
    assert losses(curve) == [(0, 1.0), (1, 0.5)]


def test_the_step_of_the_optimiser_leaves_the_name_step_to_the_epoch(tmp_path: Path) -> None:
    curve = Curve(tmp_path / "metrics.jsonl")
    curve.path.write_text('{"epoch": 4, "step": 70, "loss": 1.0}\n')
    assert list(curve.new_lines()) == [(4, {"epoch": 4, "global_step": 70, "loss": 1.0})]


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    curve = Curve(tmp_path / "metrics.jsonl")
    write(curve.path, {0: 1.0})
    assert len(losses(curve)) == 1
    curve.last = -1
    assert losses(curve) == []
    os.utime(curve.path, ns=(1, 1))
    assert losses(curve) == [(0, 1.0)]
