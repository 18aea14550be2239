"""A metric over the folds of a cross-validation: mean, SD and a 95 % interval.

F folds. The interval is Student's t over fold values, mean +- t(.975, F - 1) SD / sqrt(F). Training
sets of folds overlap, so fold values are not independent and the interval is somewhat too narrow
(Bengio and Grandvalet 2004, No unbiased estimator of the variance of K-fold cross-validation).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


class OverFolds(TypedDict):
    """A metric over folds; the mean is None without folds, SD and interval below two folds."""

    folds: int
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None


def over_folds(values: Sequence[float]) -> OverFolds:
    """Summarise finite values (F,), one per fold."""
    num = len(values)
    mean = float(np.mean(values)) if num else None
    if mean is None or num == 1:
        return OverFolds(folds=num, mean=mean, sd=None, low=None, high=None)
    sd = float(np.std(values, ddof=1))
    half = t_quantile(num) * sd / num**0.5
    return OverFolds(folds=num, mean=mean, sd=sd, low=mean - half, high=mean + half)


def t_quantile(num: int) -> float:
    """Return the half-width, in standard errors, of the interval of a mean over `num` folds."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, num - 1))


def metrics_over_folds(folds: Iterable[Mapping[str, object]]) -> dict[str, OverFolds]:
    """Summarise by name each metric that is a number in all folds; folds: the metrics of each."""
    metrics, found = list(folds), {}
    for name in metrics[0] if metrics else ():
        values = [fold.get(name) for fold in metrics]
        numbers = [float(v) for v in values if isinstance(v, int | float) and np.isfinite(v)]
        if len(numbers) == len(values):
            found[name] = over_folds(numbers)
    return found
