"""Errors under corruptions, after ImageNet-C (Zhao, chapter 3, Table 3.5).

Hendrycks and Dietterich, ICLR 2019. Images are corrupted batch by batch while they are tested, or
read from a data set that has them (`stored`). Where several processes work on the run, each does
its share and all get the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesisbench.data.corruptions.corrupt import check, corrupt
from thesisbench.data.corruptions.severities import SEVERITIES
from thesisbench.data.corruptions.severities import STANDARD as FIFTEEN
from thesisbench.errors import UserError, unknown
from thesisbench.metrics.alexnet_errors import ALEXNET
from thesisbench.metrics.robustness import Errors, corruption_errors, mean_corruption_error
from thesisbench.pictures import save_picture
from thesisbench.step import StepContext
from thesisbench.tasks.evaluate import predict
from thesisbench.tasks.over_images import Images, Scale, over_split, own_or_fitted, tell_counts


class CorruptionTest:
    """Top-1 error under corruptions, by kind and in the mean.

    Metrics, in percent: `err_clean`, `err_<corruption>` (mean over severities), `mce` (their mean);
    with a reference `ce_<corruption>` and `mce_norm`, divided by its errors.
    The data are the step's own data set, or the fit's where the step has none.

    Args:
        split: of the data set; ignored with `stored`.
        corruptions: names; the 15 of ImageNet-C when None.
        severities: from 1 to 5.
        stored: read the splits `<corruption>_<severity>` of the data set, without a clean one.
        reference: alexnet (its errors on ImageNet-C), or None. The input `reference`, another
            corruption test, takes its place.
        mean: of each channel, that the data set's images were normalised with. std: alike.
        clips: at most so many images, rounded up to whole batches; None for all, and for `stored`.
        pictures: corruptions of the first image that are left as pictures, at the last severity.
    """

    def __init__(
        self,
        *,
        split: str = "val",
        corruptions: Sequence[str] | None = None,
        severities: Sequence[int] = SEVERITIES,
        stored: bool = False,
        reference: str | None = None,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        clips: int | None = None,
        pictures: bool = True,
    ) -> None:
        if reference not in (None, "alexnet"):
            raise UserError(unknown("reference", str(reference), ("alexnet", "null")))
        self.names = tuple(corruptions or FIFTEEN)
        self.severities = tuple(severities)
        for name in self.names:
            for severity in self.severities:
                check(name, severity)
        self.split, self.stored, self.reference = split, stored, reference
        self.scale, self.clips, self.pictures = Scale(mean=mean, std=std), clips, pictures

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Evaluates the fit that is the input `weights`."""
        network, data = context.fitted(), own_or_fitted(context)
        context.result.facts["data"] = data.fingerprint()
        if self.stored:
            return self._metrics(self._stored(context, network, data), context)
        seed = int(context.config.get("seed", 0))
        classes, labels = self.measure(network, data, seed=seed)
        context.save_predictions("corrupted", classes.to(torch.int16).numpy())
        tell_counts(context, data, self.split, len(labels))
        if self.pictures:
            self._show(context, data, seed)
        errors, clean = self.errors(classes, labels)
        return {"err_clean": clean, **self._metrics(errors, context)}

    def _metrics(self, errors: Errors, context: StepContext) -> dict[str, float]:
        found = {f"err_{name}": value for name, value in corruption_errors(errors).items()}
        found["mce"] = mean_corruption_error(errors)
        reference = self._reference(context)
        if reference is not None:
            each = corruption_errors(errors, reference)
            found |= {f"ce_{name}": value for name, value in each.items()}
            found["mce_norm"] = mean_corruption_error(errors, reference)
        return found | {f"err_{n}_{s}": v for n, by in errors.items() for s, v in by.items()}

    def measure(
        self, network: nn.Module, data: Any, *, seed: int
    ) -> tuple[Int[Tensor, "n t"], Int[Tensor, " n"]]:
        """Classes of the clean image, then of each corruption at each severity; and the labels."""

        def classes_of(images: Images, numbers: list[int]) -> Tensor:
            plain = self.scale.to_unit(images)
            found = [network(images).argmax(1)]
            for name in self.names:
                for severity in self.severities:
                    bad = corrupt(plain, name, severity, seed=seed, numbers=numbers)
                    found.append(network(self.scale.back(bad)).argmax(1))
            return torch.stack(found, 1)

        return over_split(data, self.split, self.clips, classes_of)

    def errors(
        self, classes: Int[Tensor, "n t"], labels: Int[Tensor, " n"]
    ) -> tuple[Errors, float]:
        """Errors by corruption and severity, and that of clean images, in percent."""
        wrong = 100 * (classes != labels[:, None]).double().mean(0)
        clean, *others = wrong.tolist()
        rest = iter(others)
        return {name: {s: next(rest) for s in self.severities} for name in self.names}, clean

    def _stored(self, context: StepContext, network: nn.Module, data: Any) -> Errors:
        errors: dict[str, dict[int, float]] = {}
        evaluated = context.result.facts.setdefault("evaluated", {})
        for name in self.names:
            for severity in self.severities:
                split = f"{name}_{severity}"
                logits, labels = predict(network, data, split)
                classes = logits.argmax(1)
                context.save_predictions(split, classes.to(torch.int16).numpy())
                evaluated[split] = {"on": len(labels), "of": len(data.split(split))}
                wrong = int((classes != labels).sum())
                errors.setdefault(name, {})[severity] = 100 * wrong / len(labels)
        return errors

    def _reference(self, context: StepContext) -> Errors | None:
        if "reference" not in context.needs:
            return ALEXNET if self.reference else None
        metrics = context.needs["reference"][0].record["result"]["metrics"]
        return {
            name: {
                s: metrics[key] for s in self.severities if (key := f"err_{name}_{s}") in metrics
            }
            for name in self.names
        }

    def _show(self, context: StepContext, data: Any, seed: int) -> None:
        (images,), _ = data.split(self.split).__getitems__([(0, 0)])
        plain = self.scale.to_unit(images)
        save_picture(context, "clean", as_rgb(plain[0]))
        for name in self.names:
            bad = corrupt(plain, name, self.severities[-1], seed=seed, numbers=[0])
            save_picture(context, f"{name}_{self.severities[-1]}", as_rgb(bad[0]))


def as_rgb(image: Float[Tensor, "c h w"]) -> Float[Tensor, "3 h w"]:
    """A picture of an image, enlarged where it is small."""
    times = max(1, 128 // image.shape[-1])
    large = image.repeat_interleave(times, 1).repeat_interleave(times, 2)
    return large.expand(3, -1, -1) if large.shape[0] == 1 else large
