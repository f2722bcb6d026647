"""A context curve whose steps share decoding, masking and batches, and a pass for each step.

Photographs in JPEG files with objects on them, 15 numbers of pixels, background and foreground. The
separate passes are the pseudo code of the chapter: for each object and number of pixels the image
is read, masked and given to the detector alone. Reading and masking are bounded, with a detector
that costs next to nothing. With a network beside, which both sides run on the same views but for
those that hide nothing, the gain is what batches and these views make of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.harness import Comparison, alternate
from thesisbench.data.arrays import Loading
from thesisbench.data.box_transforms import as_it_is
from thesisbench.data.detection_files import BoxSplit, ImagePaths
from thesisbench.data.detection_module import DetectionDataModule
from thesisbench.detection.matching import IoUMatch
from thesisbench.methods.kayhan.detector_context.context_curve import PIXELS, ContextCurve

BOUND = 3.0  # times as fast, without a network
HEIGHT, WIDTH = 375, 500
MODES = ("bg", "fg")


class Glance(nn.Module):
    """A detector that looks at one pixel in 64 by 64, or at a small network's map, and answers.

    Args:
        network: images -> maps; None for none.
    """

    def __init__(self, network: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network

    def detect(
        self, images: Sequence[Tensor], *, score_threshold: float | None = None
    ) -> list[dict[str, Tensor]]:
        """The left and the right half of the image, with classes by its brightness."""
        del score_threshold
        seen = [image[:, ::64, ::64] for image in images]
        if self.network is not None:
            seen = list(self.network(torch.stack(list(images))))
        halves = torch.tensor([[0.0, 0, WIDTH / 2, HEIGHT], [WIDTH / 2, 0, WIDTH, HEIGHT]])
        return [
            {"boxes": halves, "scores": torch.ones(2), "labels": (x.mean() > 0.2).long().repeat(2)}
            for x in seen
        ]


def measure(quick: bool) -> list[Comparison]:
    """Without a network, and with a small one."""
    torch.manual_seed(0)
    images, repetitions = (1, 1) if quick else (4, 3)
    network = nn.Sequential(
        *(nn.Conv2d(3, 16, 7, stride=4), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(), nn.Conv2d(32, 4, 3, stride=2)),
    ).eval()
    with _photographs(images, 3) as data:
        return [
            _compare("reading and masking", Glance(), data, repetitions, BOUND),
            _compare("with a small network", Glance(network), data, repetitions),
        ]


def _compare(
    case: str, detector: Glance, data: Any, repetitions: int, bound: float | None = None
) -> Comparison:
    curve = ContextCurve(pictures=0)
    found: dict[str, Tensor] = {}

    def together() -> None:
        found["together"] = torch.cat([x.hidden for x in curve.measure(detector, data)], dim=2)

    def separate() -> None:
        found["separate"] = separate_passes(detector, data)

    times = alternate({"together": together, "separate passes": separate}, repetitions)
    if detector.network is None and not torch.equal(found["together"], found["separate"]):
        raise RuntimeError(f"{case}: together and separately the answers differ")
    ours, base = times["together"], times["separate passes"]
    count = len(data.split("val"))
    title = f"{case}, {count} images"
    return Comparison(title, ours, base, "speedup", bound, note="15 steps, 3 objects an image")


@torch.no_grad()
def separate_passes(detector: Glance, data: Any) -> Tensor:
    """Answers by mode, number of pixels and object: an image is read for each."""
    split, match = data.split("val"), IoUMatch()
    answers = []
    for index in range(len(split)):
        (_,), (target,) = split[(0, index)]
        objects = list(zip(target["boxes"], target["labels"], strict=True))
        right = torch.zeros(2, len(PIXELS), len(objects), dtype=torch.bool)
        for number, mode in enumerate(MODES):
            for step, p in enumerate(PIXELS):
                for item, (box, label) in enumerate(objects):
                    (image,), _ = split[(0, index)]
                    (seen,) = detector.detect([_hidden(image, box, p, mode)])
                    size = (image.shape[-2], image.shape[-1])
                    right[number, step, item] = match(seen, box[None], label[None], size)[0]
        answers.append(right)
    return torch.cat(answers, dim=2)


def _hidden(image: Tensor, box: Tensor, p: int, mode: str) -> Tensor:
    """The pseudo code of the chapter."""
    x1, y1, x2, y2 = box.int().tolist()
    mask = torch.zeros(1, HEIGHT, WIDTH) if mode == "bg" else torch.ones(1, HEIGHT, WIDTH)
    if mode == "bg":
        mask[:, max(0, y1 - p) : y2 + p, max(0, x1 - p) : x2 + p] = 1
    elif y1 + p < y2 - p and x1 + p < x2 - p:
        mask[:, y1 + p : y2 - p, x1 + p : x2 - p] = 0
    return image * mask


@contextmanager
def _photographs(n: int, objects: int) -> Iterator[Any]:
    """JPEG files of a usual size with smooth random content, and boxes on them."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{i}.jpg" for i in range(n)]
        for name in names:
            small = Image.fromarray(rng.integers(0, 256, (38, 50, 3), dtype=np.uint8))
            picture = small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            picture.save(Path(folder) / name, quality=90)
        corner = rng.integers(0, (WIDTH - 200, HEIGHT - 200), (n * objects, 2))
        sides = rng.integers(20, 200, (n * objects, 2))
        split = BoxSplit(
            images=ImagePaths(Path(folder), np.array(names, dtype=np.bytes_)),
            sizes=torch.tensor([[HEIGHT, WIDTH]] * n),
            first=torch.arange(n + 1) * objects,
            boxes=torch.from_numpy(np.concatenate([corner, corner + sides], 1)).float(),
            labels=torch.from_numpy(rng.integers(0, 2, n * objects)),
            flags={"crowd": torch.zeros(n * objects, dtype=torch.bool)},
            classes=("dark", "light"),
        )
        plain = as_it_is()
        data = DetectionDataModule("photographs", lambda: {"val": split}, train=plain, test=plain)
        data.loading = Loading(batch_size=4)
        yield data
