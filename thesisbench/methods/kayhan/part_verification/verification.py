"""Visual part verification of a detector, of a multi-label network, and of mean boxes alone.

Kayhan, chapter 4, Table 4.1 and Figure 4.6: is each part of a bicycle there? With localisation
(T_P = 0.5, T_M = 0.1) and without (both 0, names `..._anywhere`).

*Deviations*. The threshold of the score is not in the thesis: the detector's own is used (0.05 for
torchvision's, 0.5 for a multi-label network), and the metrics always have a sweep of it beside.
Chance is ours: what the same detections find of missing parts at random places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from thesisbench.data.targets import Prediction, Target
from thesisbench.detection.multi_label import MultiLabelNet
from thesisbench.errors import UserError
from thesisbench.methods.kayhan.part_verification.labels_only import LabelsOnly
from thesisbench.methods.kayhan.part_verification.mean_box import MeanBoxDetector, Score
from thesisbench.metrics.part_overlaps import Overlaps, overlaps
from thesisbench.metrics.visual_verification import (
    missing_recall_curve,
    usual_place_chance,
    verified,
)
from thesisbench.step import StepContext
from thesisbench.tasks.detection_ap import draw
from thesisbench.tasks.over_boxes import as_detector, as_rows, class_names, detections
from thesisbench.tasks.over_images import own_or_fitted, tell_counts

SWEEP = (0.05, 0.1, 0.3, 0.5, 0.7)
CURVE = tuple(x / 100 for x in range(0, 101, 5))


class VisualVerification:
    """Metrics of all images and parts together.

    From 0 to 1 `r_present`, `r_missing`, `f_vv`, and the same with `_anywhere`; `r_missing_chance`
    (detections at random places, claim C4); `r_present_PART`, `r_missing_PART` and these with
    `_anywhere`; the first six at other thresholds of the score as `..._score_XX`. In percent
    `missing_found_XX`, R_M at an IoU of XX hundredths (Figure 4.6), and `missing_found_chance_XX`.
    A network without boxes has those with `_anywhere` only. What no part decides is left out. The
    data are the step's own data set, or the fit's where the step has none.

    Args:
        split: images with parts, missing ones included.
        t_present: least IoU of a found part that is there.
        t_missing: least IoU of one that is not.
        beta: of F_vv.
        score_threshold: least score of a detection; the detector's own when None.
        sweep: other thresholds of the score.
        draws: of random places, for chance.
        clips: at most so many images, rounded up to whole batches; None for all.
        pictures: of the first images, with hallucinated parts in red; 0 for none.
        shown: least score of a detection that is drawn.
    """

    def __init__(
        self,
        *,
        split: str = "test",
        t_present: float = 0.5,
        t_missing: float = 0.1,
        beta: float = 0.1,
        score_threshold: float | None = None,
        sweep: Sequence[float] = SWEEP,
        draws: int = 5,
        clips: int | None = None,
        pictures: int = 4,
        shown: float = 0.3,
    ) -> None:
        self.split, self.clips = split, clips
        self.t_present, self.t_missing, self.beta = t_present, t_missing, beta
        self.score_threshold, self.sweep, self.draws = score_threshold, tuple(sweep), draws
        self.pictures, self.shown = pictures, shown

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Evaluates the fit that is the input `weights`."""
        data = own_or_fitted(context)
        network = self.network(context, data)
        own = network.score_threshold if self.score_threshold is None else self.score_threshold
        least = min(own, *self.sweep)
        predictions, targets = detections(
            network, data, self.split, score_threshold=least, clips=self.clips
        )
        context.save_predictions(f"{self.split}_detections", as_rows(predictions).numpy())
        context.result.facts["data"] = data.fingerprint()
        context.result.facts["score_threshold"] = own
        tell_counts(context, data, self.split, len(targets))
        located = not isinstance(network, LabelsOnly)
        if located:
            first = predictions[: self.pictures]
            draw(context, data, self.split, first, least=self.shown)
        names = class_names(data)
        found = overlaps(predictions, targets, parts=len(names), scores=[own, *self.sweep])
        metrics = self.metrics(found, names, located=located)
        if located and self.draws:
            seed = int(context.config.get("seed", 0))
            metrics |= self.chance(predictions, targets, len(names), own, seed=seed)
        return {name: value for name, value in metrics.items() if value == value}

    def network(self, context: StepContext, data: Any) -> Any:
        """What is evaluated: the fit, a multi-label network as a detector without places."""
        del data
        network = context.fitted()
        return LabelsOnly(network) if isinstance(network, MultiLabelNet) else as_detector(network)

    def metrics(self, found: Overlaps, names: Sequence[str], *, located: bool) -> dict[str, float]:
        """All but chance; the first threshold of the score is that of the plain names.

        Args:
            found: overlaps at the main threshold of the score, then at those of the sweep.
            names: of the parts.
            located: whether there are places.
        """
        metrics: dict[str, float] = {}
        settings = [("_anywhere", 0.0, 0.0)]
        if located:
            settings = [("", self.t_present, self.t_missing), *settings]
            curve = missing_recall_curve(found, CURVE)[0].tolist()
            metrics |= {
                f"missing_found_{_hundredths(t)}": 100 * r
                for t, r in zip(CURVE, curve, strict=True)
            }
        ends = ["", *(f"_score_{_hundredths(s)}" for s in self.sweep)]
        for where, t_present, t_missing in settings:
            rows = verified(found, t_present=t_present, t_missing=t_missing, beta=self.beta)
            for end, row in zip(ends, rows, strict=True):
                metrics |= {f"{name}{where}{end}": value for name, value in row.items()}
            for part, name in enumerate(names):
                one = Overlaps(found.best[:1, :, [part]], found.state[:, [part]])
                (row,) = verified(one, t_present=t_present, t_missing=t_missing)
                metrics |= {f"{x}_{name}{where}": row[x] for x in ("r_present", "r_missing")}
        return metrics

    def chance(
        self,
        predictions: Sequence[Prediction],
        targets: Sequence[Target],
        parts: int,
        score: float,
        *,
        seed: int,
    ) -> dict[str, float]:
        """Recall of missing parts by the same detections at random places, mean over draws."""
        recalls = usual_place_chance(
            predictions,
            targets,
            parts=parts,
            thresholds=[self.t_missing, *CURVE],
            score_threshold=score,
            draws=self.draws,
            seed=seed,
        )
        mean, *curve = recalls.tolist()
        named = _curve("missing_found_chance", curve)
        return {"r_missing_chance": mean, **named}


class MeanBoxVerification(VisualVerification):
    """The same of `MeanBoxDetector`: parts at their mean boxes of the training split.

    The mean is of shares of an image's sides, so images must be tested whole, without filling up.

    Args:
        train: split whose present parts give the mean boxes.
        score: of a detection: one, or presence.
        kwargs: of `VisualVerification`.
    """

    def __init__(self, *, train: str = "train", score: Score = "one", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.train, self.score = train, score

    def network(self, context: StepContext, data: Any) -> MeanBoxDetector:
        """Mean boxes of the training split."""
        del context
        split = data.boxes(self.train, trained=True)
        if "state" not in split.flags:
            raise UserError(f"{data.name} has no states of parts; choose one of bicycle parts")
        sides: Tensor = split.sizes.flip(1).repeat(1, 2).float()
        return MeanBoxDetector(
            boxes=split.boxes / sides.repeat_interleave(split.counts, 0),
            labels=split.labels,
            images=len(split),
            parts=len(data.classes),
            score=self.score,
        )


def _curve(name: str, recalls: Sequence[float]) -> dict[str, float]:
    """Recalls at the thresholds of `CURVE`, in percent."""
    return {f"{name}_{_hundredths(t)}": 100 * r for t, r in zip(CURVE, recalls, strict=True)}


def _hundredths(value: float) -> str:
    """Of a threshold, for names: two digits, or 100."""
    return f"{round(100 * value):02d}"
