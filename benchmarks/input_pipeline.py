"""What loading costs beside training: images of CIFAR's size in memory, and JPEG files.

One process with one thread loads and trains, as each of two runs on two cores does: the share of
its time that it trains is how far loading leaves its core to the network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.harness import Action, Comparison, alternate
from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.data.arrays import ArrayDataset, Loading, make_loader
from thesisbench.data.image_files import ImageFiles
from thesisbench.data.image_transforms import random_crop
from thesisbench.data.imagenet import imagenet_splits
from thesisbench.data.small_images import CropAndFlip, Normalize

BATCH, CIFAR = 128, 50_000
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
BUSY, SLOWER = 95.0, 10.0  # percent


def measure(quick: bool) -> list[Comparison]:
    """A small ResNet on CIFAR-size images, loading alone, and loading JPEG files."""
    size, steps, repetitions = (2 * BATCH, 2, 1) if quick else (CIFAR, 20, 7)
    data = _cifar(size)
    files = 4 if quick else 64
    return [
        _training(data, steps, repetitions),
        _loading(data, steps, repetitions),
        _jpeg(files, repetitions),
    ]


def _cifar(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (size, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return images, torch.arange(size) % 10


def _batches(data: tuple[Tensor, Tensor]) -> Iterator[Any]:
    """Batches of ours without end."""
    finish = Normalize(mean=MEAN, std=STD)
    dataset = ArrayDataset(*data, transform=CropAndFlip(), finish=finish)
    loader = make_loader(dataset, Loading(BATCH), train=True)
    while True:
        yield from loader


def _training(data: tuple[Tensor, Tensor], steps: int, repetitions: int) -> Comparison:
    ours, base = "loading and training, seconds a step", "training on one batch, seconds a step"
    batches = _batches(data)
    one = next(batches)
    network = SmallResNet(classes=10)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    actions = {
        base: _steps(network, optimizer, iter(lambda: one, None), steps),
        ours: _steps(network, optimizer, batches, steps),
    }
    times = alternate(actions, repetitions, per=steps)
    rate = BATCH / times[ours].median
    return Comparison(
        f"ResNet-8, 32x32, batch {BATCH}",
        times[ours],
        times[base],
        "busy",
        BUSY,
        note=f"{rate:,.0f} images/s",
    )


def _steps(network: nn.Module, optimizer: Any, batches: Iterator[Any], count: int) -> Action:
    def action() -> None:
        for (images,), labels in islice(batches, count):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()

    return action


class _OneByOne(Dataset[tuple[Tensor, int]]):
    """The plain way: torchvision's transforms, sample by sample."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels
        crop = [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()]
        number = v2.ToDtype(torch.float32, scale=True)
        self.transform = v2.Compose([*crop, number, v2.Normalize(list(MEAN), list(STD))])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), int(self.labels[index])


def _loading(data: tuple[Tensor, Tensor], batches: int, repetitions: int) -> Comparison:
    ours, base = "ours, seconds a batch", "torchvision sample by sample, seconds a batch"
    endless = _batches(data)
    plain = DataLoader(_OneByOne(*data), batch_size=BATCH, shuffle=True)
    actions: dict[str, Action] = {
        base: lambda: _drain(islice(plain, 1)),
        ours: lambda: _drain(islice(endless, batches)),
    }
    times = alternate(actions, repetitions)
    per = times[ours].median / batches
    scaled = type(times[ours])(ours, tuple(s / batches for s in times[ours].seconds))
    note = f"{BATCH / per:,.0f} images/s"
    return Comparison(f"loading 32x32, batch {BATCH}", scaled, times[base], "speedup", note=note)


def _drain(batches: Any) -> None:
    for _ in batches:
        pass


def _jpeg(count: int, repetitions: int) -> Comparison:
    ours, base = "ours, seconds an image", "torchvision's ImageFolder, seconds an image"
    with tempfile.TemporaryDirectory() as folder:
        _write_photographs(Path(folder), count)
        images = imagenet_splits(n_classes=1, root=folder)["train"]
        transform = random_crop()
        loader = make_loader(ImageFiles(images, transform), Loading(16), train=True)
        plain = DataLoader(ImageFolder(f"{folder}/train", transform), batch_size=16, shuffle=True)
        actions: dict[str, Action] = {base: lambda: _drain(plain), ours: lambda: _drain(loader)}
        times = alternate(actions, repetitions, per=count)
    case = "JPEG 500x375 to 224x224"
    note = f"{1 / times[ours].median:,.0f} images/s a core"
    return Comparison(case, times[ours], times[base], "overhead", SLOWER, note=note)


def _write_photographs(folder: Path, count: int) -> None:
    for split in ("train", "val"):
        (folder / split / "n01").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for i in range(count):
        coarse = generator.integers(0, 256, (75, 100, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((500, 375))
        image.save(folder / "train" / "n01" / f"{i}.JPEG", quality=90)
    image.save(folder / "val" / "n01" / "0.JPEG")
