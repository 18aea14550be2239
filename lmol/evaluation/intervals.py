"""Bootstrap intervals over images, not over pairs: variation of results with other images.

n images, P pairs, R replicates. Errors of pairs that share an image are correlated, so an interval
that resamples pairs is far too narrow. Here images are drawn with replacement: an image drawn k
times counts k times, and a pair (i, j) weighs k_i k_j. The variance of the pairs that does not come
from their images then counts three times (Owen 2007, The pigeonhole bootstrap, Annals of Applied
Statistics 1, 386-411): this has no effect if all pairs are asked, and makes the interval too wide
if each image is in few pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lmol.evaluation.answers import Floats

Indices = NDArray[np.int64]

LEVEL = 0.95

DENSE = 1 / 16
"""Share of the n^2 cells above which a dense matrix of pairs multiplies faster."""


class ImageBootstrap:
    """The same R resamples of n images for every statistic, so that differences can be taken.

    counts: how often each image is in each resample, shape (R, n), whole numbers.
    """

    def __init__(self, num_images: int, replicates: int, seed: int) -> None:
        shares = np.full(num_images, 1.0 / num_images)
        drawn = np.random.default_rng(seed).multinomial(num_images, shares, size=replicates)
        self.seed = seed
        self.counts: Floats = drawn.astype(np.float64)

    def correlations(
        self, scores: Floats, strengths: Floats, images: Indices | None = None
    ) -> dict[str, Floats]:
        """Return pearson, spearman and kendall (tau-b) in every resample, (R,) each, by name.

        scores, strengths: shape (n,); images: rows to correlate, None for all. The strengths are
        not refitted: the replicates measure how much a correlation depends on which images were
        held out, not the effect of another training, other comparisons of these images, or
        opponents from another sample. NaN if the scores or the strengths of a resample are all
        equal. Each equals SciPy's result for the resampled images.
        """
        chosen = np.arange(len(scores)) if images is None else images
        counts, x, y = self.counts[:, chosen], scores[chosen], strengths[chosen]
        untied = _untied(x, counts) * _untied(y, counts)
        found = {
            "pearson": _pearson(x[None, :], y[None, :], counts),
            "spearman": _pearson(_ranks(x, counts), _ranks(y, counts), counts),
            "kendall": _ratio(_quadratic(counts, _concordance(x, y)), np.sqrt(untied)),
        }
        return {name: np.where(untied > 0, r, np.nan) for name, r in found.items()}


def mean_of_pairs(counts: Floats, first: Indices, second: Indices, values: Floats) -> Floats:
    """Return weighted means (R,) of a value of each pair; NaN if a resample has no pair.

    counts: draws of each image in each resample, shape (R, n). first, second: images of the pairs,
    shape (P,), like values, such as 1 for right. An image that was drawn twice makes no pair with
    itself. Memory grows with (R + n) n, not with R P.
    """
    used = np.union1d(first, second)
    first, second = np.searchsorted(used, first), np.searchsorted(used, second)
    counts, ones = counts[:, used], np.ones(len(first))
    total = pair_matrix(used.size, first, second, np.asarray(values, np.float64))
    weight = pair_matrix(used.size, first, second, ones)
    return _ratio(_quadratic(counts, total), _quadratic(counts, weight))


def mean_of_images(counts: Floats, values: Floats) -> Floats:
    """Return weighted means (R,) of a value of each image; NaN if a resample has no image.

    counts: draws of these n images in each resample, shape (R, n). values: shape (n,).
    """
    return _ratio(counts @ values, counts.sum(axis=1))


def interval(samples: Floats) -> tuple[float | None, float | None]:
    """Return the middle LEVEL of the defined replicates (R,); None if no replicate is defined.

    A share that is 0 or 1 in the whole sample has no width, which does not mean certainty.
    """
    defined = samples[np.isfinite(samples)]
    if defined.size == 0:
        return None, None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def with_interval(name: str, value: float | None, samples: Floats) -> dict[str, float | None]:
    """Return the value under its name, and its interval under <name>_low and <name>_high."""
    low, high = interval(samples)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def pair_matrix(
    num_images: int, first: Indices, second: Indices, values: Floats
) -> Floats | sparse.csr_array:
    """Return a matrix (n, n), the value of pair (i, j) in row i, column j, 0 elsewhere."""
    matrix = sparse.coo_array((values, (first, second)), shape=(num_images, num_images))
    return matrix.toarray() if len(first) > DENSE * num_images**2 else matrix.tocsr()


def _quadratic(counts: Floats, matrix: Floats | sparse.csr_array) -> Floats:
    """Return k^T M k of every row k of the counts, shape (R,)."""
    return np.einsum("ri,ri->r", counts @ matrix, counts)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; NaN where the denominator is 0."""
    return numerator / np.where(denominator > 0, denominator, np.nan)


def _pearson(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Return each row's weighted correlation; counts: (R, n), x, y: (R, n), or (1, n) for all."""
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    x = x - (counts * x).sum(axis=1, keepdims=True) / total
    y = y - (counts * y).sum(axis=1, keepdims=True) / total
    covariance, of_x, of_y = ((counts * a * b).sum(axis=1) for a, b in ((x, y), (x, x), (y, y)))
    return _ratio(covariance, np.sqrt(of_x * of_y))


def _ranks(values: Floats, counts: Floats) -> Floats:
    """Return each image's rank among the resampled ones, the mean rank for a tie: (R, n)."""
    group, members = _tie_groups(values, counts)
    middle = members.cumsum(axis=1) - (members - 1.0) / 2.0
    return middle[:, group]


def _untied(values: Floats, counts: Floats) -> Floats:
    """Count ordered pairs of resampled images that differ in value, shape (R,)."""
    _, members = _tie_groups(values, counts)
    return np.asarray(counts.sum(axis=1) ** 2 - (members**2).sum(axis=1))


def _tie_groups(values: Floats, counts: Floats) -> tuple[Indices, Floats]:
    """Return the group of equal values of each image, (n,), and resampled images by group, (R, G).

    Groups are numbered from 0 in the order of their values.
    """
    group = np.unique(values, return_inverse=True)[1]
    in_group = sparse.csr_array((np.ones(len(group)), (np.arange(len(group)), group)))
    return group, np.asarray(counts @ in_group)


def _concordance(x: Floats, y: Floats) -> Floats:
    """Return 1 if x and y agree on the order of two images, -1 if not, 0 for a tie: (n, n)."""
    order_of_x, order_of_y = (
        np.greater.outer(values, values).astype(np.int8) - np.less.outer(values, values)
        for values in (x, y)
    )
    return (order_of_x * order_of_y).astype(np.float64)
