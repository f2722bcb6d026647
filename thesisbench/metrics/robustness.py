"""Mean corruption error and mean flip rate, raw or divided by those of a reference network.

Hendrycks and Dietterich, ICLR 2019; Zhao, chapter 3, Table 3.5:

    CE_c = sum_s E_{s,c} / sum_s E^ref_{s,c},   mCE = mean of CE_c
    FR_p = mean over clips and frames j >= 2 of [f(x_j) != f(x_{j-1})]
    mFR = mean of FR_p / FR_p^ref

where noises compare with x_1 in place of x_{j-1}. Without a reference they are means of errors and
of flip rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from jaxtyping import Int
from torch import Tensor

from thesisbench.errors import UserError

Errors = Mapping[str, Mapping[int, float]]


def corruption_errors(errors: Errors, reference: Errors | None = None) -> dict[str, float]:
    """The error of each corruption in percent.

    Args:
        errors: corruption -> severity -> top-1 error in percent.
        reference: those of the reference network; None for raw means over severities.

    Raises:
        UserError: the reference lacks a corruption or a severity, or makes no error there.

    >>> corruption_errors({"fog": {1: 20.0, 5: 40.0}}, {"fog": {1: 60.0, 3: 70.0, 5: 90.0}})
    {'fog': 40.0}
    """
    if reference is None:
        return {name: fmean(levels.values()) for name, levels in errors.items()}
    found = {}
    for name, levels in errors.items():
        theirs = reference.get(name, {})
        if lacking := sorted(set(levels) - set(theirs)):
            text = f"the reference network has no error for {name} at severity {lacking[0]}"
            raise UserError(f"{text}; leave {name} out, or the reference")
        total = sum(theirs[severity] for severity in levels)
        found[name] = 100 * _over(sum(levels.values()), total, name)
    return found


def mean_corruption_error(errors: Errors, reference: Errors | None = None) -> float:
    """Mean over corruptions of `corruption_errors`."""
    return fmean(corruption_errors(errors, reference).values())


def flip_rate(classes: Int[Tensor, "n t"], *, to_first: bool) -> float:
    """How often the class of a frame is another, in percent.

    Args:
        classes: predicted for each frame of each sequence.
        to_first: than that of the first frame; else than that of the frame before.

    Raises:
        ValueError: sequences of fewer than two frames.
    """
    if classes.shape[1] < 2:
        raise ValueError(f"sequences of {classes.shape[1]} frames have no flips")
    before = classes[:, :1] if to_first else classes[:, :-1]
    return 100 * float((classes[:, 1:] != before).double().mean())


def mean_flip_rate(
    rates: Mapping[str, float], reference: Mapping[str, float] | None = None
) -> float:
    """Mean over perturbations of the flip rate in percent.

    Args:
        rates: perturbation -> flip rate in percent.
        reference: those of the reference network; None for the raw mean.

    Raises:
        UserError: the reference lacks a perturbation, or never flips there.
    """
    if reference is None:
        return fmean(rates.values())
    if lacking := [name for name in rates if name not in reference]:
        raise UserError(f"the reference network has no flip rate for {lacking[0]}")
    return fmean(100 * _over(rate, reference[name], name) for name, rate in rates.items())


def _over(ours: float, theirs: float, name: str) -> float:
    if theirs <= 0:
        text = f"the reference network makes no error for {name}, which nothing can be divided by"
        raise UserError(f"{text}; take a weaker reference or leave {name} out")
    return ours / theirs
