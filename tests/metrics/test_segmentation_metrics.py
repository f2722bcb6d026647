"""Mean IoU against torchmetrics and a slow reference; the trimap against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from thesisbench.errors import UserError
from thesisbench.metrics.segmentation import SegmentationScore, scores, trimap


def _masks(seed: int, n: int = 5, classes: int = 4, side: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, classes, (n, 3, 3), generator=generator)
    return coarse.repeat_interleave(side // 3, 1).repeat_interleave(side // 3, 2)


def _with_void(masks: torch.Tensor) -> torch.Tensor:
    masks = masks.clone()
    masks[:, 4, :] = 255
    return masks


def _slow_trimap(masks: torch.Tensor, width: int) -> torch.Tensor:
    found = torch.zeros_like(masks, dtype=torch.bool)
    for b, mask in enumerate(masks.tolist()):
        for i, row in enumerate(mask):
            for j, label in enumerate(row):
                near = (
                    r[max(0, j - width) : j + width + 1]
                    for r in mask[max(0, i - width) : i + width + 1]
                )
                found[b, i, j] = any(other != label for r in near for other in r)
    return found  # fmt: skip


@pytest.mark.parametrize("width", [1, 2, 3, 20])
def test_the_trimap_is_every_pixel_near_another_label(width: int) -> None:
    masks = _with_void(_masks(1))
    assert torch.equal(trimap(masks, width=width), _slow_trimap(masks, width))
    assert torch.equal(trimap(masks.to(torch.uint8), width=width), _slow_trimap(masks, width))


def test_a_mask_of_one_label_has_no_border() -> None:
    for label in (0, 3, 255):
        assert not trimap(torch.full((1, 6, 6), label), width=2).any()


@pytest.mark.parametrize("width", [0, -1])
def test_an_empty_band_is_refused(width: int) -> None:
    with pytest.raises(UserError, match=f"a band of {width} pixels"):
        trimap(torch.zeros(1, 4, 4), width=width)


def test_by_hand() -> None:
    truth = torch.tensor([[[0, 0, 1, 1], [0, 2, 2, 255]]])
    predicted = torch.tensor([[[0, 1, 1, 1], [0, 2, 0, 2]]])
    metric = SegmentationScore(classes=4)
    metric.update(predicted, truth)
    found = metric.compute()
    # class 0: 2 right of {2 right, 1 missed, 1 wrong}; 1: 2 of {2, 1 wrong}; 2: 1 of {1, 1 missed}
    assert found["iou"][:3].tolist() == pytest.approx([50.0, 200 / 3, 50.0])
    assert math.isnan(found["iou"][3]), "a class that is nowhere has no IoU"
    assert float(found["miou"]) == pytest.approx((50 + 200 / 3 + 50) / 3)
    assert float(found["pixel_accuracy"]) == pytest.approx(100 * 5 / 7)
    assert metric.compute()["counts"].tolist() == [
        [2, 1, 0, 0],
        [0, 2, 0, 0],
        [1, 0, 1, 0],
        [0, 0, 0, 0],
    ]


def test_a_class_that_is_missed_or_only_imagined_counts_as_zero() -> None:
    counts = torch.tensor([[4, 0, 1], [2, 0, 0], [0, 0, 0]])
    assert scores(counts)["iou"].tolist() == pytest.approx([400 / 7, 0.0, 0.0])


def test_it_equals_torchmetrics_however_it_is_cut_into_batches() -> None:
    truth, predicted = _with_void(_masks(2)), _masks(3)
    predicted[:, 2:7] = _masks(2)[:, 2:7]
    library = MulticlassJaccardIndex(4, ignore_index=255, average="macro")
    library.update(predicted, truth)
    for parts in ((5,), (1, 0, 4), (2, 3)):
        metric = SegmentationScore(classes=4)
        for p, t in zip(predicted.split(parts), truth.split(parts), strict=True):
            metric.update(p, t.to(torch.uint8))
        assert float(metric.compute()["miou"]) == pytest.approx(100 * float(library.compute()))
    assert 5 < float(metric.compute()["miou"]) < 95, "the example shows something"


def test_the_band_counts_pixels_of_the_trimap_only() -> None:
    truth, predicted = _with_void(_masks(4)), _masks(5)
    metric = SegmentationScore(classes=4, band=1)
    metric.update(predicted, truth)
    near = _slow_trimap(truth, 1)
    reference = SegmentationScore(classes=4)
    reference.update(predicted, torch.where(near, truth, 255))
    assert torch.equal(metric.confmat, reference.confmat)
    assert metric.confmat.sum() == (near & (truth != 255)).sum()
    assert 0 < metric.confmat.sum() < (truth != 255).sum()


def test_errors_far_from_borders_do_not_change_the_band() -> None:
    truth = torch.zeros(1, 20, 20, dtype=torch.long)
    truth[:, :, 15:] = 1
    predicted = truth.clone()
    predicted[:, :5, :5] = 1
    everywhere, near = SegmentationScore(classes=2), SegmentationScore(classes=2, band=3)
    for metric in (everywhere, near):
        metric.update(predicted, truth)
    assert float(near.compute()["miou"]) == 100
    assert float(everywhere.compute()["miou"]) < 95


@pytest.mark.parametrize("label", [4, 200])
def test_an_unknown_label_is_named(label: int) -> None:
    truth = _masks(1)
    truth[0, 0, 0] = label
    with pytest.raises(UserError, match=f"masks have label {label}, but there are 4 classes"):
        SegmentationScore(classes=4).update(truth, truth)


def test_devices_add_their_counts() -> None:
    metric = SegmentationScore(classes=4)
    assert metric._reductions["confmat"] is not None
    truth, predicted = _masks(2), _masks(3)
    parts = [SegmentationScore(classes=4) for _ in range(2)]
    parts[0].update(predicted[:2], truth[:2])
    parts[1].update(predicted[2:], truth[2:])
    both = torch.stack([part.confmat for part in parts])
    metric.update(predicted, truth)
    assert torch.equal(metric._reductions["confmat"](both), metric.confmat)  # type: ignore[operator,misc]
