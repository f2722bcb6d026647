"""Evaluation of a fit, against a slow reference; divergence of a fit and of what needs it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_parts import ToyNet, blobs
from toy_runs import allowed_parts, toy_config, toy_folder

from thesisbench.data.arrays import Loading
from thesisbench.data.module import ArrayDataModule
from thesisbench.errors import UserError
from thesisbench.launch.jobs import DONE, FAILED
from thesisbench.run import run_folder
from thesisbench.store.folder import RunFolder
from thesisbench.tasks.evaluate import ErrorRates, error_rate, predict

BURST = {"lr": 3e38, "weight_decay": 1e3}  # one step and the weights are infinite
TOP_ONE: dict[str, Any] = {"_target_": "thesisbench.tasks.evaluate.TopOne"}


@pytest.fixture(autouse=True, scope="module")
def _allowed() -> Iterator[None]:
    with allowed_parts():
        yield


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = toy_folder(
        tmp_path_factory.mktemp("runs"), "fit", toy_config(schedule={"epochs": 2}, blobs={"n": 50})
    )
    assert run_folder(folder.path) == DONE, folder.read_state()
    return folder


def evaluation(fit: RunFolder, name: str, **changes: Any) -> RunFolder:
    config = {"kind": "eval", "seed": 3, "evaluation": {**TOP_ONE, "splits": ["val", "test"]}}
    return toy_folder(fit.path.parent, name, config | changes, weights=[fit.id])


def record_of(folder: RunFolder) -> dict[str, Any]:
    record = folder.read_record()
    assert record is not None, folder.read_state()
    return record


def test_it_equals_a_slow_reference_on_the_kept_weights(fit: RunFolder) -> None:
    folder = evaluation(fit, "slow")
    assert run_folder(folder.path) == DONE
    record = record_of(folder)
    network = ToyNet()
    kept = fit.path / record_of(fit)["provenance"]["facts"]["weights"]
    state = torch.load(kept, weights_only=True)
    network.load_state_dict({k.removeprefix("network."): v for k, v in state.items()})
    network.eval()
    for name in ("val", "test"):
        points, labels = blobs(n=50)[name]
        with torch.no_grad():
            each = [network(point[None])[0] for point in points]
        right = sum(int(x.argmax()) == int(y) for x, y in zip(each, labels, strict=True))
        assert record["result"]["metrics"][f"top1_{name}"] == 100 * right / 50
        saved = np.load(folder.predictions_dir / f"{name}.npy")
        np.testing.assert_allclose(saved, torch.stack(each).numpy(), rtol=1e-5, atol=1e-6)
        text = f"{saved.dtype}{saved.shape}".encode() + saved.tobytes()
        assert record["result"]["digests"][name] == hashlib.sha256(text).hexdigest()[:16]
    assert 50 < record["result"]["metrics"]["top1_test"] < 100, "the example shows something"
    evaluated = record["provenance"]["facts"]["evaluated"]
    assert evaluated == {name: {"on": 50, "of": 50} for name in ("val", "test")}
    assert record["provenance"]["facts"]["data"]["splits"]["test"]["count"] == 50


def test_an_evaluation_may_bring_its_own_data(fit: RunFolder) -> None:
    dataset = toy_config(blobs={"n": 50, "data_seed": 9})["dataset"]
    own, other = evaluation(fit, "own", dataset=dataset), evaluation(fit, "fits")
    assert run_folder(own.path) == run_folder(other.path) == DONE
    data = [record_of(f)["provenance"]["facts"]["data"]["splits"]["test"] for f in (own, other)]
    assert data[0]["sha256"] != data[1]["sha256"]


def test_a_limit_evaluates_the_first_batches_and_says_so(fit: RunFolder) -> None:
    folder = evaluation(fit, "limited", schedule={"batch_size": 8, "limit_batches": 2})
    assert run_folder(folder.path) == DONE
    facts = record_of(folder)["provenance"]["facts"]
    assert facts["evaluated"]["test"] == {"on": 16, "of": 50}


@pytest.mark.parametrize("size", [1, 7, 50, 64])
def test_batches_do_not_change_what_is_predicted(size: int) -> None:
    data = ArrayDataModule("blobs", lambda: blobs(n=50))
    data.loading = Loading(batch_size=size)
    network = ToyNet().eval()
    logits, labels = predict(network, data, "test")
    assert labels.tolist() == [0, 1] * 25
    assert not logits.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(logits, network(data.arrays["test"][0]))


@pytest.mark.parametrize(
    ("changes", "needs", "text"),
    [
        ({}, {}, "needs a run as input 'weights'"),
        ({"evaluation": {**TOP_ONE, "splits": ["tset"]}}, {"weights": ["fit"]}, "split of blobs"),
        ({"evaluation": None}, {"weights": ["fit"]}, "needs compute=NAME or evaluation=NAME"),
        ({}, {"weights": ["nowhere"]}, "needs run nowhere, which is not done"),
    ],
)
def test_what_cannot_be_evaluated_fails_with_one_line(
    changes: dict[str, Any], needs: dict[str, list[str]], text: str, fit: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "fit").symlink_to(fit.path)
    config = {"kind": "eval", "seed": 0, "evaluation": {**TOP_ONE, "splits": ["test"]}} | changes
    folder = toy_folder(tmp_path, "bad", config, **needs)
    assert run_folder(folder.path) == FAILED
    state = folder.state()
    assert state.name == "failed"
    assert text in state.message
    assert "\n" not in state.message


def test_weights_that_are_gone_are_said_with_what_to_do(tmp_path: Path) -> None:
    fit = toy_folder(tmp_path, "fit", toy_config(schedule={"epochs": 1}))
    run_folder(fit.path)
    for path in fit.path.glob("attempts/*/checkpoints/*"):
        path.unlink()
    folder = evaluation(fit, "test")
    assert run_folder(folder.path) == FAILED
    assert folder.state().message.endswith("train it again with --rerun fit")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"optimizer": {**toy_config()["optimizer"], "lr": 1e30}}, "left the finite range"),
        ({"optimizer": {**toy_config()["optimizer"], **BURST},
          "schedule": {"epochs": 1, "batch_size": 24}}, "val_loss left the finite range"),
        ({"optimizer": {**toy_config()["optimizer"], **BURST}, "blobs": {"val": False},
          "schedule": {"epochs": 1, "batch_size": 24, "select": "last"}}, "weights are not finite"),
    ],
    ids=["in_training", "in_the_last_step", "in_the_last_step_unseen"],
)  # fmt: skip
def test_a_fit_that_diverges_is_a_result_and_so_is_what_needs_it(
    changes: dict[str, Any], where: str, tmp_path: Path
) -> None:
    fit = toy_folder(tmp_path, "fit", toy_config(**changes))
    assert run_folder(fit.path) == DONE
    record = record_of(fit)
    assert record["result"] == {"outcome": "diverged", "metrics": {}, "digests": {}}
    assert where in record["provenance"]["facts"]["diverged"]
    assert fit.state().name == "diverged"
    assert not [p for p in (fit.path / "attempts").rglob("*") if p.is_file()]
    test = evaluation(fit, "test")
    assert run_folder(test.path) == DONE
    assert record_of(test)["result"]["outcome"] == "diverged"
    assert run_folder(fit.path) == DONE
    assert not (fit.path / "lease.2").exists(), "never tried again"


def test_a_metric_that_is_no_number_fails_by_name(tmp_path: Path) -> None:
    config = {"kind": "analytic", "seed": 0, "compute": {"_target_": "toy_parts.NotANumber"}}
    folder = toy_folder(tmp_path, "nan", config)
    assert run_folder(folder.path) == FAILED
    assert "metrics that are not finite numbers: bad" in folder.state().message


def test_a_label_counts_among_the_largest_logits() -> None:
    logits = torch.tensor([[4.0, 3, 2, 1, 0, -1], [4, 3, 2, 1, 0, -1], [4, 3, 2, 1, 0, -1]])
    labels = torch.tensor([0, 4, 5])
    assert error_rate(logits, labels, 1) == pytest.approx(200 / 3)
    assert error_rate(logits, labels, 5) == pytest.approx(100 / 3)
    assert error_rate(logits[:, :3], torch.tensor([2, 1, 0]), 5) == 0, "fewer than five classes"


def test_error_rates_of_a_run_are_what_its_top_one_leaves(fit: RunFolder) -> None:
    rates = {"_target_": "thesisbench.tasks.evaluate.ErrorRates", "split": "val"}
    wrong = evaluation(fit, "errors", evaluation=rates)
    right = evaluation(fit, "right")
    assert run_folder(wrong.path) == run_folder(right.path) == DONE, wrong.read_state()
    found, top1 = (record_of(f)["result"]["metrics"] for f in (wrong, right))
    assert found["top1_error"] == pytest.approx(100 - top1["top1_val"])
    assert found["top5_error"] == 0, "the toy has fewer than five classes"
    assert record_of(wrong)["provenance"]["facts"]["evaluated"]["val"]["on"] > 0


@pytest.mark.parametrize(("margin", "outcome"), [(None, "ok"), (0.0, "ok"), (60.0, "diverged")])
def test_a_network_at_chance_counts_as_not_trained(
    fit: RunFolder, margin: float | None, outcome: str
) -> None:
    node: dict[str, Any] = {"_target_": "thesisbench.tasks.evaluate.ErrorRates", "split": "val"}
    if margin is not None:
        node["at_chance"] = margin
    folder = evaluation(fit, f"chance{margin}", evaluation=node)
    assert run_folder(folder.path) == DONE, folder.read_state()
    record = record_of(folder)
    assert record["result"]["outcome"] == outcome
    assert 0 < record["result"]["metrics"]["top1_error"] < 50, "the example has learnt something"
    reason = record["provenance"]["facts"].get("diverged", "")
    assert reason.startswith("not trained: ") is (outcome == "diverged")


def test_a_margin_below_chance_is_refused() -> None:
    with pytest.raises(UserError, match="at_chance=-1 must be 0 or more"):
        ErrorRates(at_chance=-1)
