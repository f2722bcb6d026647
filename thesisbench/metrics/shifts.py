"""How a classifier takes images that are shifted along the diagonal, and its generalisation gap.

Kayhan, chapter 2, Tables 2.2a and 2.2b, Figures 2.8 and 2.9; arXiv 2003.07064. A window slides
over a larger image; at offset (t, t) it starts t rows and t columns from the top-left corner.

*Deviations*. For the consistency the release draws two windows anywhere in the image; the thesis
speaks of diagonal shifts, and so do we, which costs no further forward pass beyond those of the
accuracy. Draws are a function of (seed, number of the image, pair), where the release draws on.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric

from thesisbench.data.draws import mixed
from thesisbench.errors import UserError


def diagonal_window(
    images: Float[Tensor, "b c h w"], offset: int, crop: int
) -> Float[Tensor, "b c s s"]:
    """The square window of side `crop` that starts at (offset, offset).

    Args:
        images: any.
        offset: pixels from the top-left corner.
        crop: side of the window in pixels.

    Raises:
        UserError: the window leaves the images.
    """
    end = offset + crop
    if offset < 0 or end > min(images.shape[-2:]):
        height, width = images.shape[-2:]
        text = f"a window of {crop} pixels at offset {offset} leaves images of {height}x{width}"
        raise UserError(f"{text}; use larger test images, a smaller crop or fewer shifts")
    return images[..., offset:end, offset:end]


class DiagonalShiftAccuracy(Metric):
    """Accuracy over images and the diagonal shifts 0 ... shifts - 1.

    Args:
        shifts: number of offsets. crop: side of the window.

    >>> metric = DiagonalShiftAccuracy(shifts=2, crop=1)
    >>> logits = torch.tensor([[[2.0, 1.0], [1.0, 2.0]]])  # one image, two shifts, two classes
    >>> metric.update(logits, torch.tensor([0]))
    >>> metric.compute()["accuracy"].item()
    50.0
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True
    correct: Tensor
    probability: Tensor
    count: Tensor

    def __init__(self, *, shifts: int = 64, crop: int = 224) -> None:
        super().__init__()
        if shifts < 1 or crop < 1:
            raise UserError(f"shifts={shifts} and crop={crop} must be at least 1")
        self.shifts, self.crop = shifts, crop
        for name, zero in (("correct", 0), ("probability", 0.0), ("count", 0)):
            kind = torch.float64 if isinstance(zero, float) else torch.int64
            self.add_state(name, torch.tensor(zero, dtype=kind), dist_reduce_fx="sum")

    def windows(self, images: Float[Tensor, "b c h w"]) -> Iterator[Float[Tensor, "b c s s"]]:
        """The windows whose predictions `update` takes, one shift after the other."""
        return (diagonal_window(images, t, self.crop) for t in range(self.shifts))

    def update(self, logits: Float[Tensor, "b t k"], labels: Int[Tensor, " b"]) -> None:
        """Counts a batch.

        Args:
            logits: of each image at each shift.
            labels: true classes.

        Raises:
            ValueError: another number of shifts.
        """
        if logits.shape[1] != self.shifts:
            raise ValueError(f"predictions at {logits.shape[1]} shifts, not {self.shifts}")
        truth = labels[:, None].expand(logits.shape[:2])
        self.correct += (logits.argmax(2) == truth).sum()
        probability = logits.double().softmax(2).gather(2, truth[..., None])
        self.probability += probability.sum()
        self.count += truth.numel()

    def compute(self) -> dict[str, Tensor]:
        """`accuracy`, and `probability`: the mean of that of the true class; both in percent."""
        return {
            "accuracy": 100 * self.correct.double() / self.count,
            "probability": 100 * self.probability / self.count,
        }


class ShiftConsistency(Metric):
    """How often an image gets one class at two diagonal shifts, drawn from 1 ... max_shift.

    Args:
        pairs: drawn for each image. max_shift: the largest shift. seed: of the draws.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True
    agreed: Tensor
    count: Tensor

    def __init__(self, *, pairs: int = 5, max_shift: int = 64, seed: int = 0) -> None:
        super().__init__()
        if pairs < 1 or max_shift < 1:
            raise UserError(f"pairs={pairs} and max_shift={max_shift} must be at least 1")
        self.pairs, self.max_shift, self.seed = pairs, max_shift, seed
        for name in ("agreed", "count"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    def draws(self, numbers: Int[Tensor, " b"]) -> Int[Tensor, "b p 2"]:
        """The pairs of shifts of the images with these numbers."""
        if not len(numbers):  # a process may have no image of a small last batch
            return torch.zeros(0, self.pairs, 2, dtype=torch.long)
        keys = [(0, number) for number in numbers.tolist()]
        drawn = mixed(self.seed, keys, 2 * self.pairs) % self.max_shift + 1
        return torch.from_numpy(drawn.astype("int64")).view(-1, self.pairs, 2)

    def update(self, classes: Int[Tensor, "b t"], numbers: Int[Tensor, " b"]) -> None:
        """Counts a batch.

        Args:
            classes: predicted at the shifts 0 ... max_shift (shift 0 is never drawn).
            numbers: of the images in their data set.

        Raises:
            ValueError: another number of shifts.
        """
        if classes.shape[1] != self.max_shift + 1:
            text = f"predictions at {classes.shape[1]} shifts, not at 0 to {self.max_shift}"
            raise ValueError(text)
        first, second = self.draws(numbers).to(classes.device).unbind(2)
        agreed = classes.gather(1, first) == classes.gather(1, second)
        self.agreed += agreed.sum()
        self.count += agreed.numel()

    def compute(self) -> Tensor:
        """Percent of the pairs."""
        return 100 * self.agreed.double() / self.count


def generalization_gap(train: float, test: float) -> float:
    """Training minus test accuracy, in points: how much is lost on unseen data.

    Args:
        train: accuracy on training data, in percent.
        test: accuracy on test data, in percent.

    Raises:
        ValueError: a number that is no percentage.

    >>> generalization_gap(99.0, 63.5)
    35.5
    """
    for name, value in (("train", train), ("test", test)):
        if not 0 <= value <= 100:
            raise ValueError(f"{name} accuracy {value} is no percentage")
    return train - test
