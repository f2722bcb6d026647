"""The 15 corruptions of a batch over the same one image at a time (scikit-image, SciPy, Pillow).

The released order of the glass blur is a loop over pixels there, so that the set without it stands
beside the whole one. JPEG is Pillow's on both sides. Severities 1, 3
and 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from benchmarks.corruptions_by_image import by_image
from benchmarks.harness import Action, Comparison, alternate
from thesisbench.data.corruptions.corrupt import corrupt
from thesisbench.data.corruptions.severities import STANDARD

BOUND = 1.5  # times as fast
SLOW = "glass_blur"
SAME = ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
STEPS = 4.5  # of 255 that the two may differ by where nothing is drawn: they round otherwise


def measure(quick: bool) -> list[Comparison]:
    """Images of 32 and of 224 pixels: the whole set, and the set without glass blur."""
    sizes, severities, repetitions = (
        (((32, 4),), (3,), 1) if quick else (((32, 128), (224, 8)), (1, 3, 5), 5)
    )
    rest = [name for name in STANDARD if name != SLOW]
    found = []
    for side, batch in sizes:
        images = _images(batch, side)
        _check_agreement(images, severities)
        for case, names, bound in ((f"without {SLOW}", rest, BOUND), (SLOW, [SLOW], None)):
            ways = {
                "batch": _batched(images, names, severities),
                "by image": _one_by_one(images, names, severities),
            }
            times = alternate(ways, repetitions, per=batch * len(severities))
            title = f"{case}, {batch} of {side} px"
            found.append(Comparison(title, times["batch"], times["by image"], "speedup", bound))
    return found


def _check_agreement(images: Tensor, severities: Sequence[int]) -> None:
    """Raises RuntimeError where nothing is drawn and the two ways differ."""
    pixels = rearrange(images, "b c h w -> b h w c").double().numpy()
    for name in SAME:
        for severity in severities:
            ours = 255 * corrupt(images[:1], name, severity, seed=0, numbers=[0])[0]
            theirs = torch.from_numpy(by_image(pixels[0], name, severity)).float()
            away = float((rearrange(ours, "c h w -> h w c") - theirs).abs().max())
            if away > STEPS:
                raise RuntimeError(f"{name} at severity {severity} differs by {away} of 255")


def _images(batch: int, side: int) -> Tensor:
    coarse = torch.rand(batch, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    images = F.interpolate(coarse, size=(side, side), mode="bilinear")
    return (images * 255).round() / 255


def _batched(images: Tensor, names: Sequence[str], severities: Sequence[int]) -> Action:
    def action() -> None:
        for name in names:
            for severity in severities:
                corrupt(images, name, severity, seed=0, numbers=range(len(images)))

    return action


def _one_by_one(images: Tensor, names: Sequence[str], severities: Sequence[int]) -> Action:
    pixels = list(rearrange(images, "b c h w -> b h w c").double().numpy())

    def action() -> None:
        for name in names:
            for severity in severities:
                for image in pixels:
                    by_image(image, name, severity)

    return action
