"""Shifted digits: real digits near the centre of a noisy canvas, and wider images to shift over.

Kayhan, chapter 2, Tables 2.2a and 2.2b and Figure 2.7 (left) train on centred ImageNet photographs
and test on windows shifted along the diagonal. Here scikit-learn's 1,797 digits of 8x8 pixels
(which need no download) are enlarged and lie near the centre of a canvas when they are learnt; a
validation image is wider than the canvas, so that its windows show the digit elsewhere.

*Deviations*. A stand-in: its numbers serve claims and are not compared with the thesis's. Canvases
are so narrow that the most shifted windows bring a digit to their border. Noise keeps the task hard
with few digits: on all pixels (`noise_on="canvas"`) it makes the image end where its zero padding
begins, on the digit's own square (`noise_on="digit"`) the padding continues a black background.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from einops import rearrange
from jaxtyping import Float, Int
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.data.arrays import Batch, Key, mix
from thesisbench.data.draws import uniform
from thesisbench.errors import UserError

CLASSES, GREY_RANGE = 10, 16.0
SMALLEST = 8  # side of a digit as scikit-learn has it
MOST = 174  # digits of the rarest class

Split = tuple[Tensor, Tensor]
NoiseOn = Literal["canvas", "digit"]


def roll_each(
    images: Float[Tensor, "n c h w"], offsets: Int[Tensor, "n 2"]
) -> Float[Tensor, "n c h w"]:
    """Each image moved by its own number of rows and columns; what leaves it comes back in.

    Args:
        images: any.
        offsets: rows down and columns to the right.
    """
    n, _, height, width = images.shape
    rows = (torch.arange(height) - offsets[:, :1]) % height
    columns = (torch.arange(width) - offsets[:, 1:]) % width
    item = torch.arange(n)[:, None, None]
    moved = images[item, :, rows[:, :, None], columns[:, None, :]]
    return rearrange(moved, "n h w c -> n c h w")


def _whole_pixels(normal: Float[Tensor, "n 2"], sigma: float, margin: int) -> Int[Tensor, "n 2"]:
    """Normal numbers as moves in pixels, cut off where a digit would leave its canvas."""
    return (normal * sigma).round().clamp(-margin, margin).long()


def move_from_centre(
    batch: Batch, keys: Sequence[Key], seed: int, *, sigma: float, digit: int = 16
) -> Batch:
    """Moves each image of a training batch a little, drawn from (seed, epoch, index).

    Args:
        batch: images with the digit in the centre, and labels.
        keys: (epoch, index) of each image.
        seed: of the draws.
        sigma: standard deviation of the move along each axis, in pixels.
        digit: side of a digit, in pixels.
    """
    (images,), labels = batch
    normal = torch.special.ndtri(uniform(seed, keys, 2))
    margin = (images.shape[-1] - digit) // 2
    return (roll_each(images, _whole_pixels(normal, sigma, margin)),), labels


def _by_rank(data_seed: int, side: int) -> tuple[Float[Tensor, "r k 1 s s"], Int[Tensor, "r k"]]:
    """Enlarged digits and labels, by rank and class; ranks within a class drawn from the seed."""
    digits, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(mix(data_seed, 0)))
    labels = torch.from_numpy(classes)[order]
    of_class = torch.stack([order[labels == k][:MOST] for k in range(CLASSES)], dim=1)
    grey = rearrange(torch.from_numpy(digits / GREY_RANGE).float(), "n (h w) -> n 1 h w", h=8)
    large = F.interpolate(grey, size=(side, side), mode="bilinear", align_corners=False)
    return large[of_class], torch.arange(CLASSES).expand(MOST, -1)


def _on_canvas(digits: Float[Tensor, "n 1 s s"], size: int) -> Float[Tensor, "n 1 h w"]:
    """Digits in the middle of black squares."""
    before = (size - digits.shape[-1]) // 2
    after = size - digits.shape[-1] - before
    return F.pad(digits, (before, after, before, after))


def shifted_digits_splits(
    *,
    data_seed: int,
    per_class: int = 25,
    n_val: int = 74,
    canvas: int = 32,
    reach: int = 16,
    sigma: float = 2.0,
    noise: float = 0.4,
    digit: int = 16,
    noise_on: NoiseOn = "canvas",
) -> dict[str, Split]:
    """The stand-in's splits; training and validation digits are different ones.

    Args:
        data_seed: of the choice of digits and of their places.
        per_class: training digits of each class; fewer are the first of more.
        n_val: validation digits of each class.
        canvas: side of images, at least two pixels more than a digit's.
        reach: pixels by which wide images are larger, which a window can be shifted by.
        sigma: standard deviation of a digit's distance from the centre along each axis, in pixels.
        noise: standard deviation of the noise, where ink is 0 to 1.
        digit: side of an enlarged digit, at least 8 pixels.
        noise_on: canvas for all pixels, digit for those of the digit's square.

    Returns:
        train (digits in the very centre) and val (moved from it by chance), each images
        [n, 1, canvas, canvas] and labels, classes in turn; wide: the validation images with `reach`
        more pixels a side, of which they are the middle.

    Raises:
        UserError: more digits of a class than there are, an odd reach, a digit or a canvas too
            small, or an unknown word.
    """
    _check(per_class, n_val, canvas, reach, digit, noise_on)
    digits, labels = _by_rank(data_seed, digit)
    if noise_on == "digit":
        generator = torch.Generator().manual_seed(mix(data_seed, 2))
        digits = digits + noise * torch.randn(digits.shape, generator=generator)
        noise = 0.0
    train, val = (rearrange(x, "r k c h w -> (r k) c h w") for x in (digits, digits[-n_val:]))
    generator = torch.Generator().manual_seed(mix(data_seed, 1))
    offsets = _whole_pixels(
        torch.randn(len(val), 2, generator=generator), sigma, (canvas - digit) // 2
    )
    wide = roll_each(_on_canvas(val, canvas + reach), offsets)
    wide = wide + noise * torch.randn(wide.shape, generator=generator)
    still = _on_canvas(train[: CLASSES * per_class], canvas)
    still = still + noise * torch.randn(still.shape, generator=generator)
    edge = reach // 2
    middle = wide[..., edge : edge + canvas, edge : edge + canvas].clone()
    truth = labels[-n_val:].flatten()
    return {
        "train": (still, labels[:per_class].flatten()),
        "val": (middle, truth.clone()),
        "wide": (wide, truth.clone()),
    }


def _check(per_class: int, n_val: int, canvas: int, reach: int, digit: int, noise_on: str) -> None:
    if min(per_class, n_val) < 1 or per_class + n_val > MOST:
        given = f"per_class={per_class}, n_val={n_val}"
        raise UserError(f"{given}: at least 1 each, and at most {MOST} digits a class in all")
    if digit < SMALLEST:
        raise UserError(f"digit={digit} is too small: digits have {SMALLEST} pixels a side")
    if canvas < digit + 2:
        raise UserError(f"canvas={canvas} is too small: digits of {digit} pixels move on it")
    if noise_on not in get_args(NoiseOn):
        raise UserError(f"unknown noise_on={noise_on!r}; valid: {', '.join(get_args(NoiseOn))}")
    if reach < 0 or reach % 2:
        raise UserError(f"reach={reach} must be an even number of pixels: half of it on each side")
