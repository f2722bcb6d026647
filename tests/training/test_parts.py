"""A batch done in parts, one after another, trains what the whole batch trains."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_runs import allowed_parts, toy_config, toy_folder

from thesisbench.launch.jobs import DONE, FAILED
from thesisbench.run import run_folder
from thesisbench.store.folder import RunFolder

PLAIN = {"_target_": "torch.nn.Linear", "in_features": 4, "out_features": 2}


@pytest.fixture(autouse=True, scope="module")
def _allowed() -> Iterator[None]:
    with allowed_parts():
        yield


def fit(root: Path, name: str, **changes: Any) -> RunFolder:
    given = {"backbone": PLAIN, "blobs": {"n": 25}, **changes}
    folder = toy_folder(root, name, toy_config(**given))
    assert run_folder(folder.path) == DONE, folder.state().message
    return folder


def curve(folder: RunFolder) -> list[dict[str, float]]:
    return [json.loads(line) for line in folder.metrics_file.read_text().splitlines()]


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    record = folder.read_record()
    assert record is not None
    path = folder.path / record["provenance"]["facts"]["weights"]
    loaded: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return loaded


@pytest.mark.parametrize("turns", [2, 3, 6])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_parts_draw_the_curve_of_the_whole(turns: int, clip: float | None, tmp_path: Path) -> None:
    schedule = {"gradient_clip": clip, "select": "last"}
    whole = fit(tmp_path, "whole", schedule=schedule)
    parts = fit(tmp_path, "parts", schedule={**schedule, "accumulate": turns})
    for a, b in zip(curve(whole), curve(parts), strict=True):
        assert b == pytest.approx(a, rel=1e-5, abs=1e-6)
    torch.testing.assert_close(weights(parts), weights(whole), rtol=1e-4, atol=1e-6)


def test_a_limit_counts_whole_batches(tmp_path: Path) -> None:
    schedule = {"limit_batches": 2, "epochs": 1}
    whole = fit(tmp_path, "whole", schedule=schedule)
    parts = fit(tmp_path, "parts", schedule={**schedule, "accumulate": 3})
    (a,), (b,) = curve(whole), curve(parts)
    assert a["step"] == b["step"] == 2
    assert b == pytest.approx(a, rel=1e-5, abs=1e-6)


def test_what_a_normalisation_sees_changes_its_result(tmp_path: Path) -> None:
    """The reason why the parts enter the id of such a run."""
    backbone = {"_target_": "toy_parts.ToyNet", "dropout": 0.0}
    given: dict[str, Any] = {"backbone": backbone, "blobs": {"n": 24}}
    whole = fit(tmp_path, "whole", **given)
    parts = fit(tmp_path, "parts", schedule={"accumulate": 2}, **given)
    assert abs(curve(whole)[-1]["train_loss"] - curve(parts)[-1]["train_loss"]) > 1e-3


def test_the_learning_rate_of_a_rule_is_that_of_its_product(tmp_path: Path) -> None:
    optimizer = toy_config()["optimizer"]
    ruled = {**optimizer, "lr": 0.1, "lr_rule": "linear", "base_batch": 3}
    by_rule = fit(tmp_path, "rule", optimizer=ruled)
    by_hand = fit(tmp_path, "hand", optimizer={**optimizer, "lr": 0.1 * 2.0})
    assert curve(by_rule) == curve(by_hand)


def test_mixed_precision_is_that_of_the_trainer_where_it_says_one(tmp_path: Path) -> None:
    plain = fit(tmp_path, "plain")
    mixed = fit(tmp_path, "mixed", trainer={"precision": "bf16-mixed"})
    other = fit(tmp_path, "other", precision="bf16-mixed")
    assert curve(mixed) == curve(other)
    assert curve(mixed) != curve(plain)
    assert curve(mixed)[-1]["train_loss"] == pytest.approx(curve(plain)[-1]["train_loss"], rel=0.1)


def test_ddp_with_one_device_is_no_ddp(tmp_path: Path) -> None:
    plain = fit(tmp_path, "plain")
    single = fit(tmp_path, "single", trainer={"strategy": "ddp", "sync_batchnorm": False})
    assert curve(plain) == curve(single)


def test_a_network_that_says_batch_free_and_is_not_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thesisbench.training.inner_network.is_batch_free", lambda config: True)
    folder = toy_folder(tmp_path, "lies", toy_config(schedule={"accumulate": 2}))
    assert run_folder(folder.path) == FAILED
    assert "ToyNet says batch_free, but its layer body.1" in folder.state().message


def test_data_that_nobody_cuts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thesisbench.training.parts._sampler", lambda loader: None)
    folder = toy_folder(tmp_path, "own", toy_config(schedule={"accumulate": 2}))
    assert run_folder(folder.path) == FAILED
    assert "ArrayDataModule does not cut its batches into parts" in folder.state().message


def test_channels_last_trains_alike_and_is_told(tmp_path: Path) -> None:
    given: dict[str, Any] = {"schedule": {"epochs": 2, "select": "last"}}
    given["backbone"] = {"_target_": "toy_parts.ToyConvNet"}
    plain = fit(tmp_path, "plain", **given)
    last = fit(tmp_path, "last", trainer={"channels_last": True}, **given)
    for a, b in zip(curve(plain), curve(last), strict=True):
        assert b == pytest.approx(a, rel=1e-4)
    kept = weights(last)
    assert weights(plain).keys() == kept.keys()
    wide = [w for w in kept.values() if w.dim() == 4 and w.shape[1] > 1 and w.shape[2] > 1]
    assert wide
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in wide)
    record = last.read_record() or {}
    assert record["provenance"]["facts"]["channels_last"] is True


@pytest.mark.slow
def test_a_compiled_network_trains_alike_and_keeps_its_names(tmp_path: Path) -> None:
    schedule = {"epochs": 2, "select": "last"}
    given: dict[str, Any] = {"schedule": schedule, "blobs": {"n": 24}}
    given["backbone"] = {"_target_": "toy_parts.ToyNet"}
    plain = fit(tmp_path, "plain", **given)
    quick = fit(tmp_path, "quick", trainer={"compile": True}, **given)
    for a, b in zip(curve(plain), curve(quick), strict=True):
        assert b == pytest.approx(a, rel=1e-4), "dropout included"
    assert weights(plain).keys() == weights(quick).keys()
    records = [folder.read_record() or {} for folder in (plain, quick)]
    facts = [record["provenance"]["facts"] for record in records]
    assert facts[1]["compiled"] is True
    assert facts[0]["flops_per_sample"] == facts[1]["flops_per_sample"] > 0
