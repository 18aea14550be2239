"""Permutation test of differences between groups: the same images, their groups shuffled.

n images, G groups, P pairs, R replicates.
"""

from __future__ import annotations

import numpy as np

from lmol.evaluation.answers import Floats
from lmol.evaluation.intervals import Indices, mean_of_images, mean_of_pairs
from lmol.evaluation.judged import JudgedPairs


class GroupPermutations:
    """R random assignments of n images to groups; the sizes of the groups stay the same.

    codes: group of each image, shape (n,), -1 for none, which stays none. groups: those compared.
    The two most distant of several groups always differ; the p-value is how often random groups
    differ as much (permutation test, Fisher 1935).
    """

    def __init__(self, codes: Indices, groups: Indices, replicates: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        grouped = np.flatnonzero(codes >= 0)
        dealt = np.repeat(codes[None, :], replicates + 1, axis=0)
        dealt[1:, grouped] = rng.permuted(dealt[1:, grouped], axis=1)
        self._members = [(dealt == group).astype(np.float64) for group in groups]

    def of_accuracy(self, judged: JudgedPairs) -> float | None:
        """Return the p-value of the largest minus the smallest accuracy within a group."""
        right = judged.right.astype(np.float64)
        return _p_value(
            [mean_of_pairs(m, judged.first, judged.second, right) for m in self._members]
        )

    def of_means(self, values: Floats) -> float | None:
        """Return the p-value of the largest minus the smallest mean of values (n,) in a group."""
        return _p_value([mean_of_images(m, values) for m in self._members])


def _p_value(by_group: list[Floats]) -> float | None:
    """Return the share of all assignments, the true one included, with at least the true range.

    by_group: a statistic of every group in every assignment, (R + 1,) each, the true one first.
    None if there are fewer than two groups, or the true range is not defined.
    """
    if len(by_group) < 2:
        return None
    ranges = np.ptp(np.stack(by_group), axis=0)
    if not np.isfinite(ranges[0]):
        return None
    # Rounding must not make an equivalent assignment smaller than the true one.
    return float(np.mean(~(ranges < ranges[0] - 1e-12)))
