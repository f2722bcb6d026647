"""Which epoch is kept, when a fit stops, and what a divergence is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from thesisbench.errors import UserError
from thesisbench.step import LostRunError
from thesisbench.training.selection import LAST, DivergedError, KeepBest, StopWhenDiverged


class FakeTrainer(SimpleNamespace):
    """Stands for Lightning's Trainer: runs the epochs whose validation losses it is given."""

    def __init__(self, name: str = "val_loss") -> None:
        super().__init__(current_epoch=0, global_step=0, should_stop=False, callback_metrics={})
        self.name = name

    def save_checkpoint(self, path: Path) -> None:
        torch.save({"epoch": self.current_epoch}, path)

    def run(self, keep: KeepBest, losses: Sequence[float], module: nn.Module) -> int:
        """Number of epochs done until the callback stops the fit."""
        keep.on_train_start(self, module)  # type: ignore[arg-type]
        for loss in losses:
            if self.should_stop:
                break
            with torch.no_grad():
                module.weight.fill_(self.current_epoch)  # type: ignore[operator,union-attr]
            self.callback_metrics = {self.name: torch.tensor(loss)}
            keep.on_train_epoch_end(self, module)  # type: ignore[arg-type]
            self.current_epoch += 1
        return self.current_epoch


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[KeepBest, int]]:
    def go(losses: Sequence[float], **arguments: Any) -> tuple[KeepBest, int]:
        keep = KeepBest(tmp_path, **arguments)
        return keep, FakeTrainer(keep.monitor).run(keep, losses, nn.Linear(2, 1, bias=False))

    return go


def slow_reference(losses: Sequence[float], patience: int | None) -> tuple[int, int]:
    """Epochs done and best epoch: stop once the last `patience` epochs brought no gain."""
    for done in range(1, len(losses) + 1):
        best = min(range(done), key=lambda epoch: losses[epoch])
        if patience is not None and done - 1 - best >= patience:
            return done, best
    return len(losses), min(range(len(losses)), key=lambda epoch: losses[epoch])


@pytest.mark.parametrize("patience", [None, 1, 2, 3, 5])
def test_it_stops_after_exactly_patience_epochs_without_gain(
    patience: int | None, run: Callable[..., tuple[KeepBest, int]]
) -> None:
    generator = torch.Generator().manual_seed(0)
    stopped = 0
    for _ in range(20):
        losses = (torch.randint(0, 8, (15,), generator=generator) / 8).tolist()
        keep, done = run(losses, patience=patience)
        assert (done, keep.kept_epoch) == slow_reference(losses, patience)
        assert keep.best == min(losses[:done])
        stopped += done < len(losses)
    assert stopped == 0 if patience is None else stopped > 3


def test_the_weights_kept_are_those_of_the_best_epoch_and_nothing_else_stays(
    run: Callable[..., tuple[KeepBest, int]], tmp_path: Path
) -> None:
    keep, done = run([3.0, 1.0, 2.0, 1.0, 4.0])
    assert (done, keep.kept_epoch, keep.waited) == (5, 1, 3), "an equal value is no gain"
    assert sorted(p.name for p in tmp_path.iterdir()) == [LAST, "weights-1.pt"]
    state = torch.load(keep.weights, weights_only=True)
    assert state["weight"].unique().tolist() == [1.0]
    assert torch.load(tmp_path / LAST, weights_only=True) == {"epoch": 4}


def test_mode_max_keeps_the_largest(run: Callable[..., tuple[KeepBest, int]]) -> None:
    keep, done = run([3.0, 5.0, 4.0, 4.5, 6.0], monitor="top1", mode="max", patience=3)
    assert (done, keep.kept_epoch, keep.best) == (5, 4, 6.0)


def test_select_last_keeps_the_last_epoch_but_patience_still_counts(
    run: Callable[..., tuple[KeepBest, int]], tmp_path: Path
) -> None:
    keep, done = run([1.0, 2.0, 3.0, 0.5], select="last", patience=2)
    assert (done, keep.kept_epoch, keep.best) == (3, 2, 1.0)
    assert [p.name for p in tmp_path.glob("weights-*")] == ["weights-2.pt"]


@pytest.mark.parametrize("cut", range(1, 7))
def test_a_resumed_one_ends_like_an_uninterrupted_one(
    cut: int, run: Callable[..., tuple[KeepBest, int]], tmp_path: Path
) -> None:
    losses = [3.0, 1.0, 2.0, 2.5, 2.0, 0.0, 5.0]
    whole, done = run(losses, patience=3)
    assert done == 5
    trainer, module = FakeTrainer(), nn.Linear(2, 1, bias=False)
    first = KeepBest(tmp_path, patience=3)
    trainer.run(first, losses[:cut], module)
    resumed, trainer.should_stop = KeepBest(tmp_path, patience=3), False
    resumed.load_state_dict(first.state_dict())
    assert trainer.run(resumed, losses[cut:], module) == done
    assert resumed.state_dict() == whole.state_dict()


def test_its_state_is_plain_data(run: Callable[..., tuple[KeepBest, int]]) -> None:
    keep, _ = run([1.0, 2.0])
    assert keep.state_dict() == {
        "best": 1.0,
        "kept_epoch": 0,
        "waited": 1,
        "epochs": 2,
        "metrics": {"val_loss": 2.0},
    }


def test_a_metric_nobody_logs_is_named_with_those_that_are_logged(tmp_path: Path) -> None:
    keep = KeepBest(tmp_path, monitor="val_ap")
    trainer = FakeTrainer("val_loss")
    with pytest.raises(UserError, match=r"'val_ap' is not logged; logged: val_loss"):
        trainer.run(keep, [1.0], nn.Linear(2, 1, bias=False))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_monitored_value_that_is_not_finite_is_a_divergence(
    bad: float, run: Callable[..., tuple[KeepBest, int]]
) -> None:
    with pytest.raises(DivergedError, match="val_loss left the finite range in epoch 1"):
        run([1.0, bad, 0.5])


def test_a_fit_that_another_process_has_taken_over_writes_nothing(tmp_path: Path) -> None:
    keep = KeepBest(tmp_path, allowed=lambda: False)
    with pytest.raises(LostRunError):
        FakeTrainer().run(keep, [1.0], nn.Linear(2, 1, bias=False))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"mode": "least"}, {"select": "first"}])
def test_words_that_mean_nothing_are_refused(wrong: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mode must be min or max"):
        KeepBest(tmp_path, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_training_loss_that_is_not_finite_ends_the_fit(loss: float) -> None:
    trainer: Any = SimpleNamespace(current_epoch=2, global_step=17)
    stop, module = StopWhenDiverged(), nn.Identity()
    stop.on_train_batch_end(trainer, module, {"loss": torch.tensor(3.0)}, None, 0)  # type: ignore[arg-type]
    with pytest.raises(DivergedError) as error:
        stop.on_train_batch_end(trainer, module, torch.tensor(loss), None, 0)  # type: ignore[arg-type]
    assert (error.value.epoch, error.value.step) == (2, 17)
