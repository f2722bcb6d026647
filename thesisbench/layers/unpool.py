"""Unpooling: what undoes the pool of an encoder in the decoder of a segmentation network.

Zhao, chapter 3, Table 3.6 (MaxUnpool of SegNet, MaxUnpool with a blur, LiftUpPool) and two controls
of ours: bilinear interpolation, and concatenation of the encoder's map as in a U-Net. Each is made
of the pool that it belongs to, whose last forward pass tells the size to go back to, and all it has
to remember.

*Deviations*. The thesis does not give the blur behind MaxUnpool; here it is the binomial filter
(1 2 1) of BlurPool with stride 1, reflected at the border, which leaves means as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from timm.layers.blur_pool import BlurPool2d
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.lift_pool import LiftPool2d
from thesisbench.ops.lifting import Bands

MakeUnpool = Callable[[nn.Module], nn.Module]


class _Unpool(nn.Module):
    """What unpools share: what the pool takes in is looked at on its way, by one unpool a pool."""

    batch_free = True

    def __init__(self, down: nn.Module) -> None:
        super().__init__()
        self._seen: Tensor | None = None
        earlier: Any = getattr(down, "unpool_hook", None)
        if earlier is not None:
            earlier.remove()
        down.unpool_hook = down.register_forward_pre_hook(self._look)  # type: ignore[assignment]

    def _look(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._seen = inputs[0]

    def _recall(self) -> Tensor:
        """The pool's last input; it is kept no longer than this."""
        seen, self._seen = self._seen, None
        if seen is None:
            raise ValueError(
                f"{type(self).__name__}: its pool has not run since the last unpooling"
            )
        return seen

    def __getstate__(self) -> dict[str, Any]:
        """Copies have no record of a forward pass, whose graph cannot be copied."""
        return {**self.__dict__, "_seen": None}


class BilinearUp(_Unpool):
    """Bilinear interpolation to the size of the pool's input.

    Args:
        down: the pool.
    """

    def forward(self, y: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "b c h w"]:
        """The map at the size of the pool's last input."""
        return _enlarge(y, self._recall())


class ConcatUp(_Unpool):
    """Bilinear interpolation beside the pool's input, and a 1x1 convolution of both.

    Args:
        down: the pool.
        channels: of its input; None where the pool has an attribute `channels`.

    Raises:
        ValueError: the number of channels is not known.
    """

    def __init__(self, down: nn.Module, channels: int | None = None) -> None:
        super().__init__(down)
        known = channels or getattr(down, "channels", None)
        if known is None:
            text = f"ConcatUp: {type(down).__name__} does not know its channels"
            raise ValueError(f"{text}; give it an attribute `channels`")
        self.mix = nn.Conv2d(2 * known, known, 1)

    def forward(self, y: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "b c h w"]:
        """A map made of y and the pool's last input, at the size of the latter."""
        x = self._recall()
        mixed: Tensor = self.mix(torch.cat([_enlarge(y, x), x], dim=1))
        return mixed


class MaxUnpool(_Unpool):
    """Puts each value where the pool found its maximum, and zeros elsewhere.

    Args:
        down: the max pool.

    Raises:
        ValueError: it is another pool.
    """

    def __init__(self, down: nn.Module) -> None:
        if not isinstance(down, nn.MaxPool2d):
            text = f"{type(self).__name__} needs the indices of a max pool"
            raise ValueError(f"{text}; {type(down).__name__} has none: choose pool=max")
        super().__init__(down)
        self.kernel, self.stride = _both(down.kernel_size), _both(down.stride)
        self.padding = _both(down.padding)
        self.ceil_mode = down.ceil_mode

    @torch.no_grad()
    def _indices(self, x: Tensor) -> Tensor:
        """Found once more here, so that the pool itself stays as it is."""
        window = (self.kernel, self.stride, self.padding)
        return F.max_pool2d_with_indices(x, *window, ceil_mode=self.ceil_mode)[1]

    def forward(self, y: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "b c h w"]:
        """The sparse map at the size of the pool's last input."""
        x = self._recall()
        size = list(x.shape[-2:])
        return F.max_unpool2d(y, self._indices(x), self.kernel, self.stride, self.padding, size)


class MaxUnpoolBlur(MaxUnpool):
    """`MaxUnpool`, then the binomial blur, which fills the holes.

    Args:
        down: the max pool.

    Raises:
        ValueError: it is another pool.
    """

    def __init__(self, down: nn.Module) -> None:
        super().__init__(down)
        self.blur = BlurPool2d(filt_size=3, stride=1)

    def forward(self, y: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "b c h w"]:
        """The blurred map at the size of the pool's last input."""
        blurred: Tensor = self.blur(super().forward(y))
        return blurred


class LiftUpPool2d(nn.Module):
    """Unpooling that runs a lifting pool backwards: its input stands for the band LL.

    The other bands are those that the pool recorded on its last forward pass; after pooling LL
    alone, unpooling gives back the pool's input.

    Args:
        down: the pool; predictor and updater stay its own.

    Raises:
        ValueError: `down` is no lifting pool.
    """

    batch_free = True

    def __init__(self, down: nn.Module) -> None:
        super().__init__()
        if not isinstance(down, LiftPool2d):
            name = type(down).__name__
            raise ValueError(
                f"LiftUpPool2d inverts a lifting pool, and {name} is none: choose pool=lift_down"
            )
        down.keep_details = True
        self._down = (down,)  # in a tuple, since its parameters are not this module's

    def forward(self, y: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "b c h w"]:
        """The map whose sub-bands are y and the recorded details.

        Raises:
            ValueError: the pool has recorded nothing, or for a map of another shape.
        """
        (down,) = self._down
        if down.last_details is None:
            raise ValueError("LiftUpPool2d: its pool has not run yet, so there are no details")
        if y.shape != down.last_details[0].shape:
            shapes = f"{tuple(y.shape)} and {tuple(down.last_details[0].shape)}"
            raise ValueError(f"LiftUpPool2d: map and recorded details differ in shape: {shapes}")
        return down.unlift(Bands(y, *down.last_details), down.last_size)


class ReplaceUnpooling:
    """Gives a network another unpooling, in place; its pools are to be chosen before.

    Args:
        factory: pool -> the unpool that belongs to it.
    """

    batch_free = True

    def __init__(self, *, factory: MakeUnpool) -> None:
        self.factory = factory

    def __call__(self, network: nn.Module) -> int:
        """Makes the unpools of a network anew; returns how many.

        Raises:
            ValueError: a network that has none, or a pool that such unpools do not fit.
        """
        set_unpools = getattr(network, "set_unpools", None)
        if set_unpools is None:
            raise ValueError("it has no unpooling; choose a SegNet")
        count: int = set_unpools(self.factory)
        return count


def _both(value: int | tuple[int, int]) -> list[int]:
    """A size for each axis."""
    return [value, value] if isinstance(value, int) else list(value)


def _enlarge(y: Tensor, like: Tensor) -> Tensor:
    """Bilinear interpolation to the height and width of another map."""
    return F.interpolate(y, size=like.shape[-2:], mode="bilinear", align_corners=False)
