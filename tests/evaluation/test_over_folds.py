"""Mean, SD and interval over folds, against numbers solved by hand."""

import pytest

from lmol.evaluation.over_folds import metrics_over_folds, over_folds


def test_five_folds_by_hand():
    """Deviations -2, -1, 0, 1, 2: SD sqrt(10 / 4); t(.975, 4) = 2.776445 of the tables."""
    found = over_folds([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.776445 * 2.5**0.5 / 5**0.5
    assert (found["folds"], found["mean"]) == (5, 3.0)
    assert found["sd"] == pytest.approx(1.5811388)
    assert (found["low"], found["high"]) == pytest.approx((3 - half, 3 + half))


def test_two_folds_by_hand():
    """t(.975, 1) = 12.7062, SD 0.1 sqrt(2): half is 12.7062 x 0.1."""
    found = over_folds([0.7, 0.9])
    assert (found["low"], found["high"]) == pytest.approx((0.8 - 1.27062, 0.8 + 1.27062), abs=1e-5)


def test_one_fold_has_no_spread():
    found = over_folds([0.8])
    assert (found["mean"], found["sd"], found["low"], found["high"]) == (0.8, None, None, None)


def test_without_folds_there_is_no_mean():
    assert (over_folds([])["folds"], over_folds([])["mean"]) == (0, None)


def test_a_metric_that_a_fold_lacks_has_no_mean():
    folds: list[dict[str, object]] = [
        {"accuracy": 0.5, "pearson": 0.1},
        {"accuracy": 0.7, "pearson": None},
    ]
    assert list(metrics_over_folds(folds)) == ["accuracy"]
    assert metrics_over_folds([]) == {}
