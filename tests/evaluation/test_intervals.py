import time
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from lmol.evaluation.intervals import (
    ImageBootstrap,
    interval,
    mean_of_images,
    mean_of_pairs,
    with_interval,
)

Floats = NDArray[np.float64]


def ends(num: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second = np.triu_indices(num, 1)
    return first, second


def literally(bootstrap: ImageBootstrap, values: dict[tuple[int, int], float]) -> list[float]:
    """Every resample written out as a list of images, and all pairs of its places gone through."""
    means = []
    for counts in bootstrap.counts.astype(int):
        drawn = np.repeat(np.arange(len(counts)), counts).tolist()
        found = [
            values[min(a, b), max(a, b)]
            for a, b in combinations(drawn, 2)
            if (min(a, b), max(a, b)) in values
        ]
        means.append(float(np.mean(found)) if found else np.nan)
    return means


@pytest.mark.parametrize("num_pairs", [3, 20, 66])
def test_a_pair_weighs_the_product_of_its_counts(num_pairs: int) -> None:
    rng = np.random.default_rng(0)
    bootstrap, (first, second) = ImageBootstrap(12, 40, seed=3), ends(12)
    chosen = np.sort(rng.choice(first.size, num_pairs, replace=False))
    first, second, right = first[chosen], second[chosen], rng.random(num_pairs)
    values = {(int(a), int(b)): r for a, b, r in zip(first, second, right, strict=True)}
    expected = literally(bootstrap, values)
    np.testing.assert_allclose(mean_of_pairs(bootstrap.counts, first, second, right), expected)
    # Which of the two images comes first plays no part.
    np.testing.assert_allclose(mean_of_pairs(bootstrap.counts, second, first, right), expected)


def test_every_resample_has_as_many_images_and_the_seed_decides_which() -> None:
    bootstrap = ImageBootstrap(30, 500, seed=1)
    assert bootstrap.counts.shape == (500, 30)
    assert (bootstrap.counts.sum(axis=1) == 30).all()
    np.testing.assert_allclose(bootstrap.counts.mean(axis=0), 1.0, atol=0.2)
    assert (ImageBootstrap(30, 500, seed=1).counts == bootstrap.counts).all()
    assert (ImageBootstrap(30, 500, seed=2).counts != bootstrap.counts).any()


def test_no_pair_in_a_resample_is_undefined() -> None:
    bootstrap = ImageBootstrap(3, 200, seed=0)
    samples = mean_of_pairs(bootstrap.counts, np.array([0]), np.array([1]), np.array([1.0]))
    together = (bootstrap.counts[:, 0] > 0) & (bootstrap.counts[:, 1] > 0)
    assert (np.isfinite(samples) == together).all()
    assert (samples[together] == 1.0).all()


@pytest.mark.parametrize("decimals", [0, 6])
def test_correlations_are_those_of_scipy_for_the_resampled_images(decimals: int) -> None:
    """Scores rounded to whole numbers have many ties."""
    rng = np.random.default_rng(0)
    scores = np.round(rng.normal(scale=1.5, size=25), decimals)
    strengths = np.round(scores + rng.normal(size=25), decimals)
    bootstrap = ImageBootstrap(25, 30, seed=1)
    found = bootstrap.correlations(scores, strengths)
    for replicate, counts in enumerate(bootstrap.counts.astype(int)):
        drawn = np.repeat(np.arange(25), counts)
        for name, correlate in (
            ("pearson", stats.pearsonr),
            ("spearman", stats.spearmanr),
            ("kendall", stats.kendalltau),
        ):
            expected = correlate(scores[drawn], strengths[drawn]).statistic
            assert found[name][replicate] == pytest.approx(expected, abs=1e-12)


def test_correlations_of_some_images_ignore_the_others() -> None:
    rng = np.random.default_rng(0)
    scores, strengths = rng.normal(size=(2, 30))
    chosen, bootstrap = np.arange(5, 20), ImageBootstrap(30, 50, seed=1)
    found = bootstrap.correlations(scores, strengths, chosen)
    scores[:5] = strengths[20:] = 100.0
    again = bootstrap.correlations(scores, strengths, chosen)
    assert all((found[name] == again[name]).all() for name in found)


def test_correlations_are_undefined_where_a_resample_has_but_one_score() -> None:
    """0.1 three times has a variance of rounding errors, which are no order."""
    scores, strengths = np.array([0.1, 0.1, 0.1, 0.7]), np.array([1.0, 2.0, 3.0, 4.0])
    bootstrap = ImageBootstrap(4, 300, seed=0)
    found = bootstrap.correlations(scores, strengths)
    defined = (bootstrap.counts[:, 3] > 0) & (bootstrap.counts[:, 3] < 4)
    assert all((np.isfinite(samples) == defined).all() for samples in found.values())


def test_mean_of_images_by_hand() -> None:
    bootstrap = ImageBootstrap(4, 60, seed=0)
    found = mean_of_images(bootstrap.counts[:, [1, 3]], np.array([2.0, 5.0]))
    one, other = bootstrap.counts[:, 1], bootstrap.counts[:, 3]
    drawn = one + other > 0
    expected = (2 * one + 5 * other)[drawn] / (one + other)[drawn]
    np.testing.assert_allclose(found[drawn], expected)
    assert np.isnan(found[~drawn]).all()


def test_the_spread_is_the_standard_error_of_a_mean_over_images() -> None:
    """(x_i + x_j) / 2 over all pairs is the mean of x; pairs taken as independent are too sure."""
    x = np.random.default_rng(0).normal(size=200)
    first, second = ends(200)
    values = (x[first] + x[second]) / 2
    samples = mean_of_pairs(ImageBootstrap(200, 2000, seed=1).counts, first, second, values)
    assert samples.std() == pytest.approx(x.std() / np.sqrt(200), rel=0.06)
    assert samples.std() > 5 * values.std() / np.sqrt(values.size)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Images are easy or hard; a judge is right about a pair where both together are easy."""
    rng = np.random.default_rng(0)
    first, second = ends(40)
    truth, covered = stats.norm.cdf(0.5 / np.sqrt(2)), 0
    for trial in range(200):
        ease = rng.normal(size=40)
        right = (ease[first] + ease[second] > -0.5).astype(float)
        samples = mean_of_pairs(ImageBootstrap(40, 300, seed=trial).counts, first, second, right)
        low, high = interval(samples)
        assert low is not None
        assert high is not None
        covered += low <= truth <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_an_interval_ignores_undefined_replicates() -> None:
    samples = np.array([np.nan, *np.arange(101.0), np.nan])
    assert interval(samples) == pytest.approx((2.5, 97.5))
    assert interval(np.array([np.nan])) == interval(np.array([])) == (None, None)
    named = with_interval("accuracy", 0.5, np.array([0.25]))
    assert named == {"accuracy": 0.5, "accuracy_low": 0.25, "accuracy_high": 0.25}


def test_all_pairs_of_a_fold_take_a_few_seconds() -> None:
    first, second = ends(1100)
    right = np.random.default_rng(0).random(first.size) < 0.8
    started = time.perf_counter()
    samples = mean_of_pairs(
        ImageBootstrap(1100, 1000, seed=0).counts, first, second, right.astype(float)
    )
    assert samples.shape == (1000,)
    assert time.perf_counter() - started < 5.0
