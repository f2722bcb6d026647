"""How the responses of layers lie: drift of channels, spread, dominance, skewness, symmetry.

Liu, chapter 5, Section 5.3.4 and Figures 5.2, 5.4, 5.5, 5.7 to 5.12, which show histograms of
channels; arXiv 2010.07160. Responses are those of a convolution or linear layer, before anything
that normalises them (as in Figure 5.8).

*Deviations*. The thesis prints no number: the figures here are ours. Symmetry is 1 minus the
largest difference between the distribution functions of x and -x: 1 for a distribution that is
symmetric around zero, 0 for one on one side of it; n values of a symmetric one miss 1 by about
1/sqrt(n).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
MOST = 4096  # values of a channel that its symmetry is told from


@dataclass(frozen=True)
class LayerFigures:
    """Figures of one layer; None where they are not finite or no channel varies.

    Attributes:
        name: of the layer. channels: of its output.
        drift: size of a channel's mean over its standard deviation, mean over channels.
        std: standard deviation of all values.
        dominant: positions of all samples at which the most frequent largest channel is the
            largest, in percent; of a classifier, the share of the class that is answered most.
        skewness: size of a channel's third standardised moment, mean over channels.
        symmetry: of a channel's values around zero, mean over channels, from 0 to 1.
        weight_symmetry: that of the weights of a filter, mean over filters.
        constant: channels that do not vary, in percent; they have no drift and no skewness.
    """

    name: str
    channels: int
    drift: float | None
    std: float | None
    dominant: float
    skewness: float | None
    symmetry: float | None
    weight_symmetry: float | None
    constant: float


def channel_drift(values: Float[Tensor, "c n"]) -> Float[Tensor, " c"]:
    """Size of each channel's mean over its standard deviation.

    >>> channel_drift(torch.tensor([[1.0, 3.0], [-1.0, 1.0]])).tolist()
    [2.0, 0.0]
    """
    return values.mean(1).abs() / values.std(1, correction=0)


def channel_skewness(values: Float[Tensor, "c n"]) -> Float[Tensor, " c"]:
    """Third standardised moment of each channel; 0 for a symmetric one."""
    centred = values - values.mean(1, keepdim=True)
    return centred.pow(3).mean(1) / centred.square().mean(1).pow(1.5)


def dominant_share(responses: Float[Tensor, "b c *s"]) -> float:
    """Percentage of positions at which the most frequent largest channel is the largest.

    >>> dominant_share(torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [3.0, 1.0]]))
    75.0
    """
    largest = responses.argmax(1).flatten()
    return 100 * int(largest.bincount().max()) / len(largest)


def channel_symmetry(values: Float[Tensor, "c n"]) -> Float[Tensor, " c"]:
    """1 - sup over t of |P(x <= t) - P(-x <= t)| for each channel.

    >>> channel_symmetry(torch.tensor([[-2.0, -1.0, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0]])).tolist()
    [1.0, 0.0]
    """
    size, order = values.abs().sort(1, descending=True)
    more = values.sign().gather(1, order).cumsum(1)  # how many more are >= t than <= -t, t = size
    last = torch.ones_like(size, dtype=torch.bool)  # of those of one size
    last[:, :-1] = size[:, :-1] != size[:, 1:]
    return 1 - (more.abs() * last).amax(1) / values.shape[1]


def layer_figures(
    network: nn.Module, inputs: Float[Tensor, "b ..."], *, batch_statistics: bool = False
) -> list[LayerFigures]:
    """Figures of every convolution and linear layer, in the order of computing.

    The network is left as it was found; dropout and the like are off.

    Args:
        network: takes the inputs.
        inputs: a batch.
        batch_statistics: whether batch normalisations use those of this batch, as in training;
            else those they have kept.
    """
    found: list[LayerFigures] = []
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(_evaluated(network))
        if batch_statistics:
            stack.enter_context(_without_kept_statistics(network))
        for name, module in network.named_modules():
            if isinstance(module, LAYERS):
                handle = module.register_forward_hook(_noting(name, found))
                stack.callback(handle.remove)
        network(inputs)
    return found


def _noting(name: str, found: list[LayerFigures]) -> Callable[[Any, Any, Tensor], None]:
    """A hook that adds the figures of a layer."""

    def note(layer: Any, given: Any, out: Tensor) -> None:
        del given
        responses = out.movedim(-1, 1) if isinstance(layer, nn.Linear) else out
        found.append(_figures(name, responses, kernel_of(layer)))

    return note


def kernel_of(layer: Any) -> Tensor:
    """The weights that a layer computes with, which may come from its parameter `weight`."""
    kernel = getattr(layer, "kernel", None)
    result: Tensor = kernel() if callable(kernel) else layer.weight
    return result.detach()


def _figures(name: str, responses: Float[Tensor, "b c *s"], kernel: Tensor) -> LayerFigures:
    values = responses.double().transpose(0, 1).flatten(1)
    varies = values.amax(1) != values.amin(1)  # nor does what is not a number stay the same
    moving = values[varies] if varies.any() else values.new_full((1, 1), torch.nan)
    return LayerFigures(
        name=name,
        channels=len(values),
        drift=_mean(channel_drift(moving)),
        std=_mean(values.std(correction=0)[None]),
        dominant=dominant_share(responses),
        skewness=_mean(channel_skewness(moving).abs()),
        symmetry=_mean(channel_symmetry(_some(values))) if values.isfinite().all() else None,
        weight_symmetry=weight_symmetry(kernel),
        constant=100 * (1 - float(varies.double().mean())),
    )


def _some(values: Float[Tensor, "c n"]) -> Float[Tensor, "c m"]:
    """At most `MOST` values a channel, drawn with a fixed seed; a stride would see columns."""
    count = values.shape[1]
    if count <= MOST:
        return values
    generator = torch.Generator().manual_seed(0)
    return values[:, torch.randint(count, (MOST,), generator=generator).to(values.device)]


def weight_symmetry(kernel: Float[Tensor, "o ..."]) -> float | None:
    """Symmetry of the weights of a filter, mean over filters; None where they are not finite."""
    rows = kernel.detach().double().flatten(1)
    return _mean(channel_symmetry(rows)) if rows.isfinite().all() else None


def _mean(values: Float[Tensor, " n"]) -> float | None:
    """None where there are none, or their mean is not finite."""
    mean = float(values.mean()) if len(values) else float("nan")
    return mean if abs(mean) < float("inf") else None


@contextmanager
def _evaluated(network: nn.Module) -> Iterator[None]:
    """All modules in evaluation mode; thereafter each in the mode it was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _without_kept_statistics(network: nn.Module) -> Iterator[None]:
    """Batch normalisations without running statistics take those of the batch instead."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    kept = [(norm.running_mean, norm.running_var) for norm in norms]
    for norm in norms:
        norm.running_mean = norm.running_var = None
    try:
        yield
    finally:
        for norm, (mean, var) in zip(norms, kept, strict=True):
            norm.running_mean, norm.running_var = mean, var
