"""Textures in four domains: the same classes, seen through another camera.

Stands in for Office-31 in Liu, chapter 5 (Table 5.6). The images are those of `texture_cls`; a
domain changes the finished image: `clean` not at all, `gamma` by a power of its values, `blurred`
by a Gaussian, `inverted` to its negative. The same seed gives the same scenes in all domains, so
that domains differ in nothing else; training and test images of two domains share no scene.

*Deviations*. A stand-in: its numbers serve claims and are not compared with the thesis's.
"""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from thesisbench.data.stand_ins.texture_cls import Split, Style, texture_cls_splits
from thesisbench.errors import UserError, unknown

GAMMA = 2.2  # power of the values
SIGMA = 0.7  # of the blur in pixels: leaves 80% of the lowest frequency, 19% of the highest


def gamma(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Darker images with other contrasts, black and white in place."""
    return images**GAMMA


def blurred(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Images through a Gaussian, mirrored at their edges."""
    from torchvision.transforms.v2.functional import gaussian_blur

    result: Tensor = gaussian_blur(images, [7, 7], [SIGMA, SIGMA])
    return result


def inverted(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """The negatives."""
    return 1 - images


DOMAINS: Mapping[str, Style | None] = {
    "clean": None, "gamma": gamma, "blurred": blurred, "inverted": inverted
}  # fmt: skip


def texture_domains_splits(
    *,
    data_seed: int,
    domain: str = "clean",
    classes: int = 10,
    n_train: int = 1000,
    n_val: int = 0,
    n_test: int = 500,
    difficulty: float = 1.0,
    tint: float = 0.0,
) -> dict[str, Split]:
    """The splits train, val (if any) and test of a domain.

    Args:
        data_seed: of the images.
        domain: clean, gamma, blurred or inverted.
        classes: an even number from 4 to 40.
        n_train: training images.
        n_val: validation images; no such split when 0.
        n_test: test images.
        difficulty: of the textures, see `texture_cls_splits`.
        tint: of the blobs.

    Raises:
        UserError: an unknown domain, or what `texture_cls_splits` does not take.
    """
    if domain not in DOMAINS:
        raise UserError(unknown("domain", domain, DOMAINS))
    splits = texture_cls_splits(
        data_seed=data_seed,
        classes=classes,
        n_train=n_train,
        n_val=n_val,
        n_test=n_test,
        difficulty=difficulty,
        tint=tint,
        reach=0,
        style=DOMAINS[domain],
    )
    del splits["wide"]
    return splits
