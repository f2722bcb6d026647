"""Pictures that a step leaves in its run folder, `pictures/<name>.png`, for the pages of tables.

They are for people: no metric is read from them, they are no part of a record, and a page shows
them only where the run folder is at hand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor

from thesisbench.store.files import make_below, written_whole

if TYPE_CHECKING:
    from thesisbench.step import StepContext

FOLDER = "pictures"
_SIDE = 640  # pixels; larger pictures are made smaller, since pages hold them whole
_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")

Pixels = Float[Tensor, "3 h w"] | UInt8[Tensor, "3 h w"]


def save_picture(context: StepContext, name: str, image: Pixels) -> None:
    """Writes `pictures/<name>.png` of a run; processes other than the first write nothing.

    Args:
        context: of the step.
        name: lower-case letters, digits and underscores; pages show it as the caption.
        image: RGB, as bytes or as numbers from 0 to 1 (others are cut off).

    Raises:
        ValueError: another name or shape.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} names no picture: lower-case letters, digits and _ only")
    if image.dim() != 3 or image.shape[0] != 3:
        raise ValueError(f"picture {name} has shape {tuple(image.shape)}, not (3, h, w)")
    if context.rank.number:
        return
    path = context.folder.path / FOLDER / f"{name}.png"
    make_below(context.folder.path, path.parent)
    with written_whole(path) as temporary, temporary.open("xb") as file:
        _small(Image.fromarray(_bytes(image).permute(1, 2, 0).cpu().numpy())).save(file, "PNG")


def _bytes(image: Pixels) -> UInt8[Tensor, "3 h w"]:
    if image.dtype == torch.uint8:
        return image
    return (image.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)


def _small(picture: Image.Image) -> Image.Image:
    factor = _SIDE / max(picture.size)
    if factor >= 1:
        return picture
    width, height = (max(1, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def mask_colours(
    masks: Int[Tensor, "*b h w"] | UInt8[Tensor, "*b h w"],
) -> UInt8[Tensor, "*b 3 h w"]:
    """Masks in the colours of PASCAL VOC: class 0 black, label 255 (ignored) nearly white.

    The three lowest bits of a class are the highest of red, green and blue, and so on.

    >>> mask_colours(torch.tensor([[1, 15]]))[:, 0].tolist()
    [[128, 192], [0, 128], [0, 128]]
    """
    codes = torch.arange(256)
    palette = torch.zeros(256, 3, dtype=torch.long)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= ((codes >> (3 * bit + channel)) & 1) << (7 - bit)
    return palette.to(torch.uint8)[masks.long().cpu()].movedim(-1, -3)
