"""Per-pixel training against a slow reference, void pixels, added losses, and the IoU test."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from thesisbench.data.arrays import Loading
from thesisbench.data.module import ArrayDataModule
from thesisbench.data.shares import Share
from thesisbench.metrics.segmentation import SegmentationScore
from thesisbench.pictures import mask_colours
from thesisbench.step import StepContext
from thesisbench.store.folder import RunFolder
from thesisbench.tasks.evaluate_masks import SegmentationTest, side_by_side
from thesisbench.tasks.segmentation import SegmentationTask, pixel_loss


def masks_of(n: int, seed: int = 0) -> Tensor:
    """Masks of three classes with a row of void."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 3, (n, 2, 2), generator=generator, dtype=torch.uint8)
    masks = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    masks[:, 5] = 255
    return masks


class Net(nn.Module):
    """A convolution to three classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.conv(images)
        return logits


class CostlyNet(Net):
    """The same with a loss of its own."""

    def extra_losses(self) -> dict[str, Tensor]:
        return {"weight": self.conv.weight.square().mean()}


def module(n: int = 11, **loading: Any) -> ArrayDataModule:
    images = torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    data = ArrayDataModule("masks", lambda: {"val": (images, masks_of(n))})
    data.loading = Loading(**{"batch_size": 4, **loading})
    return data


def test_loss_and_accuracy_are_means_over_the_pixels_that_count() -> None:
    logits = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    masks = masks_of(2)
    masks[0, :, :6] = 255  # images with different numbers of pixels
    losses, right = [], []
    for image, mask in zip(logits.permute(0, 2, 3, 1).tolist(), masks.tolist(), strict=True):
        for scores_row, row in zip(image, mask, strict=True):
            for scores, label in zip(scores_row, row, strict=True):
                if label != 255:
                    losses.append(math.log(sum(map(math.exp, scores))) - scores[label])
                    right.append(max(scores) == scores[label])
    loss, accuracy = pixel_loss(logits, masks)
    assert float(loss) == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert float(accuracy) == pytest.approx(100 * sum(right) / len(right))


def test_void_pixels_have_no_gradient_and_a_batch_of_them_no_loss() -> None:
    logits = torch.randn(1, 3, 8, 8, requires_grad=True)
    masks = masks_of(1)
    loss, _ = pixel_loss(logits, masks)
    (gradient,) = torch.autograd.grad(loss, logits)
    moved = gradient.abs().sum(1)[0] > 0
    assert torch.equal(moved, masks[0] != 255)
    loss, accuracy = pixel_loss(logits, torch.full_like(masks, 255))
    assert (float(loss.detach()), float(accuracy)) == (0.0, 0.0)


def test_training_steps_add_the_losses_of_layers_and_validation_does_not() -> None:
    batch = next(iter(module().loader("val")))
    plain, costly = SegmentationTask(Net()), SegmentationTask(CostlyNet())
    for task in (plain, costly):
        task.log_means = lambda *_: None  # type: ignore[method-assign]
    difference = costly.training_step(batch, 0) - plain.training_step(batch, 0)
    own = plain.network.conv.weight.detach().square().mean()
    assert float(difference.detach()) == pytest.approx(float(own), rel=1e-4)
    assert torch.equal(costly.measure(batch, "val"), plain.measure(batch, "val"))


def slow_iou(network: nn.Module, data: ArrayDataModule, k: int) -> float:
    (images,), masks = data.split("val").__getitems__([(0, i) for i in range(11)])
    with torch.no_grad():
        predicted = network(images).argmax(1)
    counted = masks != 255
    both = ((predicted == k) & (masks == k) & counted).sum()
    either = (((predicted == k) | (masks == k)) & counted).sum()
    return 100 * int(both) / int(either)


@pytest.mark.parametrize("size", [1, 4, 64])
def test_the_test_equals_a_slow_reference_whatever_the_batch(size: int) -> None:
    network, data = Net().eval(), module(batch_size=size)
    everywhere, near = SegmentationTest(classes=3, band=1).measure(network, data)
    found = everywhere.compute()
    assert found["iou"].tolist() == pytest.approx([slow_iou(network, data, k) for k in range(3)])
    assert int(found["counts"].sum()) == 11 * (64 - 8)
    assert 0 < int(near.compute()["counts"].sum()) < 11 * (64 - 8)


def test_shares_of_two_processes_add_up_to_the_whole() -> None:
    network, test = Net().eval(), SegmentationTest(classes=3, band=1)
    whole = [metric.confmat for metric in test.measure(network, module())]
    shares = [test.measure(network, module(share=Share(rank, 2))) for rank in range(2)]
    for i in range(2):
        assert torch.equal(shares[0][i].confmat + shares[1][i].confmat, whole[i])


def evaluated(tmp_path: Path, **config: Any) -> tuple[StepContext, dict[str, float]]:
    context = StepContext(config=config, folder=RunFolder(tmp_path), attempt=tmp_path / "a")
    data = module(limit=config.get("limit"))
    context.fitted = lambda name="weights": Net().eval()  # type: ignore[method-assign]
    context.fitted_dataset = lambda name="weights": data  # type: ignore[method-assign]
    return context, SegmentationTest(classes=4, band=2, pictures=2)(context)


def test_a_step_gives_metrics_counts_and_pictures(tmp_path: Path) -> None:
    context, metrics = evaluated(tmp_path)
    names = {"miou", "boundary_miou", "pixel_accuracy", "iou_0", "iou_1", "iou_2"}
    assert set(metrics) == names, "the fourth class is nowhere and has no IoU"
    assert metrics["miou"] == pytest.approx(np.mean([metrics[f"iou_{k}"] for k in range(3)]))
    counts = np.load(tmp_path / "predictions/val_confusion.npy")
    assert counts.shape == (2, 4, 4)
    assert (counts[1] <= counts[0]).all()
    assert list(context.result.digests) == ["val_confusion"]
    assert context.result.facts["evaluated"] == {"val": {"on": 11, "of": 11}}
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == ["val_0.png", "val_1.png"]


def test_a_limit_tests_the_first_batches_and_says_so(tmp_path: Path) -> None:
    context, _ = evaluated(tmp_path, limit=2)
    assert context.result.facts["evaluated"] == {"val": {"on": 8, "of": 11}}
    assert int(np.load(tmp_path / "predictions/val_confusion.npy")[0].sum()) == 8 * 56


def test_a_picture_shows_image_truth_and_prediction() -> None:
    image = torch.linspace(-1, 3, 3 * 100 * 8).view(3, 100, 8)
    mask = torch.randint(0, 3, (100, 8), generator=torch.Generator().manual_seed(0))
    picture = side_by_side(image, mask, mask.flip(0))
    assert picture.shape == (3, 100, 3 * 8 + 2 * 2)
    assert torch.equal(picture[:, :, 10:18], mask_colours(mask))
    assert torch.equal(picture[:, :, 20:], mask_colours(mask.flip(0)))
    assert (int(picture[:, :, :8].min()), int(picture[:, :, :8].max())) == (0, 255)
    assert side_by_side(image[:1, :8], mask[:8], mask[:8]).shape == (3, 192, 24 * 28)
    assert side_by_side(
        torch.zeros(1, 200, 8), mask[:1].expand(200, 8), mask[:1].expand(200, 8)
    ).any()


def test_the_score_takes_what_a_network_gives() -> None:
    metric = SegmentationScore(classes=3)
    metric.update(torch.zeros(0, 8, 8), masks_of(0))
    assert int(metric.confmat.sum()) == 0
