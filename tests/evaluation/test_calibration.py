import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from lmol.evaluation.answers import average_orders
from lmol.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    reliability_table,
    with_temperature,
)
from lmol.evaluation.metrics import cross_entropy
from lmol.verdict import SWAPPED

Floats = NDArray[np.float64]


def simulated(num: int, seed: int = 0) -> tuple[NDArray[np.int64], Floats]:
    """A judge without noise between orders, and labels drawn from just its probabilities."""
    rng = np.random.default_rng(seed)
    one = softmax(rng.normal(scale=2.0, size=(num, 3)), axis=1)
    truth = (rng.random((num, 1)) > one.cumsum(axis=1)).sum(axis=1)
    return truth, np.stack([one, one[:, SWAPPED]], axis=1)


def error_of(truth: NDArray[np.int64], probabilities: Floats) -> float:
    return expected_calibration_error(reliability_table(truth, average_orders(probabilities)))


def test_a_calibrated_judge_has_no_calibration_error_and_needs_no_temperature() -> None:
    truth, probabilities = simulated(100_000)
    assert error_of(truth, probabilities) < 0.01
    assert fit_temperature(truth, probabilities) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("sharpness", [0.5, 2.5])
def test_the_temperature_that_a_judge_was_sharpened_with_is_found(sharpness: float) -> None:
    truth, probabilities = simulated(50_000)
    sharpened = with_temperature(probabilities, 1 / sharpness)
    before = error_of(truth, sharpened)
    temperature = fit_temperature(truth, sharpened)
    after = error_of(truth, with_temperature(sharpened, temperature))
    assert temperature == pytest.approx(sharpness, rel=0.03)
    assert after < 0.012 < 0.1 < before


def test_no_other_temperature_has_less_cross_entropy() -> None:
    truth, probabilities = simulated(500, seed=1)
    best = fit_temperature(truth, probabilities)
    least = cross_entropy(truth, with_temperature(probabilities, best))
    for other in np.geomspace(0.05, 20, 60):
        assert least <= cross_entropy(truth, with_temperature(probabilities, other)) + 1e-9


def test_expected_calibration_error_by_hand() -> None:
    """Confidences .9, .9 with one right, and .6 wrong: 2/3 (.9 - .5) + 1/3 .6."""
    averaged = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.2, 0.2, 0.6]])
    truth = np.array([0, 0, 0])
    for table in (reliability_table(truth, averaged), reliability_table(truth, averaged, 1)):
        assert expected_calibration_error(table) == pytest.approx(1.4 / 3)


def test_a_bin_holds_its_upper_border_and_empty_bins_are_undefined() -> None:
    averaged = np.array([[0.5, 0.4, 0.1], [0.51, 0.4, 0.09], [1.0, 0.0, 0.0]])
    table = reliability_table(np.array([0, 1, 0]), averaged, num_bins=4)
    assert table["low"].tolist() == [0.0, 0.25, 0.5, 0.75]
    assert table["high"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert table["pairs"].tolist() == [0, 1, 1, 1]
    np.testing.assert_allclose(table["confidence"], [np.nan, 0.5, 0.51, 1.0])
    np.testing.assert_allclose(table["accuracy"], [np.nan, 1.0, 0.0, 1.0])


def test_the_confidence_of_a_tie_is_that_of_its_answer_similar() -> None:
    table = reliability_table(np.array([2]), np.array([[0.4, 0.4, 0.2]]), num_bins=5)
    assert table["pairs"].tolist() == [1, 0, 0, 0, 0]
    assert (table["confidence"][0], table["accuracy"][0]) == (0.2, 1.0)


def test_rounding_beyond_one_stays_in_the_last_bin() -> None:
    averaged = np.array([[np.nextafter(1.0, 2.0), 0.0, 0.0]])
    assert reliability_table(np.array([0]), averaged)["pairs"].iloc[-1] == 1


def test_a_temperature_divides_the_logits_of_each_order() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 2, 3))
    found = with_temperature(softmax(logits, axis=-1), 2.5)
    assert found.shape == (4, 2, 3)
    np.testing.assert_allclose(found, softmax(logits / 2.5, axis=-1))


@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
def test_probabilities_of_exactly_zero_survive_every_temperature(temperature: float) -> None:
    certain = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    found = with_temperature(certain, temperature)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=-1), 1.0)
    assert (found.argmax(axis=-1) == certain.argmax(axis=-1)).all()


def test_a_judge_that_is_always_certainly_wrong_gets_the_largest_temperature() -> None:
    wrong = np.array([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]] * 5)
    temperature = fit_temperature(np.zeros(5, dtype=np.int64), wrong)
    assert math.isclose(temperature, 20.0, rel_tol=0.01)
