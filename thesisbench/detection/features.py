"""Maps of a backbone for detectors: its last stages, with or without a feature pyramid.

Any network whose parts follow each other, up to a global pool, may be the backbone: residual
networks, VGGs, MobileNets, Darknets. A stage ends with the last part of a stride; strides are
measured on a small image before drop-ins rewrite the network. Names of parameters are those of
torchvision's `resnet_fpn_backbone`.

*Deviations*. Drop-ins that enlarge or shrink maps (border=full, border=valid) meet anchors and
pyramids that know one size for each stride: maps are brought to the size that the stride gives, the
middle of them (`thesisbench.ops.centred`). So detectors see no zeros around a grown map; there is
no switch, since torchvision's anchors and RoIAlign take maps of no other size.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool, LastLevelP6P7
from torchvision.ops.misc import FrozenBatchNorm2d

from thesisbench.detection.detector import evaluating
from thesisbench.errors import UserError, unknown
from thesisbench.ops.centred import centred

_SIDE = 64  # of the image that strides are measured on
_ENDS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten, nn.Linear)
EXTRA = ("none", "pool", "p6p7")


class Levels(IntermediateLayerGetter):
    """The last stages of a backbone: images -> a map of each, the largest first, by number.

    Args:
        backbone: a classifier, whose parts are taken over. levels: how many stages.

    Attributes:
        strides: pixels between two positions of each map. channels: of each map.
        prefix: what the names of a classifier's weights begin with in front of those here.

    Raises:
        UserError: the parts of the network do not follow each other, or it has fewer stages.
    """

    class_layers: tuple[str, ...] = ()  # none of its layers is a classifier

    def __init__(self, backbone: nn.Module, *, levels: int) -> None:
        inner = getattr(backbone, "features", None)
        parts = inner if isinstance(inner, nn.Module) else backbone
        kind = type(backbone).__name__
        stages = _stages(parts, kind)
        if not 1 <= levels <= len(stages):
            raise UserError(f"levels={levels}: {kind} has stages of strides {list(stages)}")
        chosen = list(stages.items())[-levels:]
        super().__init__(parts, {name: str(i) for i, (_, (name, _)) in enumerate(chosen)})
        self.strides = tuple(stride for stride, _ in chosen)
        self.channels = tuple(channels for _, (_, channels) in chosen)
        self.prefix = "" if parts is backbone else "features."

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> dict[str, Tensor]:
        """Maps of h / stride x w / stride positions, rounded up, named 0, 1, ..."""
        maps: dict[str, Tensor] = super().forward(images)
        height, width = images.shape[-2:]
        sizes = [(-(-height // s), -(-width // s)) for s in self.strides]
        return OrderedDict(
            (name, centred(one, size))
            for (name, one), size in zip(maps.items(), sizes, strict=True)
        )


def _stages(parts: nn.Module, kind: str) -> dict[int, tuple[str, int]]:
    """Stride -> the last part that has it, and its channels."""
    tensor = next(parts.parameters(), torch.empty(0))
    maps = torch.zeros(1, 3, _SIDE, _SIDE, device=tensor.device, dtype=tensor.dtype)
    found: dict[int, tuple[str, int]] = {}
    with torch.no_grad(), evaluating(parts):
        for name, part in parts.named_children():
            if isinstance(part, _ENDS) or maps.shape[-1] == 1:
                break
            try:
                maps = part(maps)
            # The parts may be a user's: wrong channels or a container that cannot be called are a
            # RuntimeError of torch's, a second input or a tuple a TypeError or AttributeError.
            except (RuntimeError, TypeError, AttributeError) as error:
                text = f"a detector cannot take maps from {kind}: its part {name} does not follow"
                raise UserError(f"{text} the one before it on RGB images") from error
            found[_SIDE // maps.shape[-1]] = (name, maps.shape[1])
    return found


class Pyramid(nn.Module):
    """A backbone for torchvision's detectors: maps of one width, the largest first, by name.

    Args:
        backbone: a classifier. levels: how many of its last stages.
        channels: of all maps; 0 for no pyramid: the one map of the last stage as it is.
        extra: maps behind the last: none, pool (every second position) or p6p7 (two convolutions).
        trainable: how many of the last parts with weights are trained; None for all.
        frozen_eps: freezes batch normalisations (see `freeze_norms`); None leaves them.

    Attributes:
        out_channels: of all maps. count: number of maps.

    Raises:
        UserError: an unknown word, or options that do not go together.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        levels: int,
        channels: int = 256,
        extra: str = "pool",
        trainable: int | None = None,
        frozen_eps: float | None = None,
    ) -> None:
        super().__init__()
        if extra not in EXTRA:
            raise UserError(unknown("extra", extra, EXTRA))
        if not channels and (levels > 1 or extra != "none"):
            raise UserError("channels=0 is one map without a pyramid: set levels=1 extra=none")
        self.body = Levels(backbone, levels=levels)
        if frozen_eps is not None:
            freeze_norms(self.body, eps=frozen_eps)
        train_last(self.body, trainable)
        self.out_channels = channels or self.body.channels[-1]
        self.fpn = None
        if channels:
            behind = _extra(extra, channels)
            self.fpn = FeaturePyramidNetwork(list(self.body.channels), channels, behind)
            keep_border(self.fpn)
        self.count = levels + {"none": 0, "pool": 1, "p6p7": 2}[extra]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Mapping[str, Tensor]:
        """Maps by name: 0, 1, ..., and those behind them."""
        maps = self.body(images)
        found: Mapping[str, Tensor] = maps if self.fpn is None else self.fpn(maps)
        return found


def _extra(word: str, channels: int) -> ExtraFPNBlock | None:
    if word == "p6p7":
        return LastLevelP6P7(channels, channels)
    return LastLevelMaxPool() if word == "pool" else None


def freeze_norms(network: nn.Module, *, eps: float) -> int:
    """Makes constants of the batch normalisations of a network, in place; returns how many.

    Args:
        network: its parts keep the names of their numbers, but for the count of batches.
        eps: added to variances: 0 with torchvision's first weights for COCO, as they were trained.
    """
    found = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)]
    for name, norm in found:
        frozen = FrozenBatchNorm2d(norm.num_features, eps=eps)
        state = {k: v for k, v in norm.state_dict().items() if k != "num_batches_tracked"}
        frozen.to(norm.running_mean.device).load_state_dict(state)  # type: ignore[union-attr]
        owner, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(owner), leaf, frozen)
    return len(found)


def train_last(network: nn.Module, count: int | None) -> None:
    """Stops the training of all parts of a network with weights but the last ones.

    Args:
        network: its children follow each other.
        count: how many are trained; None for all.

    Raises:
        UserError: a negative number.
    """
    if count is None:
        return
    if count < 0:
        raise UserError(f"trainable={count} must not be negative; null trains all parts")
    parts = [part for part in network.children() if any(True for _ in part.parameters())]
    for part in parts[: max(len(parts) - count, 0)]:
        part.requires_grad_(False)


def keep_border(*parts: nn.Module) -> None:
    """Marks convolutions that a drop-in for borders must leave as they are."""
    for module in (m for part in parts for m in part.modules() if isinstance(m, nn.Conv2d)):
        mark: Any = module
        mark.keeps_border = True


def padded(images: Sequence[Tensor], multiple: int) -> Float[Tensor, "b 3 h w"]:
    """Images in one batch, with zeros to the right and below up to a multiple of pixels."""
    sides = [max(image.shape[axis] for image in images) for axis in (1, 2)]
    height, width = (-(-side // multiple) * multiple for side in sides)
    batch = images[0].new_zeros(len(images), images[0].shape[0], height, width)
    for place, image in zip(batch, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    return batch
