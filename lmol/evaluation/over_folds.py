"""A metric over the folds of a cross-validation: mean, SD and a 95 % interval.

F folds. The interval is Student's t over fold values, mean +- t(.975, F - 1) SD / sqrt(F). Training
sets of folds overlap, so fold values are not independent and the interval is somewhat too narrow
(Bengio and Grandvalet 2004, No unbiased estimator of the variance of K-fold cross-validation).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class OverFolds:
    """A metric over folds; the mean is None without folds, SD and interval below two folds."""

    folds: int
    mean: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None


def over_folds(values: Sequence[float]) -> OverFolds:
    """Summarise finite values (F,), one per fold."""
    num = len(values)
    if num == 0:
        return OverFolds(folds=0)
    mean = float(np.mean(values))
    if num == 1:
        return OverFolds(folds=1, mean=mean)
    sd = float(np.std(values, ddof=1))
    half = t_quantile(num) * sd / num**0.5
    return OverFolds(folds=num, mean=mean, sd=sd, low=mean - half, high=mean + half)


def t_quantile(num: int) -> float:
    """Return the half-width, in standard errors, of the interval of a mean over `num` folds."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, num - 1))


def metrics_over_folds(
    folds: Iterable[Mapping[str, object]],
) -> dict[str, dict[str, float | int | None]]:
    """Summarise by name each metric that is a number in all folds; folds: the metrics of each."""
    metrics = list(folds)
    names = [name for name in (metrics[0] if metrics else {}) if _in_all(name, metrics)]
    return {
        name: asdict(over_folds([float(fold[name]) for fold in metrics]))  # type: ignore[arg-type]
        for name in names
    }


def _in_all(name: str, folds: Sequence[Mapping[str, object]]) -> bool:
    values = [fold.get(name) for fold in folds]
    return all(isinstance(value, int | float) and np.isfinite(value) for value in values)
