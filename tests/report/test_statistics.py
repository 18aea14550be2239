"""The corrected test against numbers solved by hand, and against SciPy."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from lmol.report.statistics import PairedDifference, compare


def by_fold(values):
    return dict(enumerate(values, start=1))


def compared(first, second, test_by_train) -> Any:
    """A comparison of recipes that share a fold."""
    found = compare(first, second, test_by_train)
    assert isinstance(found, PairedDifference)
    return found


def test_the_corrected_test_of_a_case_solved_by_hand():
    found = compared(by_fold([0.0] * 5), by_fold([1.0, 2.0, 3.0, 4.0, 5.0]), 0.25)
    error = math.sqrt((1 / 5 + 0.25) * 2.5)  # Nadeau and Bengio: (1/J + n2/n1) s^2, s^2 = 2.5
    assert found.mean == 3.0
    assert found.p == pytest.approx(2 * stats.t.sf(3.0 / error, 4))
    assert found.high - found.mean == pytest.approx(2.776445 * error, abs=1e-5)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


def test_without_overlap_it_is_the_paired_t_test():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 7))
    found = compared(by_fold(first), by_fold(second), 0.0)
    expected = stats.ttest_rel(second, first)
    assert found.p == found.p_uncorrected == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_the_uncorrected_p_is_scipys_and_the_corrected_one_is_larger():
    first, second = [0.70, 0.72, 0.71, 0.74, 0.69], [0.73, 0.74, 0.72, 0.78, 0.70]
    found = compared(by_fold(first), by_fold(second), 0.25)
    assert found.p_uncorrected == pytest.approx(stats.ttest_rel(second, first).pvalue)
    assert found.p > found.p_uncorrected


def test_only_shared_folds_are_compared():
    found = compared({1: 0.5, 2: 0.6, 4: 0.9}, {2: 0.7, 3: 0.1, 4: 0.9}, 0.25)
    assert found.by_fold == pytest.approx({2: 0.1, 4: 0.0})
    assert compare({1: 0.5}, {2: 0.5}, 0.25) is None


def test_exchanging_the_recipes_turns_the_sign_alone():
    first, second = by_fold([0.7, 0.8, 0.75]), by_fold([0.72, 0.79, 0.8])
    there, back = compared(first, second, 0.25), compared(second, first, 0.25)
    assert there.mean == pytest.approx(-back.mean)
    assert there.p == pytest.approx(back.p)
    assert there.low == pytest.approx(-back.high)


@pytest.mark.parametrize("num", [1, 2])
def test_fewer_than_three_folds_have_a_difference_and_no_test(num):
    found = compared(by_fold([0.50, 0.60][:num]), by_fold([0.75, 0.851][:num]), 0.25)
    assert found.mean == pytest.approx(0.25, abs=1e-3)
    assert (found.low, found.high, found.p, found.p_uncorrected) == (None, None, None, None)


def test_equal_differences_have_no_scatter_to_test_against():
    found = compared(by_fold([0.1, 0.2, 0.3]), by_fold([0.2, 0.3, 0.4]), 0.25)
    assert (found.p, found.p_uncorrected) == (None, None)
    assert found.mean == pytest.approx(0.1)
