"""Shares of states and mean boxes of parts, worked out by hand and from files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from detection_formats import write_delftbikes

from thesisbench.data.box_transforms import as_it_is
from thesisbench.data.delftbikes import PARTS, delftbikes_splits
from thesisbench.data.detection_files import split_in_memory
from thesisbench.data.detection_module import DetectionDataModule
from thesisbench.errors import UserError
from thesisbench.methods.kayhan.part_verification.part_statistics import (
    STATES,
    PartStatisticsTable,
    draw_ellipses,
    part_statistics,
    statistics_of,
)
from thesisbench.step import StepContext
from thesisbench.store.folder import RunFolder


def test_counts_and_means_of_two_parts() -> None:
    boxes = torch.tensor([[0.0, 0, 0.2, 0.4], [0.4, 0.2, 0.8, 0.4], [0.1, 0.1, 0.2, 0.3]])
    found = part_statistics(boxes, torch.tensor([0, 0, 2]), torch.tensor([0, 3, 1]), 3)
    assert found.counts.tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert found.shares.tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])
    assert found.part_shares[0].tolist() == [0.5, 0, 0, 0.5]
    assert found.part_shares[1].isnan().all()
    assert found.ellipses[0].tolist() == pytest.approx([0.35, 0.25, 0.3, 0.3])
    assert found.ellipses[1].isnan().all()
    assert found.ellipses[2].tolist() == pytest.approx([0.15, 0.2, 0.1, 0.2])


def test_places_are_shares_of_the_image_whatever_its_size() -> None:
    images = torch.zeros(2, 3, 20, 40, dtype=torch.uint8)
    boxes = torch.tensor([[[4.0, 5, 12, 10]], [[8.0, 5, 16, 15]]])
    label, there = torch.zeros(2, 1, dtype=torch.long), torch.ones(2, 1, dtype=torch.bool)
    split = split_in_memory(images, boxes, label, there, ("saddle",), state=label)
    assert statistics_of(split).ellipses[0].tolist() == pytest.approx([0.25, 0.4375, 0.2, 0.375])
    with pytest.raises(UserError, match="these boxes have no states"):
        statistics_of(split_in_memory(images, boxes, label, there, ("saddle",)))


def context_of(root: Path, monkeypatch: pytest.MonkeyPatch) -> StepContext:
    data = DetectionDataModule(
        "delftbikes",
        lambda: delftbikes_splits(root=str(root)),
        train=as_it_is(),
        test=as_it_is(),
    )
    (root / "run").mkdir()
    folder = RunFolder(root / "run")
    context = StepContext(config={}, folder=folder, attempt=root / "attempt")
    monkeypatch.setattr(context, "dataset", lambda: data)
    return context


def test_the_step_tells_states_places_and_the_most_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(write_delftbikes(tmp_path), monkeypatch)
    metrics = PartStatisticsTable()(context)
    assert (metrics["train_parts"], metrics["test_parts"]) == (16, 8)
    for split in ("train", "test", "all"):
        assert [metrics[f"{split}_{state}"] for state in STATES] == [25.0] * 4
    assert metrics["saddle_intact"] == 100
    assert metrics["bell_absent"] == 100
    assert metrics["saddle_x"] == pytest.approx((8 + 1.5) / 40)
    assert metrics["saddle_height"] == pytest.approx(4 / 32)
    assert "steer_x" not in metrics
    assert all(value == value for value in metrics.values())
    most = {"intact": "saddle", "damaged": "front_wheel", "absent": "bell", "occluded": "chain"}
    assert context.result.facts["most"] == most
    assert context.result.facts["data"]["splits"]["train"]["count"] == 4
    assert (context.folder.path / "pictures" / "mean_parts.png").exists()
    assert set(most.values()) <= set(PARTS)
    with pytest.raises(UserError, match="splits must name a split"):
        PartStatisticsTable(splits=())
    with pytest.raises(UserError, match="unknown split of delftbikes 'tst'"):
        PartStatisticsTable(splits=["tst"])(context)


def test_an_ellipse_is_drawn_about_its_centre() -> None:
    nan = float("nan")
    picture = draw_ellipses(torch.tensor([[0.5, 0.25, 0.5, 0.25], [nan, nan, nan, nan]]), side=64)
    rows, columns = (picture != 255).any(0).nonzero().unbind(1)
    assert float(rows.float().mean()) + 0.5 == pytest.approx(16, abs=0.5)
    assert float(columns.float().mean()) + 0.5 == pytest.approx(32, abs=0.5)
    assert int(columns.max() - columns.min()) == pytest.approx(32, abs=4)
    assert int(rows.max() - rows.min()) == pytest.approx(16, abs=3)
    assert (picture[:, 16, 32] == 255).all(), "only the outline"
