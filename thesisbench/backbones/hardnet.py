"""HardNet: descriptors of grey patches.

Used by Kayhan, chapter 2 (Figure 2.7, patch matching); paper: Mishchuk et al., arXiv 1705.10872.
Each patch is normalised by itself, seven convolutions with batch normalisation follow, the
last of which takes the whole 8x8 map in, and the descriptor has unit length.

*Deviations*. With full convolutions the last map of a 32x32 patch is 14x14 instead of 8x8, and the
released code flattens the 7x7 outputs of the last convolution into 6,272 numbers instead of 128:
another descriptor, not only another border. Here the outputs are averaged (`head="gap"`), which is
the same for an 8x8 map; `head="flatten"` is the released one. The names of parameters are those of
the released code.
"""

from __future__ import annotations

from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.errors import UserError, unknown

Head = Literal["gap", "flatten", "kernel_match"]
_PLAN = ((32, 1), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1))  # channels, stride
_HEAD_KERNEL = 8  # the last map of a 32x32 patch with same convolutions


class HeadConv2d(nn.Conv2d):
    """The unpadded convolution over a whole map, which borders leave as it is.

    Args:
        channels_in: channels of the map.
        channels_out: numbers of the descriptor.
        kernel: side of the map.
        exact: whether a larger map is refused.
    """

    keeps_border = True

    def __init__(self, channels_in: int, channels_out: int, kernel: int, *, exact: bool) -> None:
        super().__init__(channels_in, channels_out, kernel, bias=False)
        self.exact = exact

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """Convolves, if the map is large enough.

        Raises:
            UserError: the map does not fit the kernel.
        """
        height, width = input.shape[-2:]
        kernel = self.kernel_size[0]
        if min(height, width) < kernel:
            text = (
                f"the last map of HardNet is {height}x{width}, smaller than its {kernel}x{kernel}"
            )
            raise UserError(f"{text} head; use border same or full, or larger patches")
        if self.exact and (height, width) != (kernel, kernel):
            text = f"head=kernel_match with map_size={kernel} got a map of {height}x{width}"
            raise UserError(f"{text}; set backbone.map_size={height}")
        return super().forward(input)


def normalise_patches(patches: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Each patch with mean 0 and standard deviation 1 over all its values."""
    flat = patches.flatten(1)
    mean, std = flat.mean(1), flat.std(1) + 1e-7
    return (patches - mean[:, None, None, None]) / std[:, None, None, None]


class HardNet(nn.Module):
    """Patch to descriptor of unit length.

    Args:
        head: gap (mean over the outputs of the last convolution), flatten (all of them, released)
            or kernel_match (one output: the last kernel has the side of the map, `map_size`).
        width: factor on the channels of all but the last convolution.
        size: numbers of the descriptor (times the outputs for flatten).
        map_size: side of the last map, for kernel_match; 8 for 32x32 patches, 14 if full.
        dropout: share of the last map that is dropped in training.
        in_channels: channels of the patches.

    Raises:
        UserError: unknown head.
    """

    def __init__(
        self,
        *,
        head: Head = "gap",
        width: float = 1.0,
        size: int = 128,
        map_size: int = _HEAD_KERNEL,
        dropout: float = 0.3,
        in_channels: int = 1,
    ) -> None:
        super().__init__()
        if head not in get_args(Head):
            raise UserError(unknown("head", head, get_args(Head)))
        self.head = head
        layers: list[nn.Module] = []
        channels_in = in_channels
        for channels, stride in ((max(1, round(width * c)), s) for c, s in _PLAN):
            conv = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(channels, affine=False), nn.ReLU()]
            channels_in = channels
        match = head == "kernel_match"
        kernel = map_size if match else _HEAD_KERNEL
        last = HeadConv2d(channels_in, size, kernel, exact=match)
        layers += [nn.Dropout(dropout), last, nn.BatchNorm2d(size, affine=False)]
        self.features = nn.Sequential(*layers)
        for conv in (m for m in layers if isinstance(m, nn.Conv2d)):
            nn.init.orthogonal_(conv.weight, gain=0.6)

    def forward(self, patches: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Descriptors of unit length.

        Raises:
            UserError: the patches are too small for the border, or do not fit `map_size`.
        """
        outputs = self.features(normalise_patches(patches))
        descriptors = outputs.mean((2, 3)) if self.head == "gap" else outputs.flatten(1)
        return F.normalize(descriptors)
