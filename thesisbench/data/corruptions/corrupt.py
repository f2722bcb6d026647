"""The corruptions of ImageNet-C by name, for whole batches, as functions of seed and image.

Hendrycks and Dietterich, ICLR 2019; Zhao, chapter 3, Table 3.5 and Figure A.4. The constants are
the authors'; the code is our own, for batches. Images of up to 64 pixels take the constants of
CIFAR-C.

*Deviations*. Frost and water are drawn otherwise (see `weather`); results are rounded to bytes,
where the release cuts off; ImageNet-C was stored as JPEG of quality 85, these are not. The data
set itself, where it is at hand, is `dataset=imagenet_c`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from thesisbench.data.corruptions import blurs, digital, noise, weather
from thesisbench.data.corruptions.draws import Draws
from thesisbench.data.corruptions.severities import EXTRA, SEVERITIES, STANDARD, level
from thesisbench.errors import UserError, unknown

Corruption = Callable[[Tensor, Any, Draws], Tensor]
HOME = {
    noise: ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    blurs: ("gaussian_blur", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    weather: ("snow", "frost", "fog", "brightness", "spatter"),
    digital: ("contrast", "saturate", "pixelate", "jpeg_compression", "elastic_transform"),
}
CORRUPTIONS: Mapping[str, Corruption] = {
    name: getattr(module, name) for module, names in HOME.items() for name in names
}
_ORDER = (*STANDARD, *EXTRA)


def corrupt(
    images: Float[Tensor, "b c s s"], name: str, severity: int, *, seed: int, numbers: Sequence[int]
) -> Float[Tensor, "b c s s"]:
    """Corrupted images, in steps of 1/255.

    Args:
        images: square, from 0 to 1, RGB or grey.
        name: of the corruption.
        severity: 1 (weak) to 5.
        seed: of whatever is random.
        numbers: of the images in their data set; with the seed, the name and the severity they tell
            what is drawn.

    Raises:
        UserError: an unknown corruption or severity, or images that are not square.
    """
    check(name, severity)
    height, width = images.shape[-2:]
    if height != width:
        raise UserError(f"corruptions need square images, not {height}x{width}")
    draws = Draws.of(numbers, seed, _ORDER.index(name), severity)
    corrupted = CORRUPTIONS[name](images, level(name, severity, height), draws)
    return (corrupted.clamp(0, 1) * 255).round() / 255


def check(name: str, severity: int) -> None:
    """Raises UserError for an unknown corruption or severity."""
    if name not in CORRUPTIONS:
        raise UserError(unknown("corruption", name, _ORDER))
    if severity not in SEVERITIES:
        raise UserError(f"severity {severity} is not one of 1 to 5")
