"""Fixup: residual networks without normalisation that train from the start.

Liu, chapter 5, "Baseline [36]" of Tables 5.1, 5.2 and 5.4; paper: Zhang, Dauphin and Ma, arXiv
1901.09321. Scalar biases before each convolution and activation, a scalar multiplier a branch;
the last convolution of each of the L branches and the classifier start at 0, the other m - 1
convolutions of a branch at He's initialisation times L^(-1/(2m - 2)). For torchvision's blocks.

With WeightAlign (the thesis trains ResNets so, but does not say how) a zero filter cannot be
scaled, and scaling filters does nothing: all filters are drawn from N(0, 2/n), and gamma of the
last convolution of each branch starts at 0 (`zero="multiplier"`: the multiplier of the branch).
Weight normalisation starts as the plain network, with gamma 0 there; standardised weights, which
have no gamma, with the multiplier 0.

*Deviations*. As in the released code, He's n counts the weights of an input channel (`fan="out"`;
"in": those of a filter, as the thesis has it), the stem has one bias behind its convolution, the
classifier one before it, and a projected shortcut takes the bias of the first convolution.
Convolutions have no biases of channels. Scalars learn at `scalar_rate` times the learning rate: the
released code's tenth in `init=fixup`; at 1 a scalar, on which all positions of a map pull, can
leave a network dead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torchvision.models.resnet import BasicBlock, Bottleneck

from thesisbench.layers.inits import Fan, check_fan, he_std
from thesisbench.layers.norms import norm_layers
from thesisbench.layers.own_layers import classifier_name, weighted_layers
from thesisbench.layers.residual_border import Conv, residual_blocks
from thesisbench.layers.weight_align import Reparameterized

Zero = Literal["gamma", "multiplier"]
Maps = Float[Tensor, "b c h w"]


class ScalarBias(nn.Module):
    """One learned number added everywhere; it starts at 0."""

    batch_free = True

    rates: dict[str, float]

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """The input, shifted."""
        return x + self.shift


class ShiftedLinear(nn.Linear):
    """A linear layer with one learned number added to all its inputs."""

    shift: nn.Parameter

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        """The linear map of x + shift."""
        return F.linear(x + self.shift, self.weight, self.bias)


class FixupBasicBlock(BasicBlock):
    """torchvision's block of two convolutions with Fixup's scalars in place of normalisation."""

    scalars: ClassVar[tuple[str, ...]] = ("bias1a", "bias1b", "bias2a", "bias2b")
    last: ClassVar[str] = "conv2"

    def forward(self, x: Maps) -> Maps:
        """The sum of branch and shortcut, rectified."""
        y = self.relu(self.conv1(x + self.bias1a) + self.bias1b)
        y = self.conv2(y + self.bias2a) * self.multiplier + self.bias2b
        return self.relu(y + _shortcut(self, x))


class FixupBottleneck(Bottleneck):
    """torchvision's block of three convolutions with Fixup's scalars in place of normalisation."""

    scalars: ClassVar[tuple[str, ...]] = (*FixupBasicBlock.scalars, "bias3a", "bias3b")
    last: ClassVar[str] = "conv3"

    def forward(self, x: Maps) -> Maps:
        """The sum of branch and shortcut, rectified."""
        y = self.relu(self.conv1(x + self.bias1a) + self.bias1b)
        y = self.relu(self.conv2(y + self.bias2a) + self.bias2b)
        y = self.conv3(y + self.bias3a) * self.multiplier + self.bias3b
        return self.relu(y + _shortcut(self, x))


def _shortcut(block: Any, x: Maps) -> Maps:
    """The block's input, padded, pooled and projected as the block does."""
    shortcut = block.downsample
    if shortcut is None:
        return x
    projects = any(isinstance(layer, Conv) for layer in shortcut.children())
    return cast(Tensor, shortcut(x + block.bias1a if projects else x))


_BLOCKS: dict[type[nn.Module], type[Any]] = {
    BasicBlock: FixupBasicBlock,
    Bottleneck: FixupBottleneck,
}


class Fixup:
    """Gives a residual network without normalisation Fixup's scalars and initialisation, in place.

    The keys of its convolutions and its classifier stay; their biases of channels go.

    Args:
        scalar_rate: by what the learning rate of biases and multipliers is multiplied.
        zero: what starts at 0 in the last convolution of a branch with WeightAlign or weight
            normalisation: gamma, or the multiplier of the branch.
        fan: out, as the released code, or in.

    Raises:
        ValueError: an unknown word, or a rate that is not above 0.
    """

    batch_free = True

    def __init__(self, *, scalar_rate: float = 1.0, zero: Zero = "gamma", fan: Fan = "out") -> None:
        if not scalar_rate > 0:
            raise ValueError(f"scalar_rate={scalar_rate} must be above 0")
        if zero not in get_args(Zero):
            raise ValueError(f"unknown zero {zero!r}; valid: gamma, multiplier")
        check_fan(fan)
        self.scalar_rate, self.zero, self.fan = scalar_rate, zero, fan

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> int:
        """Rewrites a network; returns the number of its residual branches.

        Raises:
            ValueError: it has normalisation, no residual blocks of torchvision, or no classifier.
        """
        blocks: dict[str, Any] = residual_blocks(network)
        classifier = _check(network, blocks)
        for layer in weighted_layers(network).values():
            if isinstance(layer, Conv):
                layer.bias = None
                self._start(layer, 1)
        for block in blocks.values():
            self._convert(block, len(blocks))
        for stem in _stem_places(network):
            bias = ScalarBias().to(classifier.weight)
            bias.rates = {"shift": self.scalar_rate}
            setattr(network, stem, bias)
        classifier.__class__ = ShiftedLinear
        classifier.shift = nn.Parameter(classifier.weight.new_zeros(1))
        classifier.rates = {"shift": self.scalar_rate}
        for part in (classifier.weight, classifier.bias):
            if part is not None:
                nn.init.zeros_(part)
        return len(blocks)

    def _convert(self, block: Any, branches: int) -> None:
        """Gives a block its class and scalars, and starts its branch."""
        block.__class__ = _BLOCKS[type(block)]
        kernel = block.conv1.weight
        for name in block.scalars:
            setattr(block, name, nn.Parameter(kernel.new_zeros(1)))
        block.multiplier = nn.Parameter(kernel.new_ones(1))
        block.rates = dict.fromkeys((*block.scalars, "multiplier"), self.scalar_rate)
        convs = [block.get_submodule(f"conv{i}") for i in range(1, int(block.last[-1]) + 1)]
        for conv in convs[:-1]:
            self._start(conv, branches ** (-1 / (2 * len(convs) - 2)))
        self._silence(block, convs[-1])

    def _start(self, conv: Any, factor: float) -> None:
        """Draws the filters; their scale matters only where the kernel depends on it."""
        if isinstance(conv, Reparameterized) and conv.rule.scale_free:
            conv.draw_filters()
            return
        nn.init.normal_(conv.weight, std=he_std(conv, self.fan) * factor)
        if isinstance(conv, Reparameterized):
            conv.restart_gamma()

    def _silence(self, block: Any, conv: Any) -> None:
        """Makes a branch start at 0."""
        computed = isinstance(conv, Reparameterized)
        if computed and (conv.gamma is None or self.zero == "multiplier"):
            nn.init.zeros_(block.multiplier)
        else:
            nn.init.zeros_(conv.gamma if computed else conv.weight)


def _check(network: nn.Module, blocks: dict[str, Any]) -> Any:
    """The classifier of a network that Fixup is for."""
    if norms := list(norm_layers(network)):
        text = f"it has normalisation ({norms[0]}), and Fixup is for networks without"
        raise ValueError(f"{text}: norm=without")
    odd = [name for name, block in blocks.items() if type(block) not in _BLOCKS]
    if odd or not blocks:
        found = f"{odd[0]!r} is another" if odd else "it has none"
        raise ValueError(f"Fixup is for residual blocks of torchvision; {found}")
    name = classifier_name(network)
    layer = network.get_submodule(name) if name else None
    if type(layer) is not nn.Linear:
        raise ValueError("Fixup is for networks that end in a plain linear classifier")
    return layer


def _stem_places(network: nn.Module) -> Iterator[str]:
    """Names of what a removed normalisation left behind the stem."""
    return (n for n, m in network.named_children() if n == "bn1" and isinstance(m, nn.Identity))
