"""Shift evaluation: one classifier at many diagonal shifts, for accuracy and for consistency.

Kayhan, chapter 2, Tables 2.2a and 2.2b; arXiv 2003.07064. Each image is read (decoded, resized)
once; its windows at all offsets go through the network batch by batch, and both metrics share these
predictions. Results equal those of a pass for each offset bit for bit, since the network sees the
same batches.

*Deviations*. Maps of neighbouring windows are not shared inside the network: zeros at the border of
a window reach far, so that a shared map would not be the window's own.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesisbench.data.shares import gather
from thesisbench.errors import UserError
from thesisbench.metrics.shifts import DiagonalShiftAccuracy, ShiftConsistency, diagonal_window
from thesisbench.step import StepContext


def predict_windows(
    network: nn.Module, images: Float[Tensor, "b c h w"], *, offsets: range, crop: int
) -> Float[Tensor, "b t k"]:
    """Logits of each image's windows at diagonal offsets, one forward pass an offset.

    Args:
        network: windows -> logits.
        images: larger than the window by the largest offset.
        offsets: in pixels.
        crop: side of the window.
    """
    windows = (diagonal_window(images, t, crop) for t in offsets)
    return torch.stack([network(window.contiguous()) for window in windows], dim=1)


class ShiftTest:
    """Accuracy over diagonal shifts, consistency of pairs of them, and accuracy in the centre.

    The data are the step's own data set, or the fit's where the step has none. Metrics, in percent:
    `shift_accuracy` (offsets 0 ... shifts - 1), `shift_probability` (mean of the true class's),
    `consistency` (pairs of offsets from 1 ... max_shift) and `centre_top1` (the middle window).

    Args:
        split: square images, larger than the window by the largest offset.
        crop: side of the window. shifts: offsets for the accuracy.
        pairs: for the consistency, of each image. max_shift: largest offset of these.
    """

    def __init__(
        self, *, split: str, crop: int = 224, shifts: int = 64, pairs: int = 5, max_shift: int = 64
    ) -> None:
        self.split, self.crop = split, crop
        self.shifts, self.pairs, self.max_shift = shifts, pairs, max_shift
        self.offsets = range(max(shifts, max_shift + 1))

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Evaluates the fit that is the input `weights`."""
        data = context.dataset() if context.config.get("dataset") else context.fitted_dataset()
        seed = int(context.config.get("seed", 0))
        metrics, classes = self.measure(context.fitted(), data, seed=seed)
        context.save_predictions(self.split, classes.numpy())
        context.result.facts["data"] = data.fingerprint()
        counts = {"on": len(classes), "of": len(data.split(self.split))}
        context.result.facts["evaluated"] = {self.split: counts}
        return metrics

    @torch.no_grad()
    def measure(
        self, network: nn.Module, data: Any, *, seed: int
    ) -> tuple[dict[str, float], Int[Tensor, "n t"]]:
        """The metrics, and the classes of all images at all offsets.

        Where several processes work on the run, each does its share and all get the whole.
        """
        accuracy = DiagonalShiftAccuracy(shifts=self.shifts, crop=self.crop)
        consistency = ShiftConsistency(pairs=self.pairs, max_shift=self.max_shift, seed=seed)
        loader, limit = data.share(self.split), data.loading.limit
        sampler = loader.batch_sampler
        places = torch.tensor(sampler.positions(sampler.share.rank, limit), dtype=torch.long)
        classes, truth = [], []
        for index, ((images,), labels) in enumerate(islice(loader, limit)):
            count = sampler.count(index)
            logits = predict_windows(network, images, offsets=self.offsets, crop=self.crop)[:count]
            numbers, places = places[:count], places[count:]
            accuracy.update(logits[:, : self.shifts], labels[:count])
            consistency.update(logits[:, : self.max_shift + 1].argmax(2), numbers)
            classes.append(logits.argmax(2))
            truth.append(labels[:count])
            centre = (images.shape[-1] - self.crop) // 2
        every = gather(torch.cat(classes), sampler, limit)
        right = every[:, self._place(centre)] == gather(torch.cat(truth), sampler, limit)
        found = accuracy.compute()
        return {
            "shift_accuracy": float(found["accuracy"]),
            "shift_probability": float(found["probability"]),
            "consistency": float(consistency.compute()),
            "centre_top1": 100.0 * int(right.sum()) / len(right),
        }, every

    def _place(self, centre: int) -> int:
        """Where the offset of the middle window stands among all.

        Raises:
            UserError: the images are so large that the largest offset does not reach their middle.
        """
        if centre not in self.offsets:
            text = f"no shift reaches the middle of the images, at offset {centre}"
            raise UserError(f"{text}; raise evaluation.shifts or evaluation.crop")
        return self.offsets.index(centre)
