"""Random numbers of a batch of images, each image's a function of its own seed alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from thesisbench.data.arrays import mix


@dataclass(frozen=True)
class Draws:
    """Draws numbers for each image of a batch; the same call draws the same numbers again.

    Attributes:
        seeds: one of each image.

    >>> Draws.of((3, 4)).normal(2, 5).shape
    torch.Size([2, 2, 5])
    """

    seeds: tuple[int, ...]

    @classmethod
    def of(cls, numbers: Sequence[int], *keys: int) -> Draws:
        """The draws of images with these numbers, for one purpose that the keys tell.

        Args:
            numbers: of the images in their data set.
            keys: seed of the run, corruption, severity and the like.
        """
        return cls(tuple(mix(*keys, number) for number in numbers))

    def further(self, key: int) -> Draws:
        """Other draws for the same images, one set for each key."""
        return Draws(tuple(mix(seed, 1, key) for seed in self.seeds))

    def normal(self, *shape: int, stream: int = 0) -> Float[Tensor, "b ..."]:
        """Standard normal numbers.

        Args:
            shape: for each image.
            stream: which of several draws for one image this is.
        """
        return self._each(lambda g: torch.randn(shape, generator=g), stream)

    def uniform(self, *shape: int, stream: int = 0) -> Float[Tensor, "b ..."]:
        """Numbers in [0, 1); arguments as of `normal`."""
        return self._each(lambda g: torch.rand(shape, generator=g), stream)

    def poisson(self, rates: Float[Tensor, "b ..."], stream: int = 0) -> Tensor:
        """Poisson numbers with these rates, each image's from its own generator."""
        pairs = zip(rates, self._generators(stream), strict=True)
        return torch.stack([torch.poisson(rate, generator=g) for rate, g in pairs])

    def _each(self, draw: Callable[[torch.Generator], Tensor], stream: int) -> Tensor:
        return torch.stack([draw(generator) for generator in self._generators(stream)])

    def _generators(self, stream: int) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(mix(seed, stream)) for seed in self.seeds]
