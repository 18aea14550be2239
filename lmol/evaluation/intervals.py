"""How far results would move with other images: bootstrap intervals over images, not over pairs.

n images, P pairs, R replicates. Pairs that share an image are right or wrong together, so an
interval that resamples pairs is far too narrow. Here images are drawn with replacement: one drawn k
times counts k times, and a pair (i, j) weighs k_i k_j. What pairs have on their own, apart from
their images, then counts with three times its variance (Owen 2007, The pigeonhole bootstrap, Annals
of Applied Statistics 1, 386-411): nothing where all pairs are asked, and a wider interval than need
be where an image is in a handful of pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lmol.evaluation.answers import Floats
from lmol.evaluation.metrics import CORRELATIONS

Indices = NDArray[np.int64]
Interval = tuple[float | None, float | None]

LEVEL = 0.95

DENSE = 1 / 16
"""Share of the n^2 cells above which a matrix of pairs is faster to multiply when it is dense."""


class ImageBootstrap:
    """The same R resamples of n images for every statistic, so that differences can be taken.

    counts: how often each image is in each resample, shape (R, n), whole numbers.
    """

    def __init__(self, num_images: int, replicates: int, seed: int) -> None:
        shares = np.full(num_images, 1.0 / num_images)
        drawn = np.random.default_rng(seed).multinomial(num_images, shares, size=replicates)
        self.num_images, self.seed = num_images, seed
        self.counts: Floats = drawn.astype(np.float64)

    def mean_of_pairs(self, first: Indices, second: Indices, values: Floats) -> Floats:
        """Means (R,) of a value of each pair (P,) in every resample; see `mean_of_pairs`."""
        return mean_of_pairs(self.counts, first, second, values)

    def mean_of_images(self, images: Indices, values: Floats) -> Floats:
        """Weighted means (R,) of a value of each of some images; NaN where none was drawn."""
        return mean_of_images(self.counts[:, images], values)

    def correlations(
        self, scores: Floats, strengths: Floats, images: Indices | None = None
    ) -> dict[str, Floats]:
        """pearson, spearman and kendall (tau-b) in every resample, shape (R,) each, by name.

        scores, strengths: shape (n,); images: rows of those to correlate, all where None. The
        strengths are taken as given and not fitted anew: the replicates tell how much a correlation
        hangs on which images were held out, and not what another training, other comparisons of
        these images, or opponents out of another sample would change. NaN where the scores or the
        strengths of a resample are all equal. Each equals SciPy's result for the resampled images.
        """
        chosen = np.arange(self.num_images) if images is None else images
        counts, x, y = self.counts[:, chosen], scores[chosen], strengths[chosen]
        untied = _untied(x, counts) * _untied(y, counts)
        found = (
            _pearson(x[None, :], y[None, :], counts),
            _pearson(_ranks(x, counts), _ranks(y, counts), counts),
            _ratio(_quadratic(counts, _concordance(x, y)), np.sqrt(untied)),
        )
        names = [name for name, _ in CORRELATIONS]
        return {n: np.where(untied > 0, r, np.nan) for n, r in zip(names, found, strict=True)}


def mean_of_pairs(counts: Floats, first: Indices, second: Indices, values: Floats) -> Floats:
    """Weighted means (R,) of a value of each pair; NaN where no pair is in a resample.

    counts: of each image in each resample, shape (R, n). first, second: images of the pairs, shape
    (P,), as are values, such as 1 for right. An image that was drawn twice makes no pair with
    itself. Memory grows with (R + n) n, not with R P.
    """
    used = np.union1d(first, second)
    first, second = np.searchsorted(used, first), np.searchsorted(used, second)
    counts, ones = counts[:, used], np.ones(len(first))
    total = pair_matrix(used.size, first, second, np.asarray(values, np.float64))
    weight = pair_matrix(used.size, first, second, ones)
    return _ratio(_quadratic(counts, total), _quadratic(counts, weight))


def mean_of_images(counts: Floats, values: Floats) -> Floats:
    """Weighted means (R,) of a value of each image (n,); NaN where no image is in a resample."""
    return _ratio(counts @ values, counts.sum(axis=1))


def interval(samples: Floats) -> Interval:
    """The middle LEVEL of the replicates (R,), undefined ones left out; None where none is left.

    Of a share that is 0 or 1 in the whole sample it has no width, which is not certainty.
    """
    defined = samples[np.isfinite(samples)]
    if defined.size == 0:
        return None, None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def with_interval(name: str, value: float | None, samples: Floats) -> dict[str, float | None]:
    """The value under its name, and the ends of its interval under <name>_low and <name>_high."""
    low, high = interval(samples)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def pair_matrix(
    num_images: int, first: Indices, second: Indices, values: Floats
) -> Floats | sparse.csr_array:
    """Matrix (n, n) with the value of pair (i, j) in row i, column j, 0 elsewhere."""
    matrix = sparse.coo_array((values, (first, second)), shape=(num_images, num_images))
    return matrix.toarray() if len(first) > DENSE * num_images**2 else matrix.tocsr()


def _quadratic(counts: Floats, matrix: Floats | sparse.csr_array) -> Floats:
    """k^T M k of every row k of the counts, shape (R,)."""
    return np.einsum("ri,ri->r", counts @ matrix, counts)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """NaN where the denominator is 0."""
    return numerator / np.where(denominator > 0, denominator, np.nan)


def _pearson(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Weighted correlation in each row; counts: shape (R, n), x, y: (R, n), or (1, n) for all."""
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    x = x - (counts * x).sum(axis=1, keepdims=True) / total
    y = y - (counts * y).sum(axis=1, keepdims=True) / total
    covariance, of_x, of_y = ((counts * a * b).sum(axis=1) for a, b in ((x, y), (x, x), (y, y)))
    return _ratio(covariance, np.sqrt(of_x * of_y))


def _ranks(values: Floats, counts: Floats) -> Floats:
    """Rank of each image among the resampled ones, the mean rank where it is tied: (R, n)."""
    group = _dense_ranks(values)
    members = _group_counts(group, counts)
    middle = members.cumsum(axis=1) - (members - 1.0) / 2.0
    return middle[:, group]


def _dense_ranks(values: Floats) -> Indices:
    """Place of each value among the different ones, from 0, shape (n,).

    As an index: scipy.stats.rankdata returns real numbers from SciPy 1.18 on.
    """
    return np.unique(values, return_inverse=True)[1]


def _untied(values: Floats, counts: Floats) -> Floats:
    """Ordered pairs of resampled images that differ in value, shape (R,)."""
    members = _group_counts(_dense_ranks(values), counts)
    return np.asarray(counts.sum(axis=1) ** 2 - (members**2).sum(axis=1))


def _group_counts(group: Indices, counts: Floats) -> Floats:
    """Resampled images of each group, shape (R, G); group: shape (n,), in 0 .. G - 1."""
    in_group = sparse.csr_array((np.ones(len(group)), (np.arange(len(group)), group)))
    return np.asarray(counts @ in_group)


def _concordance(x: Floats, y: Floats) -> Floats:
    """1 where x and y order two images alike, -1 where oppositely, 0 where one is tied: (n, n)."""
    order_of_x, order_of_y = (
        np.greater.outer(values, values).astype(np.int8) - np.less.outer(values, values)
        for values in (x, y)
    )
    return (order_of_x * order_of_y).astype(np.float64)
