"""Darknet-53 against the paper's table and timm's count; shortcuts under every border."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from thesisbench.backbones.darknet import Darknet, DarknetBlock
from thesisbench.layers.border import convert_border


def test_darknet_53_has_52_convolutions_and_a_classifier() -> None:
    with torch.device("meta"):
        network = Darknet()
        theirs = timm.create_model("darknet53", pretrained=False)
        assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 52
    assert [len(stage) - 1 for stage in network.children() if isinstance(stage, nn.Sequential)][
        1:
    ] == [1, 2, 8, 8, 4]
    assert [conv.out_channels for conv in convs if conv.stride == (2, 2)] == [
        *(64, 128, 256, 512, 1024)
    ]
    assert sum(p.numel() for p in network.parameters()) == 41_609_928
    assert sum(p.numel() for p in theirs.parameters()) == 41_609_928


def test_a_block_adds_its_input() -> None:
    block = DarknetBlock(8).eval()
    maps = torch.rand(1, 8, 5, 6)
    nn.init.zeros_(block.restore.conv.weight)  # type: ignore[arg-type]
    assert torch.equal(block(maps), maps)


@pytest.mark.parametrize(("border", "size"), [("full", 9), ("valid", 5), ("same", 7)])
def test_the_shortcut_follows_the_border(border: str, size: int) -> None:
    torch.manual_seed(0)
    block = DarknetBlock(8).eval()
    maps = torch.rand(1, 8, 7, 7)
    with torch.no_grad():
        wanted = block(maps)
        assert convert_border(block, border=border) == 1  # type: ignore[arg-type]
        found = block(maps)
    assert found.shape[-2:] == (size, size)
    shift = (size - 7) // 2
    inner = found[..., 1 + shift : 6 + shift, 1 + shift : 6 + shift]
    torch.testing.assert_close(inner, wanted[..., 1:6, 1:6])
