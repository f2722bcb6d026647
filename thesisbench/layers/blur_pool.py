"""BlurPool: a blur before each subsampling, and the rewriting of networks with it.

Kayhan, chapter 2, Table 2.2 ("BlurPool Tri-3"); paper: Zhang, arXiv 1904.11486. A strided
convolution becomes one of stride 1 whose output, after its normalisation and activation, is
blurred and subsampled; a max pool takes stride 1 and is followed by the blur; an average pool
becomes a blur; a strided 1x1 shortcut becomes a blur and a 1x1 convolution of stride 1.

The blur is padded as the border asks: `same` by (K-1)/2, reflected (circular and replicate as the
convolutions), `full` by K-1 zeros (released code), `valid` not at all; border and blur may be set
in either order.

*Deviations*. As in Zhang's and the thesis's released code, the first convolution of a network keeps
its stride (`stem="blur"` blurs it too, as the thesis describes, at four times its cost). The
released code also makes the max pool of the stem 2x2 without padding in S-Conv networks;
`pool_kernel=2` does so, by default its window stays.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from timm.layers.blur_pool import BlurPool2d
from torch import nn

from thesisbench.layers.blur_places import find_places
from thesisbench.layers.border_pools import PoolForm, set_pool
from thesisbench.layers.conv_border import network_border
from thesisbench.layers.residual_border import pad_shortcut, plan_shortcuts
from thesisbench.ops.border import Border, PadMode

BlurPadding = Literal["same", "full"]
Stem = Literal["strided", "blur"]


class Blur(BlurPool2d):
    """timm's BlurPool2d (binomial filter, no stored weights), its padding following the border.

    Args:
        filter_size: taps per axis, odd; 3 is Tri-3.
        stride: of the subsampling.
        fixed: same or full for this padding under every border; None follows the border.
    """

    def __init__(
        self, *, filter_size: int = 3, stride: int = 2, fixed: BlurPadding | None = None
    ) -> None:
        super().__init__(None, filt_size=filter_size, stride=stride)
        self.fixed = fixed

    def amount(self, border: Border) -> int:
        """Padding per side under a border."""
        reach = self.filt_size - 1
        return {"valid": 0, "same": reach // 2, "full": reach}[self.fixed or border]

    def follow_border(self, border: Border, pad_mode: PadMode) -> None:
        """Takes the padding that goes with a border: zeros for full, else reflected or as given."""
        zeros = (self.fixed or border) == "full"
        self.padding = [self.amount(border)] * 4
        self.pad_mode = "constant" if zeros else "reflect" if pad_mode == "zeros" else pad_mode


class ConvertBlurPool:
    """Puts a blur before each subsampling of a network, in place.

    Parameters, state_dict keys and the border of the network stay.

    Args:
        filter_size: taps of the blur per axis, 3 or 5.
        padding: same, full, or None to follow the border of the network.
        stem: strided leaves the first convolution as it is, blur blurs it too.
        pool_kernel: side of the max pools' windows, then unpadded; None keeps them.

    Raises:
        ValueError: a filter size or word that is not valid.
    """

    batch_free = True

    def __init__(
        self,
        *,
        filter_size: int = 3,
        padding: BlurPadding | None = None,
        stem: Stem = "strided",
        pool_kernel: int | None = None,
    ) -> None:
        if filter_size not in (3, 5):
            raise ValueError(f"filter_size must be 3 or 5, got {filter_size}")
        if padding not in (None, *get_args(BlurPadding)):
            raise ValueError(f"unknown padding {padding!r}; valid: null, same, full")
        if stem not in get_args(Stem):
            raise ValueError(f"unknown stem {stem!r}; valid: strided, blur")
        self.filter_size, self.padding = filter_size, padding
        self.stem, self.pool_kernel = stem, pool_kernel

    def __call__(self, network: nn.Module) -> int:
        """Converts a network; returns how many layers lost their stride to a blur.

        Raises:
            ValueError: it has blurs already; a strided layer with no place for a blur, by name.
        """
        if any(isinstance(module, BlurPool2d) for module in network.modules()):
            raise ValueError("it has BlurPool already")
        border, pad_mode = network_border(network)
        places = find_places(network, blur_stem=self.stem == "blur")
        tensor = next(network.parameters(), torch.empty(0))
        for place in places:
            blur = Blur(filter_size=self.filter_size, stride=place.stride, fixed=self.padding)
            blur.follow_border(border, pad_mode)
            place.put(blur.to(tensor.device, tensor.dtype))
            if self.pool_kernel and isinstance(place.layer, nn.MaxPool2d):
                set_pool(place.layer, PoolForm(self.pool_kernel, 0), as_built=True)
        for block, amount in plan_shortcuts(network, {}).items():
            pad_shortcut(block, amount)
        return len(places)
