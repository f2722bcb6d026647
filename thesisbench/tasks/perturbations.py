"""Flip rates under perturbations, after ImageNet-P (Zhao, chapter 3, Table 3.5 and Figure A.4).

Hendrycks and Dietterich, ICLR 2019. Sequences are made of images while these are tested, or read
from a data set that has them (`stored`). Where several processes work on the run, each does its
share and all get the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesisbench.data.corruptions.perturb import perturb
from thesisbench.data.corruptions.sequences import PERTURBATIONS, chosen_steps, is_noise
from thesisbench.data.corruptions.sequences import STANDARD as TEN
from thesisbench.errors import UserError, unknown
from thesisbench.metrics.robustness import flip_rate, mean_flip_rate
from thesisbench.step import StepContext
from thesisbench.tasks.over_images import Images, Scale, over_split, own_or_fitted

AT_ONCE = 2**21  # values of images whose sequences are held in memory at a time

Frames = Float[Tensor, "b t c h w"]


class PerturbationTest:
    """How often the class flips along sequences of an image that changes little.

    Metrics, in percent: `fr_<perturbation>` and `mfr`, their mean; with the input `reference`,
    another perturbation test, `mfr_norm`, divided by its flip rates.
    The data are the step's own data set, or the fit's where the step has none.

    Args:
        split: of the data set; ignored with `stored`.
        perturbations: names; the 10 of ImageNet-P when None.
        stored: read the splits `<perturbation>` of the data set, of whole sequences.
        crop: side of the frames, out of larger images; None for whole images, and for `stored`.
        frames: of each sequence; None for all (16 to 41).
        clips: at most so many images or sequences, rounded up to whole batches; None for all.
        mean: of each channel, that the data set's images were normalised with. std: alike.
    """

    def __init__(
        self,
        *,
        split: str = "val",
        perturbations: Sequence[str] | None = None,
        stored: bool = False,
        crop: int | None = None,
        frames: int | None = None,
        clips: int | None = None,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        self.names = tuple(perturbations or TEN)
        for name in self.names:
            if name not in PERTURBATIONS:
                raise UserError(unknown("perturbation", name, PERTURBATIONS))
        self.split, self.stored, self.crop = split, stored, crop
        self.frames, self.clips = frames, clips
        self.scale = Scale(mean=mean, std=std)

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Evaluates the network that is the input `weights`."""
        network, data = context.fitted(), own_or_fitted(context)
        facts, seed = context.result.facts, int(context.config.get("seed", 0))
        rates = {}
        for name in self.names:
            classes = self.measure(network, data, name, seed=seed)
            context.save_predictions(name, classes.to(torch.int16).numpy())
            split = name if self.stored else self.split
            counts = {"on": len(classes), "of": len(data.split(split))}
            facts.setdefault("evaluated", {})[split] = counts
            rates[name] = flip_rate(classes, to_first=is_noise(name))
        facts["data"] = data.fingerprint()
        found = {f"fr_{name}": rate for name, rate in rates.items()}
        found["mfr"] = mean_flip_rate(rates)
        if "reference" in context.needs:
            theirs = _flip_rates(context.needs["reference"][0].record["result"]["metrics"])
            found["mfr_norm"] = mean_flip_rate(rates, theirs)
        return found

    def measure(self, network: nn.Module, data: Any, name: str, *, seed: int) -> Int[Tensor, "n t"]:
        """Classes of the frames of each sequence."""

        def made(images: Images, numbers: list[int]) -> Tensor:
            few = max(1, AT_ONCE // images[0].numel())
            parts = [slice(i, i + few) for i in range(0, len(images), few)]
            return torch.cat(
                [self._along(network, name, images[p], numbers[p], seed) for p in parts]
            )

        def stored(sequences: Frames, numbers: list[int]) -> Tensor:
            del numbers
            steps = chosen_steps(sequences.shape[1], self.frames)
            return torch.stack([network(sequences[:, i]).argmax(1) for i in steps], 1)

        split, classes_of = (name, stored) if self.stored else (self.split, made)
        return over_split(data, split, self.clips, classes_of)[0]

    def _along(
        self, network: nn.Module, name: str, images: Images, numbers: list[int], seed: int
    ) -> Int[Tensor, "b t"]:
        plain = self.scale.to_unit(images)
        how: dict[str, Any] = {"crop": self.crop, "frames": self.frames}
        frames = perturb(plain, name, seed=seed, numbers=numbers, **how)
        classes = [network(self.scale.back(frame)).argmax(1) for frame in frames.unbind(1)]
        return torch.stack(classes, 1)


def _flip_rates(metrics: Mapping[str, float]) -> dict[str, float]:
    return {key.removeprefix("fr_"): v for key, v in metrics.items() if key.startswith("fr_")}
