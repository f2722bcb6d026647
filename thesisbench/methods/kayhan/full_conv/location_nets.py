"""What the border location experiment does to a network: frozen features, padding as border.

Kayhan, chapter 2, experiment 1 (Figure 2.5). With frozen features, initialised at random or
pretrained, only the new linear classifier learns; as released, the running statistics of batch
normalisation still follow the data, since the network is in training mode.

*Deviations*. None known.
"""

from __future__ import annotations

from torch import nn

from thesisbench.errors import UserError

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class FreezeFeatures:
    """Freezes every parameter but those of the last linear layer; returns how many layers."""

    batch_free = True

    def __call__(self, network: nn.Module) -> int:
        """Freeze in place.

        Raises:
            ValueError: the network has no linear layer.
        """
        linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
        if not linear:
            raise ValueError("it has no linear layer to train; its features cannot be frozen alone")
        frozen = 0
        for module in network.modules():
            own = list(module.parameters(recurse=False))
            if own and module is not linear[-1]:
                frozen += 1
                for parameter in own:
                    parameter.requires_grad_(False)
        return frozen


class FirstPadding:
    """Sets the padding of the first convolution, which the released script uses as black border.

    Args:
        padding: zeros on each side; 0 leaves the network as it is, as in the release.

    Raises:
        UserError: a padding below 0.
    """

    batch_free = True

    def __init__(self, *, padding: int) -> None:
        if padding < 0:
            raise UserError(f"first_padding: padding={padding} must be 0 or more")
        self.padding = padding

    def __call__(self, network: nn.Module) -> int:
        """Set it in place; 1, the number of convolutions looked at.

        Raises:
            ValueError: no convolution, or one that does not pad with zeros.
        """
        first = next((module for module in network.modules() if isinstance(module, _CONVS)), None)
        if first is None:
            raise ValueError("it has no convolution whose padding could be set")
        if first.padding_mode != "zeros":
            raise ValueError(f"its first convolution pads with {first.padding_mode}, not zeros")
        if self.padding:
            first.padding = (self.padding,) * len(first.kernel_size)
            first._reversed_padding_repeated_twice = [self.padding] * 2 * len(first.kernel_size)
        return 1
