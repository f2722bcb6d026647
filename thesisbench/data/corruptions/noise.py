"""Noise: Gaussian, shot, impulse and speckle (Hendrycks and Dietterich 2019).

Each takes images from 0 to 1, the constants of its severity and the draws of the images; the caller
cuts the result off at 0 and 1.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from thesisbench.data.corruptions.draws import Draws

Images = Float[Tensor, "b c h w"]


def gaussian_noise(images: Images, deviation: float, draws: Draws) -> Images:
    """Adds normal numbers of a standard deviation."""
    return images + deviation * draws.normal(*images.shape[1:])


def shot_noise(images: Images, photons: float, draws: Draws) -> Images:
    """Counts photons: a Poisson number whose mean is the value times that of full brightness."""
    return draws.poisson(images * photons) / photons


def impulse_noise(images: Images, share: float, draws: Draws) -> Images:
    """Turns a share of the values to 0 or to 1, channel by channel."""
    drawn = draws.uniform(*images.shape[1:])
    peppered = torch.where(drawn < share / 2, 0.0, images)
    return torch.where(drawn >= 1 - share / 2, 1.0, peppered)


def speckle_noise(images: Images, deviation: float, draws: Draws) -> Images:
    """Adds normal numbers times the value."""
    return images + images * deviation * draws.normal(*images.shape[1:])
