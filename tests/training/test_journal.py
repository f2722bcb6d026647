"""metrics.jsonl: a line an epoch, each once, whatever was torn."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from thesisbench.step import LostRunError
from thesisbench.training.journal import Journal, keep_epochs


def trainer(epoch: int, **metrics: float) -> Any:
    values = {name: torch.tensor(value) for name, value in metrics.items()}
    return SimpleNamespace(
        current_epoch=epoch, global_step=10 * (epoch + 1), max_epochs=5, callback_metrics=values
    )


def test_every_epoch_writes_a_line_and_is_reported(tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    path = tmp_path / "metrics.jsonl"
    journal = Journal(path, said.append)
    module: Any = None
    for epoch, loss in enumerate([0.5, 0.25]):
        journal.on_train_epoch_end(trainer(epoch, val_loss=loss), module)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"epoch": 0, "step": 10, "val_loss": 0.5},
        {"epoch": 1, "step": 20, "val_loss": 0.25},
    ]
    assert said == [{"epoch": 1, "epochs": 5}, {"epoch": 2, "epochs": 5}]


def test_a_resumed_fit_drops_the_lines_it_writes_again_and_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 0}\n{"epoch": 1}\n{"epoch": 2}\n{"epo')
    journal = Journal(path)
    module: Any = None
    journal.on_train_start(trainer(2), module)
    assert path.read_text() == '{"epoch": 0}\n{"epoch": 1}\n'
    journal.on_train_epoch_end(trainer(2), module)
    epochs = [json.loads(line)["epoch"] for line in path.read_text().splitlines()]
    assert epochs == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "count", "left"),
    [
        ('{"epoch": 0}\n', 0, ""),
        ('{"epoch": 0}\n{"epoch": 1}\n', 5, '{"epoch": 0}\n{"epoch": 1}\n'),
        ('{"step": 1}\n\n[1]\n{"epoch": 0}', 1, '{"epoch": 0}\n'),
    ],
)
def test_keep_epochs(text: str, count: int, left: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    keep_epochs(path, count)
    assert path.read_text() == left
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_no_file_stays_no_file(tmp_path: Path) -> None:
    keep_epochs(tmp_path / "metrics.jsonl", 3)
    assert list(tmp_path.iterdir()) == []


def test_a_fit_that_another_process_has_taken_over_touches_no_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 0}\n{"epoch": 1}\n')
    journal = Journal(path, allowed=lambda: False)
    module: Any = None
    with pytest.raises(LostRunError):
        journal.on_train_start(trainer(0), module)
    with pytest.raises(LostRunError):
        journal.on_train_epoch_end(trainer(0), module)
    assert path.read_text() == '{"epoch": 0}\n{"epoch": 1}\n'
