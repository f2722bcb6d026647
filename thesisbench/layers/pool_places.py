"""Any pool in place of the strides and pools of a network.

Zhao, section 3.4 ("We replace the local pooling layers by LiftDownPool in all the networks"),
Tables 3.3 and 3.4. Max and average pools make way for the pool; a strided convolution gets stride
1, and where its pool goes is a choice, `places`:

- `strides`: behind its normalisation and activation, and before the 1x1 convolution of a strided
  shortcut, as BlurPool does (`thesisbench.layers.blur_places`).
- `block_input`: one pool before each strided residual block.
- `block_output`: one pool behind it, as the released code of GaussPool and GFGP does.

The last two are for residual blocks; elsewhere they do as `strides`. The stem convolution keeps
its stride. What a ResNet-50 of 25.557 M parameters has then, against the text of the thesis:

    places          LiftDownPool (25.58)   GFGP (31.08)   GaussPool (33.85)
    strides         25.59                  27.29          28.16
    block_input     25.58                  26.95          27.64
    block_output    25.60                  31.08          33.85

So GFGP and GaussPool were placed as in their released code, and the count of LiftDownPool (kernel
5, depthwise, no bias: 12 parameters a channel) fits one layer of 64, 256, 512 and 1024 channels:
the stem's pool and the inputs of the three strided stages.

*Deviations*. The thesis does not say where pools go. A max pool of the stem (3x3) has windows of
2x2 afterwards, as all pools here. The released code of GaussPool and GFGP also gives the stem
convolution stride 1 and its pool windows of 4x4, which changes no count of parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import nn

from thesisbench.layers.blur_places import Place, find_places
from thesisbench.layers.residual_border import Conv, main_path, pad_shortcut, plan_shortcuts

Places = Literal["strides", "block_input", "block_output"]
PoolFactory = Callable[[int], nn.Module]


def mark(pool: nn.Module, channels: int) -> nn.Module:
    """Says of a pool what the rest of the network asks about.

    The alignment of shortcuts sees a window of 2 with stride 2; convolutions inside keep their
    border; weights of a network without the pool may lack its parameters (`starts_anew`).

    Args:
        pool: (b, c, h, w) -> (b, c, ceil(h/2), ceil(w/2)), changed in place.
        channels: of its maps.
    """
    known = {"filt_size": 2, "stride": 2, "padding": 0, "channels": channels, "starts_anew": True}
    for name, value in known.items():
        if not hasattr(pool, name):
            setattr(pool, name, value)
    for conv in (m for m in pool.modules() if isinstance(m, Conv)):
        conv.keeps_border = True  # type: ignore[assignment]
    return pool


class ReplacePooling:
    """Puts a pool in place of the pools and strides of a network, in place.

    Parameters, state_dict keys and the border of the network stay.

    Args:
        factory: makes a pool for maps of so many channels; halves even sides, rounds odd ones up.
        places: strides, block_input or block_output.

    Raises:
        ValueError: unknown places.
    """

    batch_free = True

    def __init__(self, *, factory: PoolFactory, places: Places = "strides") -> None:
        if places not in get_args(Places):
            raise ValueError(f"unknown places {places!r}; valid: {', '.join(get_args(Places))}")
        self.factory, self.places = factory, places

    def __call__(self, network: nn.Module) -> int:
        """Converts a network; returns how many layers lost their stride to a pool.

        Raises:
            ValueError: it has such pools or blurs already; a strided layer, by name, that has no
                place for a pool, or another stride than 2.
        """
        if any(hasattr(module, "filt_size") for module in network.modules()):
            raise ValueError("its pools are replaced already")
        found = find_places(network, in_place_of_pools=True)
        _check_strides(network, found)
        blocks = dict.fromkeys(p.block for p in found if p.block is not None)
        grouped = blocks if self.places != "strides" else {}
        stages = {block: _stage_of(network, block) for block in grouped}
        for place in found:
            if place.block in stages:
                place.take_stride()
            else:
                place.put(self._pool(network, place.channels))
        for block, (stage, leaf) in stages.items():
            self._put_to_block(network, network.get_submodule(block), stage, leaf)
        for residual, amount in plan_shortcuts(network, {}).items():
            pad_shortcut(residual, amount)
        return len(found)

    def _pool(self, network: nn.Module, channels: int) -> nn.Module:
        """A pool of the type, on the device and in the mode of the network."""
        tensor = next(network.parameters(), torch.empty(0))
        pool = mark(self.factory(channels), channels).to(tensor.device, tensor.dtype)
        return pool.train(network.training)

    def _put_to_block(
        self, network: nn.Module, block: nn.Module, stage: nn.Sequential, leaf: str
    ) -> None:
        """Puts one pool before or behind a residual block."""
        convs = [layer for layer in main_path(block) if isinstance(layer, Conv)]
        before = self.places == "block_input"
        pool = self._pool(network, convs[0].in_channels if before else convs[-1].out_channels)
        children = dict(stage.named_children())
        for name in children:
            delattr(stage, name)
        for name, child in children.items():
            around = [(name, child), (f"pool{leaf}", pool)] if name == leaf else [(name, child)]
            for key, module in reversed(around) if before else around:
                stage.add_module(key, module)


def _check_strides(network: nn.Module, places: list[Place]) -> None:
    """Refuses strides that are not 2, and pools whose number of channels is not known."""
    names = {module: name for name, module in network.named_modules()}
    for place in places:
        if place.stride != 2 or not place.channels:
            reason = f"has stride {place.stride}, pools have 2" if place.channels else "comes first"
            raise ValueError(f"strided layer {names[place.layer] or 'itself'!r} {reason}")


def _stage_of(network: nn.Module, block: str) -> tuple[nn.Sequential, str]:
    """The sequence that a residual block is in, and its name there."""
    owner, _, leaf = block.rpartition(".")
    stage = network.get_submodule(owner)
    if not isinstance(stage, nn.Sequential) or not leaf:
        raise ValueError(f"residual block {block!r} is in no sequence that could take its pool")
    return stage, leaf
