"""SegNet: shapes, parameters and pairs of pools and unpools, with unpools made for the test."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.backbones.segnet import VGG13, SegNet
from thesisbench.errors import UserError
from thesisbench.layers.border import convert_border
from thesisbench.layers.lift_pool import LiftDownPool2d
from thesisbench.layers.pool_places import ReplacePooling
from thesisbench.layers.pools.plain import MaxPool
from thesisbench.layers.unpool import (
    BilinearUp,
    ConcatUp,
    LiftUpPool2d,
    MaxUnpool,
    MaxUnpoolBlur,
    ReplaceUnpooling,
)

TINY = ((4, 6), (8, 8), (10, 12))


class Up(nn.Module):
    """Nearest neighbours, to the size that the pool last took in; says which pool it is for."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.seen: list[torch.Size] = []
        pool.register_forward_pre_hook(lambda _, inputs: self.seen.append(inputs[0].shape))

    def forward(self, maps: Tensor) -> Tensor:
        assert maps.shape[1] == self.seen[-1][1]
        return F.interpolate(maps, size=self.seen.pop()[-2:], mode="nearest")


def tiny(**changes: Any) -> SegNet:
    torch.manual_seed(0)
    return SegNet(**{"channels": TINY, "classes": 5, "unpool": Up, **changes})


@pytest.mark.parametrize("size", [(16, 16), (13, 18), (8, 9)])
def test_every_pixel_gets_logits_whatever_the_size(size: tuple[int, int]) -> None:
    network = tiny().eval()
    logits = network(torch.randn(2, 3, *size))
    assert logits.shape == (2, 5, *size)
    assert logits.isfinite().all()


def test_decoder_stages_mirror_those_of_the_encoder() -> None:
    def plan(stages: nn.ModuleList) -> list[list[tuple[int, int]]]:
        return [
            [(m.in_channels, m.out_channels) for m in stage.modules() if isinstance(m, nn.Conv2d)]
            for stage in stages
        ]

    network = tiny()
    assert plan(network.encoder) == [[(3, 4), (4, 6)], [(6, 8), (8, 8)], [(8, 10), (10, 12)]]
    assert plan(network.decoder) == [[(12, 10), (10, 8)], [(8, 8), (8, 6)], [(6, 4)]]
    assert (network.head.in_channels, network.head.out_channels) == (4, 5)


def test_vgg13_on_the_meta_device_has_the_sizes_and_parameters_of_the_paper_s_plan() -> None:
    with torch.device("meta"):
        network = SegNet(unpool=Up).eval()
        logits = network(torch.empty(1, 3, 512, 512))
    assert logits.shape == (1, 21, 512, 512)
    assert len(network.pools) == len(network.unpools) == 5
    widths = [3, *(c for stage in VGG13 for c in stage)]
    pairs = list(pairwise(widths))
    encoder = sum(9 * a * b + 2 * b for a, b in pairs)
    decoder = sum(9 * a * b + 2 * a for a, b in pairs[1:])
    head = 9 * 64 * 21 + 21
    assert sum(p.numel() for p in network.parameters()) == encoder + decoder + head
    from torchvision.models import vgg13_bn

    with torch.device("meta"):
        library = sum(p.numel() for p in vgg13_bn().features.parameters())
    assert encoder == library - sum(widths[1:]), "torchvision's convolutions have biases"


def test_pools_and_unpools_are_the_ones_asked_for_and_paired_inside_out() -> None:
    made: list[tuple[nn.Module, nn.Module]] = []

    def unpool(pool: nn.Module) -> nn.Module:
        made.append((pool, Up(pool)))
        return made[-1][1]

    network = tiny(pool=lambda channels: nn.AvgPool2d(2, ceil_mode=True), unpool=unpool)
    assert all(isinstance(pool, nn.AvgPool2d) for pool in network.pools)
    assert [pool for pool, _ in made] == list(network.pools)[::-1]
    assert [up for _, up in made] == list(network.unpools)


def test_pools_are_told_their_channels() -> None:
    told: list[int] = []

    def pool(channels: int) -> nn.Module:
        told.append(channels)
        return nn.MaxPool2d(2)

    tiny(pool=pool)
    assert told == [6, 8, 12]


def test_a_pool_with_weights_keeps_its_own_beginning() -> None:
    def pool(channels: int) -> nn.Module:
        conv = nn.Conv2d(channels, channels, 2, stride=2, groups=channels, bias=False)
        nn.init.constant_(conv.weight, 0.25)
        return conv

    network = tiny(pool=pool)
    assert all((p.weight == 0.25).all() for p in network.pools)


def test_unpools_are_set_once_and_after_the_pools() -> None:
    network = tiny(unpool=None).eval()
    images = torch.randn(1, 3, 16, 16)
    with pytest.raises(UserError, match="SegNet has no unpools; choose them with unpool=NAME"):
        network(images)
    network.pools[0] = nn.AvgPool2d(2, ceil_mode=True)
    assert network.set_unpools(Up) == 3
    network(images)
    with pytest.raises(ValueError, match="it has its unpools already"):
        network.set_unpools(Up)
    network.pools[1] = nn.AvgPool2d(2, ceil_mode=True)
    with pytest.raises(UserError, match="pools were replaced after its unpools"):
        network(images)


def test_every_parameter_learns() -> None:
    network = tiny()
    network(torch.randn(2, 3, 16, 16)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_maxima_are_unpooled_to_their_places() -> None:
    network = tiny(unpool=MaxUnpool).eval()
    assert all(isinstance(pool, nn.MaxPool2d) for pool in network.pools)
    maps = torch.rand(1, 6, 8, 8) + 0.1
    pooled = network.pools[0](maps)
    unpooled = network.unpools[-1](pooled)
    assert unpooled.shape == maps.shape
    there = unpooled != 0
    assert int(there.sum()) == pooled.numel()
    assert torch.equal(unpooled[there], maps[there])


def only_low(channels: int) -> nn.Module:
    return LiftDownPool2d(channels, bands=("LL",))


PAIRS: dict[str, tuple[Any, Any]] = {
    "max_indices": (None, MaxUnpool),
    "max_blur": (None, MaxUnpoolBlur),
    "bilinear": (None, BilinearUp),
    "concat": (None, ConcatUp),
    "placed": (MaxPool, MaxUnpool),
    "placed_blur": (MaxPool, MaxUnpoolBlur),
    "lift": (only_low, LiftUpPool2d),
    "lift_bilinear": (only_low, BilinearUp),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("as_drop_in", [False, True])
def test_every_pair_of_the_table_takes_any_size_and_learns(pair: str, as_drop_in: bool) -> None:
    pool, unpool = PAIRS[pair]
    if as_drop_in:
        network = tiny(unpool=None)
        if pool is not None:
            assert ReplacePooling(factory=pool)(network) == 3
        assert ReplaceUnpooling(factory=unpool)(network) == 3
    else:
        network = tiny(pool=pool, unpool=unpool)
    for size in ((16, 24), (13, 18)):
        logits = network(torch.randn(2, 3, *size))
        assert logits.shape == (2, 5, *size)
    logits.square().mean().backward()
    learnt = [p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters()]
    assert sum(learnt) > 0.9 * len(learnt)


@pytest.mark.parametrize("border", ["same", "full", "valid"])
def test_borders_that_change_sizes_are_refused_in_words(border: Any) -> None:
    network = tiny(unpool=MaxUnpool).eval()
    convert_border(network, border=border)
    images = torch.randn(1, 3, 16, 16)
    if border in ("full", "valid"):
        with pytest.raises(UserError, match="choose same, circular, reflect or replicate"):
            network(images)
    else:
        assert network(images).shape == (1, 5, 16, 16)


def test_lifting_back_with_the_map_itself_is_exact() -> None:
    network = tiny(pool=only_low, unpool=LiftUpPool2d).double().eval()
    maps = torch.randn(2, 6, 13, 10, dtype=torch.float64)
    assert (network.unpools[-1](network.pools[0](maps)) - maps).abs().max() < 1e-12
