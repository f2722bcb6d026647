"""Shift evaluation over separate passes: 64 for the accuracy and 10 for the consistency.

The separate passes are those of the released code: each reads, decodes and resizes every image
anew. Ours reads an image once, and both metrics share 65 forward passes; the classes are the same.
Reading is bounded. The network is not: a window's zero padding reaches through its maps, so that
the forward passes of different windows have nothing exactly in common but their number, 65 for 74
(17 for 26 on the stand-in). The more the network takes beside reading, the smaller the gain.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from benchmarks.harness import Comparison, alternate
from thesisbench.backbones.resnet import resnet
from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.data.arrays import Loading
from thesisbench.data.image_files import ImageList
from thesisbench.data.image_module import ImageFilesModule
from thesisbench.data.image_transforms import centre_crop
from thesisbench.data.module import ArrayDataModule
from thesisbench.data.stand_ins.shifted_digits import shifted_digits_splits
from thesisbench.metrics.shifts import ShiftConsistency
from thesisbench.tasks.shifts import ShiftTest

BOUND = 2.0  # times as fast, where reading is all there is to do


class Thumbnail(nn.Module):
    """A classifier that costs next to nothing: what is left is reading."""

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Pixels of each image at 4x4 as logits."""
        return F.interpolate(images, size=(4, 4)).flatten(1)


def measure(quick: bool) -> list[Comparison]:
    """Reading alone, ResNet-18 on photographs, and the stand-in with ResNet-8."""
    torch.manual_seed(0)
    n, reach, repetitions = (2, 8, 1) if quick else (4, 64, 3)
    photographs = ShiftTest(split="val", shifts=reach, max_shift=reach)
    digits = ShiftTest(split="wide", crop=32, shifts=16, max_shift=16)
    small = SmallResNet(in_channels=1).eval()
    with _photographs(n, photographs.crop + reach) as data:
        return [
            _compare("reading alone", Thumbnail(), photographs, data, repetitions, BOUND),
            _compare("ResNet-18", resnet(depth=18).eval(), photographs, data, repetitions),
            _compare("ResNet-8", small, digits, _digits(n), repetitions),
        ]


def _compare(
    case: str,
    network: nn.Module,
    test: ShiftTest,
    data: Any,
    repetitions: int,
    bound: float | None = None,
) -> Comparison:
    found: list[tuple[float, float]] = []

    def together() -> None:
        metrics, _ = test.measure(network, data, seed=0)
        found.append((metrics["shift_accuracy"], metrics["consistency"]))

    def separate() -> None:
        found.append(separate_passes(network, test, data))

    ours, base = "together", "separate passes"
    times = alternate({ours: together, base: separate}, repetitions, warm_up=False)
    if not all(
        math.isclose(*pair) for other in found for pair in zip(found[0], other, strict=True)
    ):
        raise RuntimeError(f"{case}: together and separately the results differ: {found}")
    forwards = f"{len(test.offsets)} forward passes for {test.shifts + 2 * test.pairs}"
    size = f"{len(data.split(test.split))} images"
    return Comparison(f"{case}, {size}", times[ours], times[base], "speedup", bound, note=forwards)


@torch.no_grad()
def separate_passes(network: nn.Module, test: ShiftTest, data: Any) -> tuple[float, float]:
    """Accuracy and consistency in percent, by a pass over the data for each shift and each draw."""
    n = len(data.split(test.split))
    labels = torch.cat([labels for _, labels in data.loader(test.split)])
    accuracies = [
        (_one_pass(network, test, data, torch.full((n,), t)) == labels).double().mean()
        for t in range(test.shifts)
    ]
    consistency = ShiftConsistency(pairs=test.pairs, max_shift=test.max_shift)
    draws = consistency.draws(torch.arange(n))
    agreed = [
        _one_pass(network, test, data, draws[:, pair, 0])
        == _one_pass(network, test, data, draws[:, pair, 1])
        for pair in range(test.pairs)
    ]
    return (
        float(100 * torch.stack(accuracies).mean()),
        float(100 * torch.stack(agreed).double().mean()),
    )


def _one_pass(
    network: nn.Module, test: ShiftTest, data: Any, offsets: Int[Tensor, " n"]
) -> Int[Tensor, " n"]:
    """Classes of windows at an offset an image."""
    found, places = [], offsets.tolist()
    for (images,), labels in data.loader(test.split):
        mine, places = places[: len(labels)], places[len(labels) :]
        pairs = zip(images, mine, strict=True)
        windows = [x[:, t : t + test.crop, t : t + test.crop] for x, t in pairs]
        found.append(network(torch.stack(windows)).argmax(1))
    return torch.cat(found)


@contextmanager
def _photographs(n: int, side: int) -> Iterator[Any]:
    """JPEG files of the usual size of ImageNet's, with smooth random content; read as squares."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{i}.jpg" for i in range(n)]
        for name in names:
            small = Image.fromarray(rng.integers(0, 256, (38, 50, 3), dtype=np.uint8))
            small.resize((500, 375), Image.Resampling.BICUBIC).save(Path(folder) / name, quality=90)
        images = ImageList(Path(folder), np.array(names, dtype=np.bytes_), torch.arange(n))
        wide = centre_crop(resize=side, size=side)
        data = ImageFilesModule("photographs", lambda: {"val": images}, train=wide, test=wide)
        data.loading = Loading(batch_size=32)
        yield data


def _digits(n: int) -> Any:
    data = ArrayDataModule("digits", lambda: shifted_digits_splits(data_seed=0, n_val=5 * n))
    data.loading = Loading(batch_size=256)
    return data
