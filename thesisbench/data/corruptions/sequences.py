"""Which perturbations there are, how strong they are and how long their sequences.

Hendrycks and Dietterich, ICLR 2019; constants of their released generators: `SMALL` those of
CIFAR-P (32 pixels), `LARGE` those of ImageNet-P (224). Lengths are in pixels, angles in degrees for
each frame, colours in units of the full range; the three levels of noise are those of NAME, NAME_2
and NAME_3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thesisbench.data.corruptions.severities import SMALL_SIDE
from thesisbench.errors import UserError

STANDARD = (
    *("gaussian_noise", "shot_noise", "motion_blur", "zoom_blur", "snow"),
    *("brightness", "translate", "rotate", "tilt", "scale"),
)
NOISES = ("gaussian_noise", "shot_noise", "speckle_noise")
HARDER = tuple(f"{name}_{level}" for name in NOISES for level in (2, 3))
PERTURBATIONS = (*STANDARD, "speckle_noise", *HARDER)

SMALL: Mapping[str, Any] = {
    "gaussian_noise": (0.02, 0.04, 0.06),
    "shot_noise": (700, 400, 200),
    "speckle_noise": (0.05, 0.07, 0.1),
    "motion_blur": {"radius": 6, "sigma": 1.8, "frames": 21, "degrees": 9},
    "snow": {"zoom": 2, "radius": 10, "sigma": 2},
    "brightness": 0.015,
    "translate": {"first": -7, "frames": 16},
    "tilt": 0.75,
    "scale": {"first": 0.7, "step": 0.02},
}
LARGE: Mapping[str, Any] = {
    "gaussian_noise": (0.03, 0.05, 0.08),
    "shot_noise": (300, 120, 60),
    "speckle_noise": (0.05, 0.1, 0.15),
    "motion_blur": {"radius": 10, "sigma": 3, "frames": 31, "degrees": 4},
    "snow": {"zoom": 3, "radius": 14, "sigma": 4},
    "brightness": 0.02,
    "translate": {"first": -20, "frames": 41},
    "tilt": 1.0,
    "scale": {"first": 0.4, "step": 0.025},
}
FRAMES, MIDDLE = 31, 15


def is_noise(name: str) -> bool:
    """Whether frames are to be compared with the first one, rather than with the one before."""
    return "noise" in name


def kind_of(name: str) -> str:
    """A perturbation without its level."""
    return name.removesuffix("_2").removesuffix("_3")


def level_of(name: str, side: int) -> Any:
    """The constants of a perturbation for frames of a side; None where it has none."""
    kind = kind_of(name)
    found: Any = (SMALL if side <= SMALL_SIDE else LARGE).get(kind)
    if is_noise(name):
        return found[int(name[-1]) - 1 if name != kind else 0]
    return found


def frame_count(name: str, side: int) -> int:
    """Frames of a whole sequence.

    Args:
        name: of the perturbation.
        side: of the frames.
    """
    level = level_of(name, side)
    return int(level.get("frames", FRAMES)) if isinstance(level, dict) else FRAMES


def chosen_steps(count: int, frames: int | None) -> list[int]:
    """Which of the frames of a sequence are made; the first and the last always are.

    >>> chosen_steps(31, 4)
    [0, 10, 20, 30]
    """
    if frames is None or frames >= count:
        return list(range(count))
    if frames < 2:
        raise UserError(f"frames={frames} must be at least 2: a flip is between two of them")
    return [round(i * (count - 1) / (frames - 1)) for i in range(frames)]
