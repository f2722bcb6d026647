"""What happened to runs is told: by reproduce, status, show and the reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_chapter import NUMBERS, Command, write_toy

from thesisbench.tables.render.words import retried


def test_runs_that_needed_two_attempts_and_files_set_aside_are_named_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    toy = write_toy(tmp_path, wants=str(tmp_path / "wanted"))
    command = Command(toy, monkeypatch, capfd)
    said = command.reproduce(NUMBERS)
    assert said.code == 1
    assert "--rerun failed" in said.out
    assert "more than one attempt" not in said.out, "only what is done is counted"
    (tmp_path / "wanted").touch()
    said = command.reproduce(NUMBERS, "--rerun", "failed")
    assert said.code == 0, said.out
    ids = toy.store.ids()
    told = "6 runs needed more than one attempt: "
    (line,) = (line for line in said.out.splitlines() if line.endswith("and 1 more"))
    assert line.startswith(told)
    assert all(run in ids for run in line.removeprefix(told).replace(" (2)", "").split(", ")[:5])

    report = (toy.root / "reports" / f"{NUMBERS}.smoke.md").read_text()
    assert told in report
    said = command(*toy.words("status", NUMBERS, "--json"))
    assert json.loads(said.out)["retried"] == dict.fromkeys(ids, 2)
    assert told in " ".join(command(*toy.words("status", NUMBERS)).out.split())
    said = command(*toy.words("report", NUMBERS, "--format", "json"))
    assert json.loads(said.out)["tables"][0]["retried"] == dict.fromkeys(ids, 2)
    assert "Attempts: 2, of which 1 did not finish" in command("show", ids[0], *toy.places).out
    assert json.loads(command("show", ids[0], "--json", *toy.places).out)["attempts"] == 2

    toy.store.folder(ids[0]).record_file.write_text("{")
    said = command.reproduce(NUMBERS)
    assert f"{ids[0]} (3)" in said.out
    shown = command("show", ids[0], *toy.places).out
    assert "Attempts: 3" in shown
    assert "Set aside, since it could not be read: record.json.corrupt-1" in shown
    assert command.reproduce(NUMBERS).code == 0


def test_few_are_named_and_the_rest_is_counted() -> None:
    assert retried({}) == retried({"a": 1, "b": 0}) == ""
    assert retried({"a": 2, "b": 1}) == "1 run needed more than one attempt: a (2)"
    many = {f"r{i}": 2 + i for i in range(8)}
    assert retried(many, 2) == "8 runs needed more than one attempt: r7 (9), r6 (8), and 6 more"
