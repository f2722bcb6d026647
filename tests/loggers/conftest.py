"""Planned runs and run folders made by hand, in an environment without the developer's own key."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thesisbench.tables.model import PlannedRun

MakeRun = Callable[..., PlannedRun]


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in [n for n in os.environ if n.startswith("WANDB_") or n == "NETRC"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def make_run() -> MakeRun:
    def make(run_id: str = "a" * 16, **changes: Any) -> PlannedRun:
        fields: dict[str, Any] = {
            "id": run_id,
            "lineage": run_id,
            "chapter": "kayhan/full_conv",
            "step": "fit",
            "kind": "fit",
            "recipe": "kayhan/full_conv/red_green",
            "scale": "small",
            "levels": {"border": "full"},
            "replicate": {"seed": 3},
            "config": {
                "kind": "fit",
                "seed": 3,
                "dataset": {"name": "red_green"},
                "optimizer": {"lr": 0.5},
                "logger": {"name": "wandb", "project": "mine"},
                "trainer": {"devices": 2, "max_epochs": 4},
            },
            "tables": ("kayhan.t2.1",),
        }
        return PlannedRun(**(fields | changes))

    return make


class Folder:
    """A run folder: its curve and its record."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)

    def rewrite(self, losses: dict[int, float], torn: str = "") -> None:
        lines = [
            json.dumps({"epoch": e, "step": 10 * (e + 1), "loss": x}) for e, x in losses.items()
        ]
        temporary = self.path / ".metrics.jsonl"
        temporary.write_text("".join(f"{line}\n" for line in lines) + torn)
        temporary.replace(self.path / "metrics.jsonl")

    def append(self, text: str) -> None:
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(text)

    def publish(self, metrics: dict[str, float], outcome: str = "done") -> None:
        result = {"metrics": metrics, "outcome": outcome, "digests": {}}
        (self.path / "record.json").write_text(json.dumps({"result": result}))


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[[str], Folder]:
    return lambda run_id: Folder(tmp_path / "runs" / run_id)
