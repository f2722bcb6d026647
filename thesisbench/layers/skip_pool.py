"""Strided convolutions in place of pools: the row "Skip" of Zhao, Table 3.3.

Zhao, section 3.4.2: "the convolutional layer with stride 2, which is called Skip". In a sequence,
the convolution before each pool takes its stride and the pool goes: for VGG and networks like it.

*Deviations*. The thesis does not say which convolution has the stride; the last before the pool.
"""

from __future__ import annotations

from torch import nn

from thesisbench.layers.residual_border import Conv

_POOLS = (nn.MaxPool2d, nn.AvgPool2d)


class StridesForPools:
    """Replaces each pool of a sequence by the stride of the convolution before it, in place.

    Parameters and state_dict keys of the network stay.
    """

    batch_free = True

    def __call__(self, network: nn.Module) -> int:
        """Converts a network; returns how many pools were replaced.

        Raises:
            ValueError: a pool without a convolution of stride 1 before it in its sequence, by name.
        """
        pools = [name for name, module in network.named_modules() if isinstance(module, _POOLS)]
        convs = {name: _conv_before(network, name) for name in pools}
        for name, conv in convs.items():
            conv.stride = tuple(network.get_submodule(name).stride for _ in conv.stride)  # type: ignore[misc]
            network.set_submodule(name, nn.Identity())
        return len(pools)


def _conv_before(network: nn.Module, pool: str) -> Conv:
    """The last convolution before a pool in its sequence."""
    owner, _, leaf = pool.rpartition(".")
    sequence = network.get_submodule(owner)
    if isinstance(sequence, nn.Sequential):
        names = [name for name, _ in sequence.named_children()]
        before = [sequence.get_submodule(name) for name in names[: names.index(leaf)]]
        spatial = [
            layer for layer in before if isinstance(layer, Conv | nn.MaxPool2d | nn.AvgPool2d)
        ]
        if spatial and isinstance(spatial[-1], Conv) and set(spatial[-1].stride) == {1}:
            return spatial[-1]
    raise ValueError(f"no convolution of stride 1 comes right before pool {pool!r} in a sequence")
