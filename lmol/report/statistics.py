"""Paired comparison of two recipes over the few folds that both have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lmol.evaluation.over_folds import t_quantile

FEWEST = 3
"""Minimum number of folds for a test. Two give one degree of freedom: two differences that happen
to be alike would look like a certain result."""

ROUNDING = 1e-12
"""Smaller scatter is floating-point error between equal numbers."""


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Difference of second minus first over the folds that both have.

    by_fold: the differences. low, high, p: from the corrected resampled t-test; p_uncorrected: from
    the ordinary paired t-test. All four are None for fewer than FEWEST folds; both p are also None
    if all differences are equal.
    """

    by_fold: Mapping[int, float]
    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_uncorrected: float | None = None

    @property
    def num(self) -> int:
        return len(self.by_fold)


def compare(
    first: Mapping[int, float], second: Mapping[int, float], test_by_train: float
) -> PairedDifference | None:
    """Run the corrected resampled t-test; return None if no fold is in both.

    test_by_train: ratio of held-out to training images in a fold. Training sets of folds overlap,
    so that the variance of the mean difference is (1/J + test_by_train) s^2 rather than s^2 / J
    (Nadeau and Bengio 2003, Inference for the generalization error, Machine Learning 52; J folds).
    """
    folds = sorted(first.keys() & second.keys())
    if not folds:
        return None
    differences = {fold: second[fold] - first[fold] for fold in folds}
    values = np.array(list(differences.values()))
    mean, num = float(values.mean()), len(folds)
    if num < FEWEST:
        return PairedDifference(by_fold=differences, mean=mean)
    sd = float(values.std(ddof=1))
    corrected = sd * math.sqrt(1.0 / num + test_by_train)
    half = t_quantile(num) * corrected
    return PairedDifference(
        by_fold=differences,
        mean=mean,
        low=mean - half,
        high=mean + half,
        p=_p(mean, corrected, num),
        p_uncorrected=_p(mean, sd / math.sqrt(num), num),
    )


def _p(mean: float, standard_error: float, num: int) -> float | None:
    """Return the two-sided p-value; None if there is no scatter to compare with."""
    if standard_error < ROUNDING:
        return None
    return float(2.0 * stats.t.sf(abs(mean) / standard_error, num - 1))
