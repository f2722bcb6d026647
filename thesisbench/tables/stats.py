"""The statistics of the judge: t intervals of a mean, power, and prediction intervals of a cell.

`n` observations are taken as independent and normal with unknown spread. Everything here takes a
mean, a sample standard deviation (divisor n - 1) and `n`; a spread of zero makes an interval its
point. scipy and numpy are imported when a function first needs them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from thesisbench.tables.model import Interval

_TAIL = 1e-13  # probability left out at each end of the spread's distribution
_NODES = 200  # Gauss-Legendre points


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (divisor n - 1; 0 for a single value).

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values: a mean needs at least one")
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return statistics.fmean(values), sd


@lru_cache(maxsize=1024)
def t_quantile(probability: float, df: float) -> float:
    """The value that Student's t with `df` degrees of freedom stays under with `probability`."""
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def t_interval(mean: float, sd: float, n: int, level: float) -> Interval:
    """Two-sided confidence interval of a mean: mean -+ t(level, n - 1) sd / sqrt(n).

    Raises:
        ValueError: fewer than two observations, or a level outside (0, 1).
    """
    if n < 2 or not 0 < level < 1:
        raise ValueError(f"an interval needs n >= 2 and 0 < level < 1, got n={n}, level={level}")
    half = t_quantile((1 + level) / 2, n - 1) * sd / math.sqrt(n)
    return Interval(mean - half, mean + half, level)


def paired_power(sd: float, n: int, effect: float, alpha: float) -> float:
    """Probability that the two-sided 1 - alpha interval lies above 0 if the mean is `effect`.

    That is P(T > t(1 - alpha/2, n - 1)) for T noncentral t with n - 1 degrees of freedom and
    noncentrality effect sqrt(n) / sd. An interval wholly on the wrong side is no success.

    Args:
        sd: spread of the paired differences.
        n: number of pairs, at least 2.
        effect: true mean difference in the claimed direction.
        alpha: size of the two-sided test.
    """
    if sd <= 0:
        return float(effect > 0)
    from scipy.special import ndtr

    shift, t = effect * math.sqrt(n) / sd, t_quantile(1 - alpha / 2, n - 1)
    return _average_over_spread(n - 1, lambda u: ndtr(shift - t * u))


def equivalence_power(sd: float, n: int, d: float, alpha: float) -> float:
    """Probability that the 1 - 2 alpha interval lies inside [-d, d] if the mean is 0.

    The two one-sided tests succeed when |mean| + t(1 - alpha, n - 1) s / sqrt(n) <= d, so this is
    the average of max(0, 2 Phi(d sqrt(n) / sd - t s / sd) - 1) over the sample spread s.
    """
    if sd <= 0:
        return float(d >= 0)
    from scipy.special import ndtr

    reach, t = d * math.sqrt(n) / sd, t_quantile(1 - alpha, n - 1)
    return _average_over_spread(n - 1, lambda u: 2 * ndtr(reach - t * u) - 1, reach / t)


def n_for_power(
    sd: float,
    effect: float,
    alpha: float,
    *,
    equivalence: bool = False,
    target: float = 0.8,
    limit: int = 10_000,
) -> int | None:
    """Smallest number of seeds (at least 3) with which the power reaches `target`.

    Args:
        sd: spread of the paired differences.
        effect: the difference worth seeing, or the tolerance d for `equivalence`.
        alpha: as in `paired_power` and `equivalence_power`.
        equivalence: ask `equivalence_power`.
        target: power wanted.
        limit: give up beyond this many.

    Returns:
        The number, or None when `limit` seeds are not enough.
    """
    power = equivalence_power if equivalence else paired_power
    low, high = 2, 3  # power at `low` is too small or not allowed, at `high` perhaps enough
    while power(sd, high, effect, alpha) < target:
        if high >= limit:
            return None
        low, high = high, min(2 * high, limit)
    while high - low > 1:
        middle = (low + high) // 2
        enough = power(sd, middle, effect, alpha) >= target
        low, high = (low, middle) if enough else (middle, high)
    return high


def prediction_interval(
    mean: float,
    sd: float,
    n: int,
    *,
    target_sd: float | None = None,
    target_n: int | None = None,
    decimals: int | None = None,
    level: float = 0.95,
) -> Interval:
    """Where a published value should lie if it came from the same process as our runs.

    The interval is mean -+ (t(level, df) sqrt(v + w) + h), with v = sd^2 / n our share and h half
    a printed unit, 10^-decimals / 2.

    - No printed spread: the target is one observation with our spread, w = sd^2, df = n - 1.
    - Printed spread and n: w = target_sd^2 / target_n, and the degrees of freedom are Welch and
      Satterthwaite's, df = (v + w)^2 / (v^2 / (n - 1) + w^2 / (target_n - 1)).
    - Printed spread, n unknown (or 1): w = target_sd^2, one observation; the spread is taken to be
      known as well as ours, so n - 1 stands for target_n - 1 in the same formula.

    Args:
        mean: our mean.
        sd: our spread over seeds.
        n: our number of seeds, at least 2.
        target_sd: published spread over replicates, if printed.
        target_n: number of replicates behind the published mean and spread, if known.
        decimals: digits printed after the point; None adds no rounding.
        level: probability of covering the target.

    Raises:
        ValueError: fewer than two observations.
    """
    if n < 2:
        raise ValueError(f"a prediction interval needs n >= 2, got {n}")
    v, w, df = sd**2 / n, sd**2, float(n - 1)
    if target_sd is not None:
        known = target_n is not None and target_n > 1
        count = target_n if known and target_n is not None else 1
        w = target_sd**2 / count
        df = _welch_df(v, n - 1, w, count - 1 if known else n - 1)
    half = t_quantile((1 + level) / 2, df) * (v + w) ** 0.5
    half += 0.0 if decimals is None else 0.5 * 10.0**-decimals
    return Interval(mean - half, mean + half, level)


def _welch_df(v: float, v_df: int, w: float, w_df: int) -> float:
    """Welch and Satterthwaite's degrees of freedom of a sum of two estimated variances."""
    top = max(v, w)
    if top == 0:
        return float(v_df)
    v, w = v / top, w / top
    return (v + w) ** 2 / (v**2 / v_df + w**2 / w_df)


def _average_over_spread(
    df: int, function: Callable[[Any], Any], cutoff: float = math.inf
) -> float:
    """Mean of `function(u)` for u <= cutoff, where u = s / sd and df u^2 is chi-square.

    Gauss-Legendre quadrature over the density of u,
    2 (df/2)^(df/2) / Gamma(df/2) u^(df - 1) exp(-df u^2 / 2).
    """
    import numpy as np
    from scipy.special import chdtri

    low = math.sqrt(chdtri(df, 1 - _TAIL) / df)
    high = min(math.sqrt(chdtri(df, _TAIL) / df), cutoff)
    if high <= low:
        return 0.0
    x, weights = _nodes()
    u = low + (high - low) * (x + 1) / 2
    log_density = math.log(2) + df / 2 * math.log(df / 2) - math.lgamma(df / 2)
    log_density = log_density + (df - 1) * np.log(u) - df * u**2 / 2
    total = np.sum(weights * np.exp(log_density) * function(u)) * (high - low) / 2
    return float(min(max(total, 0.0), 1.0))


@lru_cache(maxsize=1)
def _nodes() -> tuple[Any, Any]:
    import numpy as np

    return np.polynomial.legendre.leggauss(_NODES)
