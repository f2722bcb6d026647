"""SegNet: an encoder of VGG stages and a mirrored decoder, whose unpools know their pools.

Zhao, chapter 3, Table 3.6 (SegNet with VGG13); paper: Badrinarayanan et al., arXiv 1511.00561.
Stages are pairs of 3x3 convolutions with batch normalisation; a pool follows each stage of the
encoder, an unpool comes before each of the decoder. Decoder stages have the channels of encoder
stages read backwards; the last convolution gives class logits.

*Deviations*. The thesis does not say from what its SegNet started; here all convolutions begin
with random numbers (He). As in the paper the very last convolution stands for one of a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from thesisbench.errors import UserError

VGG13 = ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512))
Pool = Callable[[int], nn.Module]
Unpool = Callable[[nn.Module], nn.Module]


def _stage(channels: Sequence[int]) -> nn.Sequential:
    """3x3 convolutions between these numbers of channels, each with normalisation and ReLU."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class SegNet(nn.Module):
    """Images to class logits of every pixel.

    Args:
        channels: of the convolutions of each encoder stage.
        classes: number of classes, background included.
        in_channels: channels of the images.
        pool: channels -> pool of stride 2; None for max pools (2x2).
        unpool: pool -> its unpool, which takes a map of half the size to the size that the pool
            last took in; None where the drop-in `unpool=NAME` brings them.

    Attributes:
        pools: of the encoder, in order. unpools: of the decoder, in order (the last belongs to the
            first pool).
    """

    def __init__(
        self,
        *,
        channels: Sequence[Sequence[int]] = VGG13,
        classes: int = 21,
        in_channels: int = 3,
        pool: Pool | None = None,
        unpool: Unpool | None = None,
    ) -> None:
        super().__init__()
        make_pool = pool or _max_pool
        firsts = [in_channels, *(stage[-1] for stage in channels[:-1])]
        wide = [[first, *stage] for first, stage in zip(firsts, channels, strict=True)]
        self.encoder = nn.ModuleList(_stage(stage) for stage in wide)
        self.pools = nn.ModuleList(make_pool(stage[-1]) for stage in wide)
        back = [stage[::-1] for stage in (*wide[:0:-1], wide[0][1:])]
        self.decoder = nn.ModuleList(_stage(stage) for stage in back)
        self.head = nn.Conv2d(wide[0][1], classes, 3, padding=1)
        for part in (self.encoder, self.decoder, self.head):
            for conv in (m for m in part.modules() if isinstance(m, nn.Conv2d)):
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        for made, stage in zip(self.pools, wide, strict=True):
            if not hasattr(made, "channels"):
                made.channels = stage[-1]  # type: ignore[assignment]  # ConcatUp asks for it
        self.unpools = nn.ModuleList()
        self._paired: tuple[nn.Module, ...] = ()
        if unpool is not None:
            self.set_unpools(unpool)

    def set_unpools(self, make_unpool: Unpool) -> int:
        """Makes the unpools, each for the pool that is now in its place.

        Args:
            make_unpool: pool -> its unpool.

        Returns:
            Number of unpools.

        Raises:
            ValueError: there are unpools already.
        """
        if self.unpools:
            raise ValueError("it has its unpools already")
        self._paired = tuple(self.pools)
        self.unpools = nn.ModuleList(make_unpool(pool) for pool in reversed(self._paired))
        return len(self.unpools)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Logits of every pixel.

        Raises:
            UserError: there are no unpools, a pool was replaced after they were made, or a border
                changes the sizes of maps.
        """
        if not self.unpools:
            raise UserError("SegNet has no unpools; choose them with unpool=NAME")
        if any(now is not then for now, then in zip(self.pools, self._paired, strict=True)):
            raise UserError(
                "SegNet's pools were replaced after its unpools; set pool before unpool"
            )
        maps = images
        for stage, pool in zip(self.encoder, self.pools, strict=True):
            size = maps.shape[-2:]
            maps = stage(maps)
            if maps.shape[-2:] != size:
                text = "a border that changes the sizes of maps does not fit SegNet's unpools"
                raise UserError(f"{text}; choose same, circular, reflect or replicate")
            maps = pool(maps)
        for unpool, stage in zip(self.unpools, self.decoder, strict=True):
            maps = stage(unpool(maps))
        return self.head(maps)


def _max_pool(channels: int) -> nn.Module:
    """Max pool of 2x2; it has no channels of its own."""
    del channels
    return nn.MaxPool2d(2, ceil_mode=True)
