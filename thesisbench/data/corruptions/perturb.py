"""Sequences of an image that changes little from frame to frame, after ImageNet-P.

Hendrycks and Dietterich, ICLR 2019; Zhao, chapter 3, Table 3.5 and Figure A.4. The constants are
the authors' (CIFAR-P for windows of up to 64 pixels, else ImageNet-P); the code is our own, for
batches. Frames of noise each add new noise to the first, clean one; in the others the perturbation
grows or turns from frame to frame.

*Deviations*. ImageNet-P was stored as compressed video, these frames are rounded to bytes. Fewer
`frames` are picked evenly out of the whole path, so that its steps get larger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from thesisbench.data.corruptions import noise, warps, weather
from thesisbench.data.corruptions.draws import Draws
from thesisbench.data.corruptions.linear import motion_blur as blurred_along
from thesisbench.data.corruptions.sequences import (
    MIDDLE,
    PERTURBATIONS,
    chosen_steps,
    frame_count,
    kind_of,
    level_of,
)
from thesisbench.errors import UserError, unknown

Images = Float[Tensor, "b c h w"]


def perturb(
    images: Images,
    name: str,
    *,
    seed: int,
    numbers: Sequence[int],
    crop: int | None = None,
    frames: int | None = None,
) -> Float[Tensor, "b t c s s"]:
    """Frames of each image, in steps of 1/255.

    Args:
        images: from 0 to 1, RGB or grey.
        name: of the perturbation; `_2` and `_3` are stronger noise.
        seed: of whatever is random.
        numbers: of the images in their data set.
        crop: side of the frames, in the middle of the images; their margin moves in where an image
            is moved, turned or made smaller. None for whole images.
        frames: so many, evenly out of all; None for all.

    Raises:
        UserError: an unknown perturbation, fewer than two frames, or images that are not square or
            too small.
    """
    side = _side(images, crop)
    if name not in PERTURBATIONS:
        raise UserError(unknown("perturbation", name, PERTURBATIONS))
    kind, level = kind_of(name), level_of(name, side)
    steps = chosen_steps(frame_count(name, side), frames)
    draws = Draws.of(numbers, seed, 1000 + PERTURBATIONS.index(name))
    if kind in MOVED:
        made = MOVED[kind](images, level, steps, side)
    else:
        make = STILL.get(kind, partial(_noises, kind))
        made = make(_middle(images, side), level, steps, draws)
    return (made.clamp(0, 1) * 255).round() / 255


def _side(images: Images, crop: int | None) -> int:
    height, width = images.shape[-2:]
    side = min(height, width) if crop is None else crop
    if height != width or side > height:
        text = f"perturbations need square images of at least {side} pixels"
        raise UserError(f"{text}, not {height}x{width}")
    return side


def _middle(images: Images, side: int) -> Images:
    start = (images.shape[-1] - side) // 2
    return images[..., start : start + side, start : start + side]


def _noises(kind: str, images: Images, level: float, steps: list[int], draws: Draws) -> Tensor:
    add = getattr(noise, kind)
    return torch.stack([add(images, level, draws.further(i)) if i else images for i in steps], 1)


def _motion_blur(images: Images, level: Any, steps: list[int], draws: Draws) -> Tensor:
    """The blur turns by half a circle or less, to the horizontal."""
    del draws
    last = level["frames"] - 1
    degrees = [torch.full((len(images),), (i - last) * level["degrees"]) for i in steps]
    radius, sigma = level["radius"], level["sigma"]
    frames = [blurred_along(images, radius=radius, sigma=sigma, degrees=d) for d in degrees]
    return torch.stack(frames, 1)


def _snow(images: Images, level: Any, steps: list[int], draws: Draws) -> Tensor:
    """The way of the flakes turns; they stay the same."""
    side = images.shape[-1]
    flakes = weather.flake_map(draws, side, mean=0.05, deviation=0.3, zoom=level["zoom"])
    flakes = torch.where(flakes < 0.5, 0.0, flakes)
    fall: dict[str, Any] = {"radius": level["radius"], "sigma": level["sigma"], "colour": 0.85}
    degrees = [torch.full((len(images),), 4 * i - 150) for i in steps]
    frames = [weather.fallen_snow(images, flakes, angle, **fall) for angle in degrees]
    return torch.stack(frames, 1)


def _brightness(images: Images, level: float, steps: list[int], draws: Draws) -> Tensor:
    del draws
    return torch.stack([weather.brighter(images, (i - MIDDLE) * level) for i in steps], 1)


def _zoom_blur(images: Images, level: None, steps: list[int], side: int) -> Tensor:
    """Frame i is the mean of the image and its enlargements by 0.4% to 0.4 i %."""
    del level
    total, frames = torch.zeros_like(_middle(images, side)), {}
    for i in range(steps[-1] + 1):
        total = total + _middle(warps.warped(images, warps.scaling(1 + 0.004 * i)), side)
        frames[i] = total / (i + 1)
    return torch.stack([frames[i] for i in steps], 1)


def _translate(images: Images, level: Any, steps: list[int], side: int) -> Tensor:
    moves = [warps.translation(i + level["first"]) for i in steps]
    return _seen(images, moves, side, nearest=True)


def _rotate(images: Images, level: None, steps: list[int], side: int) -> Tensor:
    del level
    return _seen(images, [warps.rotation(i - MIDDLE) for i in steps], side)


def _tilt(images: Images, level: float, steps: list[int], side: int) -> Tensor:
    size = images.shape[-2:]
    return _seen(images, [warps.tilt(level * (i - MIDDLE), *size) for i in steps], side)


def _scale(images: Images, level: Any, steps: list[int], side: int) -> Tensor:
    factors = [level["first"] + level["step"] * i for i in steps]
    return _seen(images, [warps.scaling(factor) for factor in factors], side)


def _seen(images: Images, maps: list[Tensor], side: int, *, nearest: bool = False) -> Tensor:
    frames = [_middle(warps.warped(images, back, nearest=nearest), side) for back in maps]
    return torch.stack(frames, 1)


STILL: Mapping[str, Callable[[Images, Any, list[int], Draws], Tensor]] = {
    "motion_blur": _motion_blur,
    "snow": _snow,
    "brightness": _brightness,
}
MOVED: Mapping[str, Callable[[Images, Any, list[int], int], Tensor]] = {
    "zoom_blur": _zoom_blur,
    "translate": _translate,
    "rotate": _rotate,
    "tilt": _tilt,
    "scale": _scale,
}
