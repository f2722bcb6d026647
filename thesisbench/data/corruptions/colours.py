"""What corruptions do with colours."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)


def grey(images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h w"]:
    """Luma of RGB images; images of one channel are their own."""
    if images.shape[1] != 3:
        return images
    return (images * torch.tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)


def resaturated(
    images: Float[Tensor, "b 3 h w"], factor: float, more: float
) -> Float[Tensor, "b 3 h w"]:
    """Multiplies the saturation of HSV by a factor and adds to it; hue and value stay.

    With value v and saturation s a channel is v - v s k, where k depends on the hue alone. Greys
    have hue 0, so that they turn reddish where something is added.
    """
    value = images.amax(1, keepdim=True)
    chroma = value - images.amin(1, keepdim=True)
    saturation = chroma / value.clamp(min=1e-8)
    wanted = (saturation * factor + more).clamp(0, 1)
    red = torch.tensor([0.0, 1.0, 1.0]).view(3, 1, 1)
    k = torch.where(chroma > 0, (value - images) / chroma.clamp(min=1e-8), red)
    return value * (1 - wanted * k)
