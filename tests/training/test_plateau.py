"""The plateau schedule against the released loop written plainly, and resumed bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from toy_runs import Children, Kill, allowed_parts, toy_config, toy_folder

from thesisbench.launch.jobs import DONE, FAILED
from thesisbench.run import run_folder
from thesisbench.training.plateau import TARGET, Plateau, plateau_of
from thesisbench.training.selection import KeepBest

NODE = {"_target_": TARGET, "_partial_": True, "factor": 0.5, "patience": 1, "threshold": 0.0}
KEEP = "thesisbench.training.selection:KeepBest.on_train_epoch_end"
STEP = "thesisbench.training.plateau:Plateau.on_train_epoch_end"


def released_loop(
    losses: Sequence[float], *, patience: int, stop: float
) -> tuple[list[float], list[int]]:
    """Rates used in each epoch, and the epoch whose weights each epoch starts from.

    Weights are named by the epoch that made them; -1 are the initial ones.
    """
    rate, best, waited, kept, at = 1e-3, float("inf"), 0, -1, -1
    rates, starts = [], []
    for epoch, loss in enumerate(losses):
        rates.append(rate)
        starts.append(at)
        at = epoch
        if loss < best:
            best, waited, kept = loss, 0, epoch
        elif waited < patience:
            waited += 1
        else:
            rate, waited, at = rate * 0.1, 0, kept
        if rate <= stop * (1 + 1e-6):
            break
    return rates, starts


class FakeTrainer(SimpleNamespace):
    """Runs the epochs whose losses it is given; the weights of an epoch are its number."""

    def __init__(self, folder: Path, patience: int, stop: float, mode: str = "min") -> None:
        make = partial(
            torch.optim.lr_scheduler.ReduceLROnPlateau,
            factor=0.1, patience=patience, threshold=0.0, min_lr=stop,
        )  # fmt: skip
        self.module = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.module.weight, -1.0)
        optimizer = torch.optim.SGD(self.module.parameters(), lr=1e-3)
        callbacks = [Plateau(make, reload_best=True), KeepBest(folder, mode=mode)]
        super().__init__(
            current_epoch=0, global_step=0, should_stop=False, callback_metrics={},
            optimizers=[optimizer], callbacks=callbacks,
        )  # fmt: skip

    def save_checkpoint(self, path: Path) -> None:
        torch.save({"epoch": self.current_epoch}, path)

    def run(self, losses: Sequence[float]) -> tuple[list[float], list[int]]:
        rates, starts = [], []
        for callback in self.callbacks:
            callback.on_train_start(self, self.module)
        for loss in losses:
            if self.should_stop:
                break
            rates.append(self.optimizers[0].param_groups[0]["lr"])
            starts.append(int(self.module.weight))
            nn.init.constant_(self.module.weight, self.current_epoch)
            self.callback_metrics = {"val_loss": torch.tensor(loss)}
            for callback in self.callbacks:
                callback.on_train_epoch_end(self, self.module)
            self.current_epoch += 1
        return rates, starts


@pytest.mark.parametrize("patience", [0, 1, 2, 5])
def test_rates_reloads_and_the_end_are_those_of_the_released_loop(
    patience: int, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(patience)
    ended, reloaded = 0, 0
    for _ in range(20):
        losses = (torch.randint(0, 8, (30,), generator=generator) / 8).tolist()
        rates, starts = FakeTrainer(tmp_path, patience, 1e-6).run(losses)
        wanted, begun = released_loop(losses, patience=patience, stop=1e-6)
        assert rates == pytest.approx(wanted)
        assert starts == begun
        ended += len(rates) < 30
        reloaded += any(s != e - 1 for e, s in enumerate(starts))
    assert ended == reloaded == 20


def test_where_larger_is_better_the_schedule_says_so(tmp_path: Path) -> None:
    losses = [0.1, 0.2, 0.3, 0.2, 0.1, 0.4]
    falling, _ = FakeTrainer(tmp_path, 0, 0.0, "max").run(losses)
    wanted, _ = released_loop([-loss for loss in losses], patience=0, stop=0.0)
    assert falling == pytest.approx(wanted)


def test_a_node_of_another_schedule_makes_no_plateau() -> None:
    assert plateau_of(None) == []
    assert plateau_of({**NODE, "_target_": "torch.optim.lr_scheduler.StepLR"}) == []
    assert [type(callback) for callback in plateau_of(NODE)] == [Plateau]


@pytest.fixture(scope="module")
def _allowed() -> Iterator[None]:
    with allowed_parts():
        yield


def plateau_fit(**schedule: Any) -> dict[str, Any]:
    """A fit on noise, whose validation loss soon rises."""
    node = {**NODE, "reload_best": True, "min_lr": 0.02}
    return toy_config(scheduler=node, schedule={"epochs": 25, **schedule}, blobs={"noise": 3.0})


@pytest.mark.usefixtures("_allowed")
def test_best_weights_that_are_not_kept_cannot_be_gone_on_from(tmp_path: Path) -> None:
    folder = toy_folder(tmp_path, "last", plateau_fit(select="last"))
    assert run_folder(folder.path) == FAILED
    assert "reload_best=true needs schedule.select=best" in folder.state().message


@pytest.mark.usefixtures("_allowed")
def test_a_slip_in_the_node_is_one_line(tmp_path: Path) -> None:
    config = toy_config(scheduler={**NODE, "factor": 2.0})
    folder = toy_folder(tmp_path, "slip", config)
    assert run_folder(folder.path) == FAILED
    assert "Factor should be < 1.0" in folder.state().message


@pytest.mark.parametrize("call", [STEP, KEEP])
@pytest.mark.parametrize("after", [True, False])
def test_a_killed_fit_resumes_bit_by_bit_whichever_epoch_it_died_in(
    call: str, after: bool, tmp_path: Path
) -> None:
    children = Children()
    whole = toy_folder(tmp_path / "whole", "fit", plateau_fit())
    assert children.execute(whole.path) == 0, whole.log_file.read_text()
    wanted = whole.read_record()
    assert wanted is not None
    epochs = int(wanted["result"]["metrics"]["epochs"])
    assert 4 < epochs < 25, "the rate falls to its least and the fit ends"
    for nth in (2, epochs - 1, epochs):
        folder = toy_folder(tmp_path / f"killed{nth}", "fit", plateau_fit())
        assert children.execute(folder.path, Kill(call, nth, after=after)) == -9
        assert children.execute(folder.path) == DONE, folder.log_file.read_text()
        record = folder.read_record()
        assert record is not None
        assert record["result"] == wanted["result"]
        lines = (whole.path / "metrics.jsonl").read_text()
        assert (folder.path / "metrics.jsonl").read_text() == lines
