"""Drift and spread in untrained networks, before any training (claim C12).

Liu, chapter 5, Section 5.3.4 (Figures 5.2, 5.7, 5.8): a batch of 128 inputs from N(0, 1), the
responses of layers 1, 3, 7 and of the classifier, before anything normalises them.

*Deviations*. The thesis shows histograms of one network; here figures (see
`thesisbench.metrics.activations`) are means over several. Batch normalisations use the statistics
of the batch, as in training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import torch

from thesisbench.data.arrays import mix
from thesisbench.errors import UserError
from thesisbench.metrics.activations import LayerFigures, dominant_share, layer_figures
from thesisbench.step import StepContext, build_network
from thesisbench.training.randomness import seed_all

FIGURES = ("drift", "std", "skewness", "symmetry", "weight_symmetry", "dominant")


class RandomFigures:
    """Figures of the step's backbone with random weights, as its variants leave it.

    Metrics, means over the networks: `drift_<layer>`, `std_<layer>`, `skewness_<layer>`,
    `symmetry_<layer>`, `weight_symmetry_<layer>`, `dominant_<layer>` (percent) of each of `layers`
    and of the `classifier`, `drift_hidden` (mean over all layers before the classifier),
    `std_ratio` (from one of these to the next, geometric mean) and `dominant_class` (percent of
    inputs that get the most frequent answer). A figure that is not finite is left out.

    Args:
        layers: counted from 1 in the order of computing.
        nets: number of networks; each has weights and inputs of its own.
        batch: inputs.
        channels: of the inputs.
        side: of the inputs, in pixels.
    """

    def __init__(
        self,
        *,
        layers: Sequence[int] = (1, 3, 7),
        nets: int = 10,
        batch: int = 128,
        channels: int = 3,
        side: int = 8,
    ) -> None:
        self.layers, self.nets = tuple(layers), nets
        self.shape = (batch, channels, side, side)

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Measures all networks of the seed of the run."""
        seeds = [mix(int(context.config["seed"]), net) for net in range(self.nets)]
        return _means([self._of_one(context, seed) for seed in seeds])

    def _of_one(self, context: StepContext, seed: int) -> dict[str, float | None]:
        seed_all(seed)
        network, context.result.facts["replaced"] = build_network(context.config)
        inputs = torch.randn(self.shape, generator=torch.Generator().manual_seed(seed))
        answers: list[torch.Tensor] = []
        handle = network.register_forward_hook(lambda *call: answers.append(call[-1]))
        found = layer_figures(network, inputs, batch_statistics=True)
        handle.remove()
        last = len(found) - 1
        if odd := [n for n in self.layers if not 1 <= n <= last]:
            raise UserError(f"layers: no layer {odd[0]}; there are {last} before the classifier")
        told = {str(n): found[n - 1] for n in self.layers} | {"classifier": found[-1]}
        return (
            figures_by_layer(told) | summary(found) | {"dominant_class": dominant_share(*answers)}
        )


def figures_by_layer(layers: Mapping[str, LayerFigures]) -> dict[str, float | None]:
    """`<figure>_<layer>` -> value.

    Args:
        layers: name -> figures.
    """
    return {f"{f}_{name}": getattr(layer, f) for name, layer in layers.items() for f in FIGURES}


def summary(layers: Sequence[LayerFigures]) -> dict[str, float | None]:
    """Mean drift of all layers but the last, and the mean ratio of their standard deviations.

    Args:
        layers: in the order of computing, at least three.
    """
    hidden = layers[:-1]
    drifts = [layer.drift for layer in hidden if layer.drift is not None]
    first, last = hidden[0].std, hidden[-1].std
    ratio = (last / first) ** (1 / (len(hidden) - 1)) if first and last is not None else None
    return {"drift_hidden": fmean(drifts) if drifts else None, "std_ratio": ratio}


def _means(nets: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Means over networks of what all of them have."""

    def values(name: str) -> Iterable[float | None]:
        return [net[name] for net in nets]

    kept = (name for name in nets[0] if None not in values(name))
    return {name: fmean(value for value in values(name) if value is not None) for name in kept}
